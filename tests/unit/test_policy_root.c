/* Chains of roots: long ones, full ones, and what the issuer settles. */
#include "tests/unit/support_policy.h"
#include "tests/unit/support_siege.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool all_have_root(struct crowd *c, const struct manifest_ref *ref)
{
    for (uint32_t i = 0; i < c->world.options.nodes; i++) {
        struct manifest_ref root = gossip_policy_head(crowd_gossip(c, i), MANIFEST_ROOT);
        if (!manifest_ref_eq(&root, ref)) return false;
    }
    return true;
}

static void next_root(struct crowd *c, uint32_t i, uint32_t by)
{
    struct operators_order order = crowd_root_order(c, by);
    assert_int_equal(crowd_apply_root(c, i, &order), ERR_OK);
}

/* A root of the issuer on top of `after`, which it signed too. */
static void settle(struct crowd *c, uint32_t i, const struct manifest_ref *after)
{
    struct operators_order order = crowd_root_order(c, OPERATORS_ISSUER);
    order.gen = after->gen + 1;
    order.root_gen = after->gen;
    order.parent = after->hash;
    assert_int_equal(crowd_apply_root(c, i, &order), ERR_OK);
}

/* What decides comes last, after two replies' worth of roots that alone would lose. */
static void test_a_long_branch_is_pulled_until_it_wins(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 4, false);
    struct operators_signed first = c.root;
    world_crash(&c.world, 3, true);
    crowd_run(&c, 15000);
    for (uint32_t gen = 2; gen < 200; gen++) {
        next_root(&c, 0, 4);
        crowd_run(&c, 20);
    }
    next_root(&c, 0, 0);
    crowd_run(&c, 5000);
    struct operators_signed newest = c.root;
    assert_int_equal(world_start(&c.world, 3), ERR_OK);
    c.root = first;
    for (uint32_t i = 0; i < 5; i++)
        next_root(&c, 3, 2); /* more senior than 4 */
    uint64_t lost = gossip_policy_refusals(crowd_gossip(&c, 3), POLICY_FORK_LOST);
    crowd_run(&c, 20000);
    assert_true(all_have_root(&c, &newest.ref));
    lost = gossip_policy_refusals(crowd_gossip(&c, 3), POLICY_FORK_LOST) - lost;
    assert_in_range(lost, 198, 2000); /* each of them, before the last */
    crowd_fini(&c);
}

/* And one that loses to the end changes nothing, however long. */
static void test_a_long_branch_of_juniors_loses(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 4, false);
    struct operators_signed first = c.root;
    world_crash(&c.world, 3, true);
    crowd_run(&c, 15000);
    for (uint32_t gen = 2; gen < 100; gen++) {
        next_root(&c, 0, 4);
        crowd_run(&c, 20);
    }
    assert_int_equal(world_start(&c.world, 3), ERR_OK);
    c.root = first;
    next_root(&c, 3, 2);
    crowd_run(&c, 20000);
    assert_true(all_have_root(&c, &c.root.ref));
    crowd_fini(&c);
}

static void test_the_issuer_shortens_a_chain_and_policy_stays(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 4, false);
    const struct manifest_ref first = c.root.ref;
    for (uint32_t gen = 2; gen < 12; gen++) {
        next_root(&c, 1, gen % 2 == 0 ? 0 : 2);
        crowd_run(&c, 500);
    }
    crowd_apply_next(&c, 0); /* under root 11 */
    crowd_run(&c, 2000);
    settle(&c, 2, &first);
    assert_int_equal(c.root.ref.gen, 2);
    crowd_run(&c, 3000);
    assert_true(all_have_root(&c, &c.root.ref));
    assert_true(crowd_all_have(&c, &c.policy.ref));
    crowd_apply_next(&c, 1); /* under root 2 */
    crowd_run(&c, 2000);
    assert_true(crowd_all_have(&c, &c.policy.ref));
    struct manifest_ref once = c.root.ref;
    next_root(&c, 0, 0);
    settle(&c, 3, &once);
    crowd_run(&c, 3000);
    assert_int_equal(c.root.ref.gen, 3);
    assert_true(all_have_root(&c, &c.root.ref));
    crowd_fini(&c);
}

static void test_who_comes_after_that_gets_the_policy_of_before(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 4, false);
    const struct manifest_ref first = c.root.ref;
    world_crash(&c.world, 3, true);
    for (uint32_t gen = 2; gen < 12; gen++) {
        next_root(&c, 1, 0);
        crowd_run(&c, 500);
    }
    crowd_apply_next(&c, 0);
    crowd_run(&c, 2000);
    settle(&c, 2, &first);
    crowd_run(&c, 15000);
    c.drivers.node[3].store_len = 0; /* it has never heard of any of it */
    assert_int_equal(world_start(&c.world, 3), ERR_OK);
    crowd_run(&c, 20000);
    assert_true(all_have_root(&c, &c.root.ref));
    assert_true(crowd_all_have(&c, &c.policy.ref));
    crowd_fini(&c);
}

static struct operators_signed root_of(const struct siege *s, uint32_t by, uint32_t left_out,
                                       const struct manifest_ref *after)
{
    struct operators_order o = {.gen = after->gen + 1,
                                .root_gen = after->gen,
                                .parent = after->hash,
                                .wall_ms = LAB_WALL_MS,
                                .by = by,
                                .count = OPERATORS - 1,
                                .left_out = left_out};
    struct operators_signed out;
    operators_root(&s->operators, &o, &out);
    return out;
}

static void expect_root(struct siege *s, const struct operators_signed *m)
{
    struct manifest_ref newest = gossip_policy_head(s->lab.g, MANIFEST_ROOT);
    assert_true(manifest_ref_eq(&newest, &m->ref));
}

/* The rule, both ways: seniority is for ever, and the issuer is above it. */
static void test_a_removed_senior_undoes_what_juniors_did_but_not_the_issuer(void **state)
{
    (void)state;
    for (unsigned settled = 0; settled < 2; settled++) {
        struct siege s;
        support_siege_init(&s);
        struct operators_signed removal = root_of(&s, 2, 1, &s.root.ref);
        struct operators_signed issued = root_of(&s, OPERATORS_ISSUER, 1, &s.root.ref);
        struct operators_signed undo = root_of(&s, 0, 3, &s.root.ref);
        support_siege_say(&s, 1, &removal, NULL);
        expect_root(&s, &removal);
        if (settled) support_siege_say(&s, 2, &issued, NULL);
        lab_run(&s.lab, 3600000, ~0u); /* how long ago it was does not matter */
        support_siege_say(&s, 3, &undo, NULL);
        expect_root(&s, settled ? &issued : &undo);
        support_siege_say(&s, 3, &removal, NULL);
        expect_root(&s, settled ? &issued : &undo);
        support_siege_fini(&s);
    }
}

static void test_a_chain_that_is_full_is_opened_by_the_issuer_alone(void **state)
{
    (void)state;
    struct siege s;
    support_siege_init(&s);
    struct operators_signed last = s.root;
    while (last.ref.gen < POLICY_ROOTS_MAX) {
        last = root_of(&s, 2, 0, &last.ref);
        assert_int_equal(support_siege_intend(&s, &last, span_of(NULL, 0)), ERR_OK);
    }
    expect_root(&s, &last);
    struct operators_signed more = root_of(&s, 0, 3, &last.ref);
    assert_int_equal(support_siege_intend(&s, &more, span_of(NULL, 0)), ERR_FULL);
    assert_int_equal(gossip_policy_intent_refusal(s.lab.g), POLICY_ROOTS_FULL);
    struct operators_signed issued = root_of(&s, OPERATORS_ISSUER, 3, &s.root.ref);
    assert_int_equal(support_siege_intend(&s, &issued, span_of(NULL, 0)), ERR_OK);
    expect_root(&s, &issued);
    more = root_of(&s, 0, 3, &issued.ref);
    assert_int_equal(support_siege_intend(&s, &more, span_of(NULL, 0)), ERR_OK);
    support_siege_fini(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_long_branch_is_pulled_until_it_wins),
        cmocka_unit_test(test_a_long_branch_of_juniors_loses),
        cmocka_unit_test(test_the_issuer_shortens_a_chain_and_policy_stays),
        cmocka_unit_test(test_who_comes_after_that_gets_the_policy_of_before),
        cmocka_unit_test(test_a_removed_senior_undoes_what_juniors_did_but_not_the_issuer),
        cmocka_unit_test(test_a_chain_that_is_full_is_opened_by_the_issuer_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
