/* Members that are there, answer pings, and say nothing of a generation. */
#include "tests/unit/support_policy.h"
#include "tests/unit/support_siege.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define NODES 5u

static const struct manifest_ref nothing = {0};

static void make_mute(struct crowd *c, uint32_t i)
{
    c->drivers.node[i].fault = DRIVERS_MUTE;
}

static bool is_mute(struct crowd *c, uint32_t by, uint32_t i)
{
    return gossip_policy_is_mute(crowd_gossip(c, by), &c->world.node[i].persona.id);
}

static void apply_with(struct crowd *c, uint32_t max_rejected)
{
    struct operators_order order = crowd_order(c, 0);
    order.planned = true;
    order.plan = manifest_plan_default();
    order.plan.max_rejected = max_rejected;
    order.text = SPAN_LIT("# with a plan of its own");
    assert_int_equal(crowd_apply(c, 0, &order), ERR_OK);
}

/* Whoever it is: the one that was to go first, too. */
static void test_one_that_never_votes_holds_a_rollout_for_its_grace_alone(void **state)
{
    (void)state;
    for (uint32_t silent = 0; silent < NODES; silent++) {
        struct crowd c;
        uint32_t other = (silent + 1) % NODES;
        crowd_init(&c, NODES, false);
        make_mute(&c, silent);
        crowd_apply_next(&c, other);
        crowd_run(&c, ROLLOUT_MUTE_MS - 1000);
        assert_int_equal(drivers_in_force(&c.drivers, &c.policy.ref), 0);
        assert_false(is_mute(&c, other, silent));
        crowd_run(&c, 3000);
        assert_int_equal(drivers_in_force(&c.drivers, &c.policy.ref), NODES - 1);
        assert_int_equal(drivers_in_force(&c.drivers, &nothing), 1);
        for (uint32_t i = 0; i < NODES; i++)
            if (i != silent) assert_true(is_mute(&c, i, silent));
        assert_false(is_mute(&c, other, other));
        crowd_fini(&c);
    }
}

static void test_what_it_waits_for_is_named(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, NODES, false);
    make_mute(&c, 2);
    make_mute(&c, 4);
    crowd_apply_next(&c, 0);
    crowd_run(&c, ROLLOUT_MUTE_MS - 1000);
    const char *waits = gossip_policy_waits_for(crowd_gossip(&c, 0));
    assert_memory_equal(waits, "validation: 3 of 5, not yet n", 29);
    crowd_run(&c, 2000);
    waits = gossip_policy_waits_for(crowd_gossip(&c, 0));
    assert_memory_equal(waits, "validation: 3 of 5, 2 say nothing, as n", 39);
    crowd_fini(&c);
}

/* A tenth is one of five; two need the operator's word. */
static void test_more_than_a_tenth_hold_it_unless_they_may_fail(void **state)
{
    (void)state;
    for (uint32_t may = 0; may <= 2; may++) {
        struct crowd c;
        crowd_init(&c, NODES, false);
        make_mute(&c, 1);
        make_mute(&c, 3);
        apply_with(&c, may);
        crowd_run(&c, 4 * ROLLOUT_MUTE_MS);
        uint32_t expected = may < 2 ? 0 : 3;
        assert_int_equal(drivers_in_force(&c.drivers, &c.policy.ref), expected);
        crowd_fini(&c);
    }
}

static void test_half_of_the_voters_are_never_passed_over(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 2, false);
    make_mute(&c, 1);
    crowd_apply_next(&c, 0);
    crowd_run(&c, 4 * ROLLOUT_MUTE_MS);
    assert_int_equal(drivers_in_force(&c.drivers, &c.policy.ref), 0);
    assert_string_equal(gossip_policy_waits_for(crowd_gossip(&c, 0)),
                        "validation: 1 of 2, n1 says nothing");
    crowd_fini(&c);
}

/* One refuses it and one is silent: they count together. */
static void test_a_refusal_uses_up_what_silence_may_have(void **state)
{
    (void)state;
    for (uint32_t may = 1; may <= 2; may++) {
        struct crowd c;
        crowd_init(&c, NODES, false);
        make_mute(&c, 1);
        c.drivers.node[3].fault = DRIVERS_REJECTS;
        apply_with(&c, may);
        crowd_run(&c, 2 * ROLLOUT_MUTE_MS);
        uint32_t expected = may < 2 ? 0 : 3;
        assert_int_equal(drivers_in_force(&c.drivers, &c.policy.ref), expected);
        crowd_fini(&c);
    }
}

static void test_what_it_says_at_last_counts(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, NODES, false);
    make_mute(&c, 2);
    crowd_apply_next(&c, 0);
    crowd_run(&c, ROLLOUT_MUTE_MS + 2000);
    assert_int_equal(drivers_in_force(&c.drivers, &c.policy.ref), NODES - 1);
    struct gossip_event e = {
        .kind = GOSSIP_POLICY_VERDICT, .ref = c.policy.ref, .err = ERR_INVALID};
    e.data = SPAN_LIT("not here");
    world_step(&c.world, 2, &e);
    crowd_run(&c, 3000);
    assert_true(crowd_all_have(&c, &nothing));
    assert_false(is_mute(&c, 0, 2));
    assert_string_equal(crowd_status(&c, 0).reason, "stopped by n2");
    crowd_fini(&c);
}

/* The rumour has been told often enough, and missed them: who waits for them tells them again. */
static void test_who_is_asked_is_told_what_of(void **state)
{
    (void)state;
    struct siege s;
    support_siege_init(&s);
    struct gossip_event verdict = {.kind = GOSSIP_POLICY_VERDICT, .ref = s.first.ref};
    assert_int_equal(lab_step(&s.lab, &verdict), ERR_OK);
    lab_run(&s.lab, 4000, ~0u);
    assert_false(policy_news_active(s.lab.g));
    lab_forget(&s.lab);
    lab_run(&s.lab, 3000, ~0u);
    for (uint32_t peer = 1; peer <= 4; peer++) {
        size_t asked = lab_count(&s.lab, peer, MESSAGE_STATUS_ASK);
        assert_true(asked > 0);
        assert_int_equal(lab_count(&s.lab, peer, MESSAGE_POLICY), asked);
    }
    support_siege_fini(&s);
}

static void test_who_is_down_is_not_mute(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, NODES, false);
    make_mute(&c, 2);
    crowd_apply_next(&c, 0);
    crowd_run(&c, 1000);
    world_crash(&c.world, 2, true);
    crowd_run(&c, 2 * ROLLOUT_MUTE_MS);
    assert_false(is_mute(&c, 0, 2));
    crowd_fini(&c);
}

static uint32_t soaking(struct crowd *c)
{
    for (uint32_t i = 0; i < NODES; i++)
        if (crowd_gossip(c, i)->policy.rollout.stage == ROLLOUT_SOAKING) return i;
    return NODES;
}

/* It said that it is VALID, put it in force, and was not heard of again but for its acks: it may
 * be ill of it. */
static uint32_t hang_the_canary(struct crowd *c)
{
    uint32_t first = NODES;
    for (uint32_t i = 0; i < 2000 && first == NODES; i++) {
        crowd_run(c, 1);
        first = soaking(c);
    }
    assert_in_range(first, 0, NODES - 1);
    crowd_gossip(c, first)->policy.rollout.soak_ms += 3600000;
    return first;
}

static void test_a_canary_that_hangs_holds_it_and_is_named(void **state)
{
    (void)state;
    struct crowd c;
    char why[96];
    crowd_init(&c, NODES, false);
    apply_with(&c, 0);
    uint32_t first = hang_the_canary(&c);
    crowd_run(&c, 6 * ROLLOUT_MUTE_MS);
    assert_int_equal(drivers_in_force(&c.drivers, &c.policy.ref), 1);
    (void)snprintf(why, sizeof(why), "an earlier wave: 0 of 1, n%u says nothing", first);
    assert_string_equal(gossip_policy_waits_for(crowd_gossip(&c, (first + 1) % NODES)), why);
    crowd_fini(&c);
}

static void test_where_one_may_fail_the_next_goes_first(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, NODES, false);
    apply_with(&c, 1);
    hang_the_canary(&c);
    crowd_run(&c, ROLLOUT_MUTE_MS - 2000);
    assert_int_equal(drivers_in_force(&c.drivers, &c.policy.ref), 1);
    crowd_run(&c, 4000);
    assert_int_equal(drivers_in_force(&c.drivers, &c.policy.ref), NODES);
    crowd_fini(&c);
}

/* But not one after the other. */
static void test_a_second_that_hangs_is_the_last(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, NODES, false);
    apply_with(&c, 1);
    uint32_t first = hang_the_canary(&c), second = NODES;
    struct rollout *r = &crowd_gossip(&c, first)->policy.rollout;
    r->stage = ROLLOUT_ACTIVATING; /* out of the search's sight */
    crowd_run(&c, ROLLOUT_MUTE_MS - 2000);
    for (uint32_t i = 0; i < 5000 && second == NODES; i++) {
        crowd_run(&c, 1);
        second = soaking(&c);
    }
    assert_in_range(second, 0, NODES - 1);
    crowd_gossip(&c, second)->policy.rollout.soak_ms += 3600000;
    crowd_run(&c, 6 * ROLLOUT_MUTE_MS);
    assert_int_equal(drivers_in_force(&c.drivers, &c.policy.ref), 2);
    crowd_fini(&c);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_that_never_votes_holds_a_rollout_for_its_grace_alone),
        cmocka_unit_test(test_what_it_waits_for_is_named),
        cmocka_unit_test(test_more_than_a_tenth_hold_it_unless_they_may_fail),
        cmocka_unit_test(test_half_of_the_voters_are_never_passed_over),
        cmocka_unit_test(test_a_refusal_uses_up_what_silence_may_have),
        cmocka_unit_test(test_what_it_says_at_last_counts),
        cmocka_unit_test(test_who_is_asked_is_told_what_of),
        cmocka_unit_test(test_who_is_down_is_not_mute),
        cmocka_unit_test(test_a_canary_that_hangs_holds_it_and_is_named),
        cmocka_unit_test(test_where_one_may_fail_the_next_goes_first),
        cmocka_unit_test(test_a_second_that_hangs_is_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
