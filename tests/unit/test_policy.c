#include "tests/unit/support_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct manifest_ref head_of(struct crowd *c, uint32_t i)
{
    return gossip_policy_head(crowd_gossip(c, i), MANIFEST_POLICY);
}

static bool all_have_root(struct crowd *c, const struct manifest_ref *ref)
{
    for (uint32_t i = 0; i < c->world.options.nodes; i++) {
        struct manifest_ref root = gossip_policy_head(crowd_gossip(c, i), MANIFEST_ROOT);
        if (!manifest_ref_eq(&root, ref)) return false;
    }
    return true;
}

static size_t siblings(struct crowd *c, uint32_t i)
{
    struct gossip_policy_entry e;
    size_t n = 0;
    for (size_t pos = 0; gossip_policy_next(crowd_gossip(c, i), MANIFEST_POLICY, &pos, &e);)
        n += e.sibling;
    return n;
}

static void test_of_two_applied_at_once_one_wins_and_one_is_reported(void **state)
{
    (void)state;
    struct crowd c;
    struct operators_signed a, b;
    crowd_init(&c, 6, false);
    struct operators_order one = crowd_order(&c, 0), two = crowd_order(&c, 2);
    one.text = SPAN_LIT("# one");
    two.text = SPAN_LIT("# two");
    operators_policy(&c.operators, &one, &a);
    operators_policy(&c.operators, &two, &b);
    assert_int_equal(drivers_intent(&c.drivers, 1, &a, one.text), ERR_OK);
    assert_int_equal(drivers_intent(&c.drivers, 4, &b, two.text), ERR_OK);
    c.drivers.soak_us = 0; /* two begin at once, each with its own canary */
    crowd_run(&c, 5000);
    const struct operators_signed *won = manifest_hash_cmp(&a.ref.hash, &b.ref.hash) > 0 ? &a : &b;
    assert_true(crowd_all_have(&c, &won->ref));
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(siblings(&c, i), 1);
    crowd_fini(&c);
}

static void test_what_is_not_built_on_the_newest_is_refused_at_once(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 3, false);
    struct operators_order order = crowd_order(&c, 0);
    crowd_apply_next(&c, 0);
    order.text = SPAN_LIT("# too late");
    assert_int_equal(crowd_apply(&c, 0, &order), ERR_MISMATCH);
    assert_int_equal(gossip_policy_intent_refusal(crowd_gossip(&c, 0)), POLICY_NOT_HEAD);
    crowd_fini(&c);
}

static void test_texts_must_be_those_that_are_named(void **state)
{
    (void)state;
    struct crowd c;
    struct operators_signed s;
    crowd_init(&c, 3, false);
    struct operators_order order = crowd_order(&c, 0);
    order.text = SPAN_LIT("# this");
    operators_policy(&c.operators, &order, &s);
    assert_int_equal(drivers_intent(&c.drivers, 0, &s, SPAN_LIT("# that")), ERR_MISMATCH);
    assert_int_equal(drivers_intent(&c.drivers, 0, &s, span_of(NULL, 0)), ERR_NOT_FOUND);
    assert_int_equal(head_of(&c, 0).gen, 0);
    assert_int_equal(drivers_intent(&c.drivers, 0, &s, order.text), ERR_OK);
    crowd_fini(&c);
}

static void test_a_long_text_is_pulled(void **state)
{
    (void)state;
    struct crowd c;
    size_t len = 300000;
    char *text = malloc(len);
    assert_non_null(text);
    memset(text, '#', len);
    crowd_init(&c, 5, false);
    struct operators_order order = crowd_order(&c, 0);
    order.text = span_of(text, len);
    assert_int_equal(crowd_apply(&c, 2, &order), ERR_OK);
    crowd_run(&c, 6000);
    assert_true(crowd_all_have(&c, &c.policy.ref));
    struct manifest_hash hash = sign_manifest_hash(order.text);
    assert_true(span_eq(gossip_policy_text(crowd_gossip(&c, 4), &hash), order.text));
    free(text);
    crowd_fini(&c);
}

static void test_only_operators_sign_policy_and_only_admins_roots(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 3, false);
    struct operators_order order = crowd_root_order(&c, 1);
    assert_int_equal(crowd_apply_root(&c, 0, &order), ERR_DENIED);
    order = crowd_root_order(&c, 2);
    order.left_out = 4; /* operator 3 */
    assert_int_equal(crowd_apply_root(&c, 0, &order), ERR_OK);
    crowd_run(&c, 2000);
    assert_true(all_have_root(&c, &c.root.ref));
    order = crowd_order(&c, 3);
    assert_int_equal(crowd_apply(&c, 0, &order), ERR_UNTRUSTED);
    order = crowd_order(&c, OPERATORS_ISSUER);
    assert_int_equal(crowd_apply(&c, 0, &order), ERR_DENIED);
    crowd_fini(&c);
}

/* Node 4 does not yet know of the removal, and takes what the removed operator signs after it. */
static void test_what_a_removed_operator_signs_later_is_dropped_everywhere(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, false);
    struct operators_order order = crowd_order(&c, 3);
    order.text = SPAN_LIT("# before");
    assert_int_equal(crowd_apply(&c, 0, &order), ERR_OK);
    crowd_run(&c, 2000);
    struct manifest_ref before = c.policy.ref;
    struct operators_order after = crowd_order(&c, 3);
    after.text = SPAN_LIT("# after");
    struct operators_order remove = crowd_root_order(&c, 0);
    remove.left_out = 4;
    assert_int_equal(crowd_apply_root(&c, 0, &remove), ERR_OK);
    assert_int_equal(crowd_apply(&c, 4, &after), ERR_OK);
    crowd_run(&c, 10000);
    assert_true(all_have_root(&c, &c.root.ref));
    assert_true(crowd_all_have(&c, &before)); /* pinned: it stays, though its author has gone */
    assert_int_equal(drivers_heads(&c.drivers, &before), 5);
    assert_true(gossip_policy_refusals(crowd_gossip(&c, 0), POLICY_UNKNOWN_SIGNER) > 0);
    crowd_fini(&c);
}

static enum err confirm(struct crowd *c, uint32_t i, uint32_t by, const struct manifest_ref *ref)
{
    struct operators_signed s = {.len = PACK_MANIFEST_CONFIRM_BYTES};
    operators_confirm(&c->operators, by, ref, crowd_wall_ms(c), s.bytes);
    return drivers_intent(&c->drivers, i, &s, span_of(NULL, 0));
}

static void apply_trial(struct crowd *c, uint32_t by, const char *text)
{
    struct operators_order order = crowd_order(c, by);
    order.text = span_str(text);
    order.confirm_within_ms = 5000;
    assert_int_equal(crowd_apply(c, 0, &order), ERR_OK);
    crowd_run(c, 2000);
}

static void remove_three(struct crowd *c, const struct manifest_ref *pinned)
{
    struct operators_order remove = crowd_root_order(c, 0);
    remove.left_out = 4;
    remove.pinned = *pinned;
    assert_int_equal(crowd_apply_root(c, 0, &remove), ERR_OK);
    crowd_run(c, 3000);
}

static void test_a_trial_goes_with_its_operator(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, false);
    crowd_apply_next(&c, 0);
    crowd_run(&c, 2000);
    struct manifest_ref good = c.policy.ref;
    apply_trial(&c, 3, "# a trial");
    assert_true(crowd_all_have(&c, &c.policy.ref));
    struct manifest_ref trial = c.policy.ref;
    remove_three(&c, &good);
    assert_true(crowd_all_have(&c, &good));
    assert_int_equal(confirm(&c, 1, 3, &trial), ERR_NOT_FOUND);
    crowd_run(&c, 2000);
    assert_true(crowd_all_have(&c, &good));
    crowd_fini(&c);
}

static void test_who_was_removed_confirms_no_trial_behind_what_is_pinned(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, false);
    apply_trial(&c, 3, "# a trial");
    struct manifest_ref trial = c.policy.ref;
    crowd_run(&c, 6000); /* nobody confirms it */
    crowd_apply_next(&c, 0);
    crowd_run(&c, 2000);
    remove_three(&c, &c.policy.ref);
    assert_int_equal(confirm(&c, 1, 3, &trial), ERR_UNTRUSTED);
    assert_false(policy_find(&crowd_gossip(&c, 1)->policy, &trial.hash)->confirmed);
    assert_true(crowd_all_have(&c, &c.policy.ref));
    crowd_fini(&c);
}

/* It was confirmed in time: who hears of that after the removal takes it. */
static void test_what_was_confirmed_before_stays_confirmed(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, false);
    apply_trial(&c, 3, "# a trial");
    struct manifest_ref trial = c.policy.ref;
    world_crash(&c.world, 4, true);
    assert_int_equal(confirm(&c, 1, 3, &trial), ERR_OK);
    crowd_run(&c, 1000);
    remove_three(&c, &trial);
    assert_int_equal(world_start(&c.world, 4), ERR_OK);
    crowd_run(&c, 20000);
    assert_true(crowd_all_have(&c, &trial));
    crowd_fini(&c);
}

static void test_nobody_removed_outruns_the_one_who_removed_them(void **state)
{
    (void)state;
    struct crowd c;
    struct operators_signed more;
    crowd_init(&c, 6, false);
    struct operators_order coup = crowd_root_order(&c, 2), remove = crowd_root_order(&c, 0);
    coup.left_out = 1;
    remove.left_out = 3;
    struct operators_signed first = c.root;
    assert_int_equal(crowd_apply_root(&c, 5, &coup), ERR_OK);
    coup = crowd_root_order(&c, 2); /* and another on top of it: longer does not win */
    coup.left_out = 1;
    operators_root(&c.operators, &coup, &more);
    assert_int_equal(drivers_intent(&c.drivers, 5, &more, span_of(NULL, 0)), ERR_OK);
    c.root = first;
    assert_int_equal(crowd_apply_root(&c, 0, &remove), ERR_OK);
    crowd_run(&c, 20000);
    assert_true(all_have_root(&c, &c.root.ref));
    crowd_fini(&c);
}

static void test_a_new_operator_may_sign_before_all_know_of_it(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, false);
    struct operators_order order = crowd_root_order(&c, 0);
    order.left_out = 6;
    assert_int_equal(crowd_apply_root(&c, 0, &order), ERR_OK);
    crowd_run(&c, 2000);
    order = crowd_root_order(&c, 0);
    assert_int_equal(crowd_apply_root(&c, 0, &order), ERR_OK);
    order = crowd_order(&c, 5);
    order.text = SPAN_LIT("# new here");
    assert_int_equal(crowd_apply(&c, 0, &order), ERR_OK);
    crowd_run(&c, 5000);
    assert_true(crowd_all_have(&c, &c.policy.ref));
    crowd_fini(&c);
}

static void test_history_is_bounded_and_a_newcomer_gets_all_of_it(void **state)
{
    (void)state;
    struct crowd c;
    struct gossip_policy_entry e;
    crowd_init(&c, 4, false);
    world_crash(&c.world, 3, true);
    crowd_run(&c, 15000);
    for (uint32_t i = 0; i < POLICY_HELD_MAX + 10; i++) {
        crowd_apply_next(&c, 0);
        crowd_run(&c, 1000);
    }
    assert_int_equal(drivers_in_force(&c.drivers, &c.policy.ref), 3);
    size_t held = 0;
    for (size_t pos = 0; gossip_policy_next(crowd_gossip(&c, 0), MANIFEST_POLICY, &pos, &e);)
        held++;
    assert_int_equal(held, POLICY_HELD_MAX);
    assert_int_equal(world_start(&c.world, 3), ERR_OK);
    crowd_run(&c, 20000);
    assert_true(crowd_all_have(&c, &c.policy.ref));
    crowd_fini(&c);
}

static void test_a_store_is_taken_up_whole_or_not_at_all(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 3, false);
    crowd_apply_next(&c, 0);
    crowd_run(&c, 2000);
    struct drivers_node *n = &c.drivers.node[1];
    world_crash(&c.world, 1, true);
    n->store[n->store_len / 2] ^= 1;
    assert_int_equal(world_start(&c.world, 1), ERR_OK);
    assert_int_equal(head_of(&c, 1).gen, 0);
    crowd_run(&c, 20000); /* the others have it */
    assert_true(crowd_all_have(&c, &c.policy.ref));
    crowd_fini(&c);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_two_applied_at_once_one_wins_and_one_is_reported),
        cmocka_unit_test(test_what_is_not_built_on_the_newest_is_refused_at_once),
        cmocka_unit_test(test_texts_must_be_those_that_are_named),
        cmocka_unit_test(test_a_long_text_is_pulled),
        cmocka_unit_test(test_only_operators_sign_policy_and_only_admins_roots),
        cmocka_unit_test(test_what_a_removed_operator_signs_later_is_dropped_everywhere),
        cmocka_unit_test(test_a_trial_goes_with_its_operator),
        cmocka_unit_test(test_who_was_removed_confirms_no_trial_behind_what_is_pinned),
        cmocka_unit_test(test_what_was_confirmed_before_stays_confirmed),
        cmocka_unit_test(test_nobody_removed_outruns_the_one_who_removed_them),
        cmocka_unit_test(test_a_new_operator_may_sign_before_all_know_of_it),
        cmocka_unit_test(test_history_is_bounded_and_a_newcomer_gets_all_of_it),
        cmocka_unit_test(test_a_store_is_taken_up_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
