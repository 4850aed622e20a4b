#include "gossip/persist.h"
#include "gossip/catalogue.h"
#include "tests/unit/support_gossip.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define ALL UINT32_MAX

/* What a machine that knew three peers has stored. */
static void store_of_three(struct lab *lab)
{
    lab_init(lab, 3);
    lab_run(lab, 65000, ALL);
    assert_non_null(lab->store);
}

static void test_a_store_brings_back_members_bodies_and_names(void **state)
{
    (void)state;
    struct lab old, fresh;
    store_of_three(&old);
    lab_init(&fresh, 0);
    assert_true(persist_restore(fresh.g, span_of(old.store, old.store_len)));
    assert_int_equal(fresh.g->members.live, 4);
    assert_int_equal(lab_state(&fresh, 2), MEMBER_ALIVE);
    assert_true(span_eq_str(gossip_member_body(fresh.g, &fresh.peer[2].persona.id), "web"));
    assert_non_null(member_find_name(&fresh.g->members, &fresh.peer[2].persona.name));
    lab_fini(&old);
    lab_fini(&fresh);
}

static void test_the_unreachable_are_stored_too_and_those_who_left_are_not(void **state)
{
    (void)state;
    struct lab old, fresh;
    lab_init(&old, 8);
    for (uint32_t i = 2; i <= 4; i++) {
        struct message m = {.kind = MESSAGE_ACCUSE, .accusation = lab_accuse(&old, 1, i)};
        lab_say(&old, i, &m);
    }
    old.peer[5].head.flags = HEAD_LEFT;
    old.peer[5].head.version++;
    lab_sign(&old, 5);
    struct offer bye = {.head = old.peer[5].head};
    lab_say_record(&old, 2, &bye);
    lab_run(&old, 65000, ALL & ~2u);
    assert_int_equal(lab_state(&old, 1), MEMBER_DEAD);
    lab_init(&fresh, 0);
    assert_true(persist_restore(fresh.g, span_of(old.store, old.store_len)));
    assert_int_equal(lab_state(&fresh, 1), MEMBER_DEAD);
    assert_int_equal(lab_state(&fresh, 2), MEMBER_ALIVE);
    assert_true(lab_member(&fresh, 2)->restored);
    assert_null(lab_member(&fresh, 5));
    lab_fini(&old);
    lab_fini(&fresh);
}

/* security.md N09. */
static void test_a_damaged_store_is_ignored_whole(void **state)
{
    (void)state;
    struct lab old, fresh;
    store_of_three(&old);
    lab_init(&fresh, 0);
    for (size_t i = 0; i < old.store_len; i += 7) {
        old.store[i] ^= 1;
        assert_false(persist_restore(fresh.g, span_of(old.store, old.store_len)));
        old.store[i] ^= 1;
    }
    for (size_t cut = 0; cut < old.store_len; cut += 5)
        assert_false(persist_restore(fresh.g, span_of(old.store, cut)));
    assert_int_equal(fresh.g->members.count, 1);
    lab_fini(&old);
    lab_fini(&fresh);
}

static void test_peers_that_are_no_longer_admitted_leave_their_address(void **state)
{
    (void)state;
    struct lab old, fresh;
    store_of_three(&old);
    lab_init(&fresh, 0);
    fresh.g->issuer_pk[0] ^= 1;
    assert_true(persist_restore(fresh.g, span_of(old.store, old.store_len)));
    assert_int_equal(fresh.g->members.count, 1);
    assert_int_equal(fresh.g->sync.seed_count, 3);
    lab_fini(&old);
    lab_fini(&fresh);
}

static void test_nothing_new_is_not_stored_again(void **state)
{
    (void)state;
    struct lab lab;
    store_of_three(&lab);
    lab_forget(&lab);
    lab_run(&lab, 130000, ALL);
    assert_int_equal(lab_effects(&lab, GOSSIP_PERSIST), 0);
    struct offer o = lab_offer(&lab, 5);
    lab_say_record(&lab, 1, &o);
    lab_run(&lab, 65000, ALL);
    assert_int_equal(lab_effects(&lab, GOSSIP_PERSIST), 1);
    lab_fini(&lab);
}

static void test_who_is_long_gone_stays_so_over_a_restart(void **state)
{
    (void)state;
    struct lab old, fresh;
    lab_init(&old, 3);
    struct offer o = lab_offer(&old, 5);
    grave_dig(&old.g->graves, &o.head.owner, o.head.epoch + 1, LAB_WALL_MS);
    old.g->persist_due = true;
    lab_run(&old, 65000, ALL);
    lab_init(&fresh, 0);
    assert_true(persist_restore(fresh.g, span_of(old.store, old.store_len)));
    assert_int_equal(catalogue_take(fresh.g, &o, NULL, CATALOGUE_RESTORED), CATALOGUE_STALE);
    lab_fini(&old);
    lab_fini(&fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_store_brings_back_members_bodies_and_names),
        cmocka_unit_test(test_the_unreachable_are_stored_too_and_those_who_left_are_not),
        cmocka_unit_test(test_a_damaged_store_is_ignored_whole),
        cmocka_unit_test(test_peers_that_are_no_longer_admitted_leave_their_address),
        cmocka_unit_test(test_nothing_new_is_not_stored_again),
        cmocka_unit_test(test_who_is_long_gone_stays_so_over_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
