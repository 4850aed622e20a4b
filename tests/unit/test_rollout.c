#include "tests/unit/support_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct manifest_ref nothing = {0};

static void test_a_generation_applied_at_one_node_is_in_force_at_all(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, false);
    crowd_apply_next(&c, 3);
    crowd_run(&c, 1000);
    assert_int_equal(drivers_heads(&c.drivers, &c.policy.ref), 5);
    assert_true(crowd_all_have(&c, &c.policy.ref));
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(crowd_status(&c, i).state, STATUS_APPLIED);
    crowd_fini(&c);
}

static void test_the_same_with_the_real_keys(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, true);
    crowd_apply_next(&c, 2);
    crowd_run(&c, 1000);
    assert_true(crowd_all_have(&c, &c.policy.ref));
    crowd_fini(&c);
}

static void test_every_node_hears_what_the_others_do_with_it(void **state)
{
    (void)state;
    struct crowd c;
    struct status s;
    crowd_init(&c, 7, false);
    crowd_apply_next(&c, 0);
    crowd_run(&c, 5000);
    for (uint32_t i = 0; i < 7; i++)
        for (uint32_t k = 0; k < 7; k++) {
            const struct node_id *id = &c.world.node[k].persona.id;
            assert_int_equal(gossip_policy_member_status(crowd_gossip(&c, i), id, &s), ERR_OK);
            assert_int_equal(s.state, STATUS_APPLIED);
            assert_int_equal(s.active_gen, 1);
            assert_int_equal(s.root_gen, 1);
        }
    crowd_fini(&c);
}

static void test_what_one_node_finds_invalid_is_in_force_nowhere(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 6, false);
    crowd_apply_next(&c, 0);
    crowd_run(&c, 2000);
    struct manifest_ref good = c.policy.ref;
    c.drivers.node[4].fault = DRIVERS_REJECTS;
    crowd_apply_next(&c, 1);
    uint32_t before = c.drivers.activations;
    crowd_run(&c, 5000);
    assert_int_equal(c.drivers.activations, before);
    assert_true(crowd_all_have(&c, &good));
    assert_int_equal(crowd_status(&c, 4).state, STATUS_REJECTED);
    assert_string_equal(crowd_status(&c, 4).reason, "authz:1:1: unknown key");
    assert_int_equal(crowd_status(&c, 2).state, STATUS_STOPPED);
    assert_string_equal(crowd_status(&c, 2).reason, "stopped by n4");
    crowd_fini(&c);
}

static void test_an_operator_may_overrule_one_bad_node(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 6, false);
    c.drivers.node[4].fault = DRIVERS_REJECTS;
    struct operators_order order = crowd_order(&c, 0);
    order.planned = true;
    order.plan = manifest_plan_default();
    order.plan.max_rejected = 1;
    assert_int_equal(crowd_apply(&c, 0, &order), ERR_OK);
    crowd_run(&c, 3000);
    assert_int_equal(drivers_in_force(&c.drivers, &c.policy.ref), 5);
    assert_int_equal(drivers_in_force(&c.drivers, &nothing), 1);
    crowd_fini(&c);
}

static void test_what_fails_when_put_in_force_is_taken_back_everywhere(void **state)
{
    (void)state;
    for (uint32_t bad = 0; bad < 5; bad++) {
        struct crowd c;
        crowd_init(&c, 5, false);
        crowd_apply_next(&c, 0);
        crowd_run(&c, 2000);
        struct manifest_ref good = c.policy.ref;
        c.drivers.node[bad].fault = DRIVERS_FAILS;
        c.drivers.node[bad].marked = (struct manifest_hash){{1}};
        crowd_apply_next(&c, 0);
        c.drivers.node[bad].marked = c.policy.ref.hash;
        crowd_run(&c, 5000);
        assert_true(crowd_all_have(&c, &good));
        assert_int_equal(crowd_status(&c, bad).state, STATUS_ROLLED_BACK);
        crowd_fini(&c);
    }
}

/* It dies of it, whenever that is; the others must not all follow, and in the end all are where
 * they were. */
static void crash_loop(enum drivers_fault how)
{
    struct crowd c;
    crowd_init(&c, 5, false);
    crowd_apply_next(&c, 0);
    crowd_run(&c, 2000);
    struct manifest_ref good = c.policy.ref;
    for (uint32_t i = 0; i < 5; i++) {
        c.drivers.node[i].fault = how;
        c.drivers.node[i].marked = (struct manifest_hash){{1}};
    }
    crowd_apply_next(&c, 2);
    for (uint32_t i = 0; i < 5; i++)
        c.drivers.node[i].marked = c.policy.ref.hash;
    crowd_run(&c, 20000);
    assert_int_equal(c.drivers.crashes, DRIVERS_CRASHES); /* of the canary alone */
    assert_true(crowd_all_have(&c, &good));
    crowd_run(&c, 30000);
    assert_int_equal(c.drivers.crashes, DRIVERS_CRASHES);
    crowd_fini(&c);
}

static void test_what_crashes_the_canary_crashes_nobody_else(void **state)
{
    (void)state;
    crash_loop(DRIVERS_CRASHES_AT_IT);
}

static void test_what_crashes_the_canary_in_its_soak_crashes_nobody_else(void **state)
{
    (void)state;
    crash_loop(DRIVERS_CRASHES_SOON);
}

static void test_a_new_generation_follows_a_stopped_one(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, false);
    c.drivers.node[1].fault = DRIVERS_REJECTS;
    crowd_apply_next(&c, 0);
    crowd_run(&c, 2000);
    assert_true(crowd_all_have(&c, &nothing));
    c.drivers.node[1].fault = DRIVERS_GOOD;
    crowd_apply_next(&c, 3);
    crowd_run(&c, 2000);
    assert_true(crowd_all_have(&c, &c.policy.ref));
    crowd_fini(&c);
}

static void test_a_rollback_is_a_new_generation_with_the_old_texts(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, false);
    crowd_apply_next(&c, 0);
    crowd_run(&c, 2000);
    char first[sizeof(c.text)];
    memcpy(first, c.text, sizeof(first));
    crowd_apply_next(&c, 0);
    crowd_run(&c, 2000);
    struct operators_order order = crowd_order(&c, 0);
    struct operators_signed s;
    order.text = span_str(first);
    operators_policy(&c.operators, &order, &s);
    assert_int_equal(drivers_intent(&c.drivers, 4, &s, span_of(NULL, 0)), ERR_OK);
    crowd_run(&c, 2000);
    assert_int_equal(s.ref.gen, 3);
    assert_true(crowd_all_have(&c, &s.ref));
    crowd_fini(&c);
}

static void apply_trial(struct crowd *c, uint32_t within_ms)
{
    struct operators_order order = crowd_order(c, 0);
    order.confirm_within_ms = within_ms;
    assert_int_equal(crowd_apply(c, 0, &order), ERR_OK);
}

static enum err confirm(struct crowd *c, uint32_t i, uint32_t by)
{
    struct operators_signed s = {.len = PACK_MANIFEST_CONFIRM_BYTES};
    operators_confirm(&c->operators, by, &c->policy.ref, crowd_wall_ms(c), s.bytes);
    return drivers_intent(&c->drivers, i, &s, span_of(NULL, 0));
}

static void test_what_nobody_confirms_is_reverted(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, false);
    crowd_apply_next(&c, 0);
    crowd_run(&c, 2000);
    struct manifest_ref good = c.policy.ref;
    apply_trial(&c, 5000);
    crowd_run(&c, 3000);
    assert_true(crowd_all_have(&c, &c.policy.ref));
    crowd_run(&c, 4000);
    assert_true(crowd_all_have(&c, &good));
    assert_int_equal(crowd_status(&c, 1).state, STATUS_REVERTED);
    crowd_fini(&c);
}

static void test_what_is_confirmed_stays(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, false);
    apply_trial(&c, 5000);
    crowd_run(&c, 3000);
    assert_int_equal(confirm(&c, 3, 1), ERR_OK);
    crowd_run(&c, 20000);
    assert_true(crowd_all_have(&c, &c.policy.ref));
    crowd_fini(&c);
}

static void test_a_confirmation_heard_late_puts_it_in_force_again(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, false);
    apply_trial(&c, 5000);
    crowd_run(&c, 8000);
    assert_true(crowd_all_have(&c, &nothing));
    assert_int_equal(confirm(&c, 2, 0), ERR_OK);
    crowd_run(&c, 2000);
    assert_true(crowd_all_have(&c, &c.policy.ref));
    crowd_fini(&c);
}

static void test_a_confirmation_after_its_time_is_refused(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, false);
    apply_trial(&c, 5000);
    crowd_run(&c, 5000 + POLICY_CONFIRM_SLACK_MS + 2000);
    assert_int_equal(confirm(&c, 2, 0), ERR_EXPIRED);
    assert_true(crowd_all_have(&c, &nothing));
    crowd_fini(&c);
}

static void test_a_trial_goes_on_after_a_restart(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, false);
    apply_trial(&c, 20000);
    crowd_run(&c, 2000);
    world_crash(&c.world, 2, true);
    crowd_run(&c, 1000);
    assert_int_equal(world_start(&c.world, 2), ERR_OK);
    assert_true(manifest_ref_eq(&c.drivers.node[2].in_force, &c.policy.ref));
    crowd_run(&c, 25000);
    assert_true(crowd_all_have(&c, &nothing));
    crowd_fini(&c);
}

static void test_a_restarted_node_has_at_once_what_it_had(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, false);
    crowd_apply_next(&c, 0);
    crowd_run(&c, 2000);
    world_crash(&c.world, 1, true);
    crowd_run(&c, 1000);
    assert_int_equal(world_start(&c.world, 1), ERR_OK);
    struct manifest_ref active = gossip_policy_active(crowd_gossip(&c, 1));
    assert_true(manifest_ref_eq(&active, &c.policy.ref));
    crowd_fini(&c);
}

static void test_half_of_the_members_must_be_in_sight(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 7, false);
    for (uint32_t i = 3; i < 7; i++)
        world_crash(&c.world, i, true);
    crowd_run(&c, 30000);
    crowd_apply_next(&c, 0);
    crowd_run(&c, 5000);
    assert_int_equal(drivers_in_force(&c.drivers, &c.policy.ref), 0);
    assert_string_equal(gossip_policy_waits_for(crowd_gossip(&c, 0)),
                        "only 3 of 7 known members are in sight");
    struct operators_order order = crowd_order(&c, 0);
    order.planned = true;
    order.plan = manifest_plan_default();
    order.plan.force = true;
    assert_int_equal(crowd_apply(&c, 0, &order), ERR_OK);
    crowd_run(&c, 3000);
    assert_int_equal(drivers_in_force(&c.drivers, &c.policy.ref), 3);
    crowd_fini(&c);
}

static void apply_at_once(struct crowd *c, struct operators_signed *s)
{
    struct manifest m = {.scope = MANIFEST_POLICY,
                         .gen = 1,
                         .hlc = (uint64_t)crowd_wall_ms(c) << 16,
                         .root_gen = 1,
                         .author = {"op"},
                         .signer_count = 2,
                         .signer = {operators_id(&c->operators, 0), operators_id(&c->operators, 1)},
                         .plan = {.immediate = true}};
    static const uint32_t who[] = {0, 1};
    c->drivers.soak_us = 0;
    operators_sign(&c->operators, &m, who, s);
    assert_int_equal(drivers_intent(&c->drivers, 0, s, span_of(NULL, 0)), ERR_OK);
}

static void test_immediate_needs_no_canary(void **state)
{
    (void)state;
    struct crowd c;
    struct operators_signed s;
    crowd_init(&c, 5, false);
    apply_at_once(&c, &s);
    crowd_run(&c, MANIFEST_SOAK_MS_DEFAULT);
    assert_true(crowd_all_have(&c, &s.ref));
    crowd_fini(&c);
}

static void test_immediate_is_found_valid_by_all_before_one_has_it(void **state)
{
    (void)state;
    for (uint32_t bad = 0; bad < 5; bad++) {
        struct crowd c;
        struct operators_signed s;
        crowd_init(&c, 5, false);
        c.drivers.node[bad].fault = DRIVERS_REJECTS;
        uint32_t before = c.drivers.activations;
        apply_at_once(&c, &s);
        crowd_run(&c, 5000);
        assert_int_equal(c.drivers.activations, before);
        assert_int_equal(crowd_status(&c, (bad + 1) % 5).state, STATUS_STOPPED);
        crowd_fini(&c);
    }
}

static void test_who_joins_later_gets_what_the_others_have(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, false);
    world_crash(&c.world, 4, true);
    crowd_run(&c, 20000);
    crowd_apply_next(&c, 0);
    crowd_run(&c, 2000);
    c.drivers.node[1].fault = DRIVERS_REJECTS;
    struct manifest_ref good = c.policy.ref;
    crowd_apply_next(&c, 0);
    crowd_run(&c, 3000);
    assert_int_equal(world_start(&c.world, 4), ERR_OK);
    crowd_run(&c, 20000);
    assert_true(crowd_all_have(&c, &good));
    crowd_fini(&c);
}

/* It was in force there, and now the node says it does not work. */
static void turn_against_it(struct crowd *c, uint32_t i)
{
    struct gossip *g = crowd_gossip(c, i);
    struct policy_item *item = policy_find(&g->policy, &c->policy.ref.hash);
    assert_non_null(item);
    item->rejected = true;
    g->policy.rollout.stage = ROLLOUT_ENDED;
    rollout_retarget(g);
}

static void test_who_restarts_holds_to_what_was_complete(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, false);
    crowd_apply_next(&c, 0);
    crowd_run(&c, 2000);
    turn_against_it(&c, 4);
    crowd_run(&c, 5000);
    assert_int_equal(crowd_status(&c, 4).state, STATUS_ROLLED_BACK);
    assert_int_equal(drivers_in_force(&c.drivers, &c.policy.ref), 4);
    world_crash(&c.world, 1, true);
    crowd_run(&c, 1000);
    assert_int_equal(world_start(&c.world, 1), ERR_OK);
    crowd_run(&c, 10000);
    assert_int_equal(crowd_status(&c, 1).state, STATUS_APPLIED);
    assert_int_equal(drivers_in_force(&c.drivers, &c.policy.ref), 4);
    crowd_fini(&c);
}

static uint32_t count_in(struct crowd *c, enum rollout_stage stage, uint32_t *last)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->world.options.nodes; i++) {
        if (crowd_gossip(c, i)->policy.rollout.stage != stage) continue;
        *last = i;
        n++;
    }
    return n;
}

/* One whose soak does not end, where all the others have applied it. */
static uint32_t apply_but_for_one(struct crowd *c)
{
    uint32_t one = 0, other = 0;
    crowd_apply_next(c, 0);
    for (uint32_t i = 0; i < 2000; i++) {
        uint32_t soaking = count_in(c, ROLLOUT_SOAKING, &one);
        if (soaking > 0 && soaking + count_in(c, ROLLOUT_APPLIED, &other) == 5) break;
        crowd_run(c, 1);
    }
    struct rollout *r = &crowd_gossip(c, one)->policy.rollout;
    assert_int_equal(r->stage, ROLLOUT_SOAKING);
    r->soak_ms += 600000;
    crowd_run(c, 2000);
    assert_int_equal(count_in(c, ROLLOUT_APPLIED, &other), 4);
    return one;
}

static void test_one_that_never_says_applied_keeps_no_rollout_open(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, false);
    uint32_t one = apply_but_for_one(&c);
    crowd_run(&c, ROLLOUT_SETTLE_MS + 2000);
    turn_against_it(&c, one);
    crowd_run(&c, 5000);
    assert_int_equal(crowd_status(&c, one).state, STATUS_ROLLED_BACK);
    assert_int_equal(drivers_in_force(&c.drivers, &c.policy.ref), 4);
    crowd_fini(&c);
}

static void test_until_then_what_it_says_counts(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, false);
    uint32_t one = apply_but_for_one(&c);
    crowd_run(&c, ROLLOUT_SETTLE_MS - 10000);
    turn_against_it(&c, one);
    crowd_run(&c, 5000);
    assert_true(crowd_all_have(&c, &nothing));
    crowd_fini(&c);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_generation_applied_at_one_node_is_in_force_at_all),
        cmocka_unit_test(test_the_same_with_the_real_keys),
        cmocka_unit_test(test_every_node_hears_what_the_others_do_with_it),
        cmocka_unit_test(test_what_one_node_finds_invalid_is_in_force_nowhere),
        cmocka_unit_test(test_an_operator_may_overrule_one_bad_node),
        cmocka_unit_test(test_what_fails_when_put_in_force_is_taken_back_everywhere),
        cmocka_unit_test(test_what_crashes_the_canary_crashes_nobody_else),
        cmocka_unit_test(test_what_crashes_the_canary_in_its_soak_crashes_nobody_else),
        cmocka_unit_test(test_a_new_generation_follows_a_stopped_one),
        cmocka_unit_test(test_a_rollback_is_a_new_generation_with_the_old_texts),
        cmocka_unit_test(test_what_nobody_confirms_is_reverted),
        cmocka_unit_test(test_what_is_confirmed_stays),
        cmocka_unit_test(test_a_confirmation_heard_late_puts_it_in_force_again),
        cmocka_unit_test(test_a_confirmation_after_its_time_is_refused),
        cmocka_unit_test(test_a_trial_goes_on_after_a_restart),
        cmocka_unit_test(test_a_restarted_node_has_at_once_what_it_had),
        cmocka_unit_test(test_half_of_the_members_must_be_in_sight),
        cmocka_unit_test(test_immediate_needs_no_canary),
        cmocka_unit_test(test_immediate_is_found_valid_by_all_before_one_has_it),
        cmocka_unit_test(test_who_joins_later_gets_what_the_others_have),
        cmocka_unit_test(test_who_restarts_holds_to_what_was_complete),
        cmocka_unit_test(test_one_that_never_says_applied_keeps_no_rollout_open),
        cmocka_unit_test(test_until_then_what_it_says_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
