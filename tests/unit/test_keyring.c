/* The decisions of a key ring, as facts about one node; scenario S14 of the simulator has many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gossip/keyring.h"

#define OLD 1u
#define NEW 2u

/* Two keys on the list, the new one to be installed; the old one seals. */
static struct keyring_view rotating(void)
{
    return (struct keyring_view){
        .listed_count = 2,
        .listed = {{.id = OLD, .in_use = true, .held = true}, {.id = NEW, .available = true}},
        .ring_count = 1,
        .ring = {OLD},
        .hold_ms = 60000};
}

static struct keyring_view installed(void)
{
    struct keyring_view v = rotating();
    v.listed[1].held = true;
    v.ring[v.ring_count++] = NEW;
    return v;
}

static void decides(const struct keyring_view *v, enum keyring_act act, uint32_t id)
{
    struct keyring_decision d = keyring_decide(v);
    assert_int_equal(d.act, act);
    assert_int_equal(d.id, id);
}

static void test_without_a_list_or_a_key_nothing_is_done(void **state)
{
    (void)state;
    struct keyring_view v = rotating();
    v.listed_count = 0;
    decides(&v, KEYRING_WAIT, 0);
    v = rotating();
    v.ring_count = 0;
    decides(&v, KEYRING_WAIT, 0);
}

static void test_a_listed_key_that_a_member_has_is_asked_for(void **state)
{
    (void)state;
    struct keyring_view v = rotating();
    decides(&v, KEYRING_ASK, NEW);
    v.listed[1].available = false;
    decides(&v, KEYRING_WAIT, 0);
}

static void test_a_new_key_seals_when_enough_have_had_it_for_long_enough(void **state)
{
    (void)state;
    struct keyring_view v = installed();
    decides(&v, KEYRING_WAIT, 0);
    v.enough_ms = KEYRING_SETTLE_MS - 1;
    decides(&v, KEYRING_WAIT, 0);
    v.enough_ms = KEYRING_SETTLE_MS;
    decides(&v, KEYRING_USE, NEW);
}

static void test_nobody_goes_back_to_the_older_key(void **state)
{
    (void)state;
    struct keyring_view v = installed();
    v.ring[0] = NEW;
    v.ring[1] = OLD;
    v.enough_ms = 0; /* a member without it has come */
    decides(&v, KEYRING_WAIT, 0);
}

static void test_a_key_listed_as_in_use_seals_at_once(void **state)
{
    (void)state;
    struct keyring_view v = installed();
    v.listed[1].in_use = true;
    decides(&v, KEYRING_USE, NEW);
}

static void test_an_old_key_is_dropped_after_the_hold_and_only_when_it_does_not_seal(void **state)
{
    (void)state;
    struct keyring_view v = installed();
    v.age_ms = v.hold_ms;
    decides(&v, KEYRING_WAIT, 0); /* the old one still seals */
    v.ring[0] = NEW;
    v.ring[1] = OLD;
    decides(&v, KEYRING_DROP, OLD);
    v.age_ms = v.hold_ms - 1;
    decides(&v, KEYRING_WAIT, 0);
}

static void test_a_dropped_key_is_not_asked_for_again(void **state)
{
    (void)state;
    struct keyring_view v = installed();
    v.ring[0] = NEW;
    v.ring_count = 1;
    v.listed[0].held = false;
    v.listed[0].available = true; /* another has it still */
    v.age_ms = v.hold_ms;
    decides(&v, KEYRING_WAIT, 0);
    v.age_ms = v.hold_ms - 1; /* before that it may be needed to hear the others */
    decides(&v, KEYRING_ASK, OLD);
}

static void test_who_was_away_for_the_whole_rotation_catches_up(void **state)
{
    (void)state;
    struct keyring_view v = rotating();
    v.age_ms = v.hold_ms * 10;
    decides(&v, KEYRING_ASK, NEW);
    v = installed();
    v.age_ms = v.hold_ms * 10;
    v.enough_ms = KEYRING_SETTLE_MS;
    decides(&v, KEYRING_USE, NEW);
    v.ring[0] = NEW;
    v.ring[1] = OLD;
    decides(&v, KEYRING_DROP, OLD);
}

static void test_a_key_on_no_list_waits_for_its_root_and_is_dropped_then(void **state)
{
    (void)state;
    struct keyring_view v = rotating();
    v.listed_count = 1;
    v.ring[v.ring_count++] = NEW; /* just made here */
    v.unlisted_ms = KEYRING_UNLISTED_MS - 1;
    decides(&v, KEYRING_WAIT, 0);
    v.unlisted_ms = KEYRING_UNLISTED_MS;
    decides(&v, KEYRING_DROP, NEW);
}

static void test_a_sealing_key_that_was_taken_off_the_list_is_replaced_at_once(void **state)
{
    (void)state;
    struct keyring_view v = installed();
    v.listed[0] = v.listed[1];
    v.listed_count = 1;
    decides(&v, KEYRING_USE, NEW);
    v.ring[0] = NEW;
    v.ring[1] = OLD;
    v.unlisted_ms = KEYRING_UNLISTED_MS;
    decides(&v, KEYRING_DROP, OLD);
}

static void test_the_last_key_is_never_dropped(void **state)
{
    (void)state;
    struct keyring_view v = rotating();
    v.listed[0] = (struct keyring_listed){.id = NEW};
    v.listed_count = 1;
    v.unlisted_ms = KEYRING_UNLISTED_MS * 2;
    v.age_ms = v.hold_ms * 2;
    decides(&v, KEYRING_WAIT, 0);
}

static void test_a_full_ring_gives_up_its_oldest_for_a_newer_key_only(void **state)
{
    (void)state;
    struct keyring_view v = {.listed_count = 4,
                             .listed = {{.id = 1, .in_use = true, .held = true},
                                        {.id = 2, .in_use = true, .held = true},
                                        {.id = 3, .in_use = true, .held = true},
                                        {.id = 4, .available = true}},
                             .ring_count = 3,
                             .ring = {3, 2, 1},
                             .hold_ms = 60000};
    decides(&v, KEYRING_DROP, 1);
    v.ring[2] = 9; /* on no list, and the one that is wanted is older than what seals */
    v.listed[0].held = false;
    v.listed[0].available = true;
    v.listed[3].available = false;
    decides(&v, KEYRING_WAIT, 0);
}

static void test_a_new_key_needs_99_of_100_and_half_of_the_mesh(void **state)
{
    (void)state;
    assert_true(keyring_enough(1, 1, 1));
    assert_true(keyring_enough(3, 3, 3));
    assert_false(keyring_enough(2, 3, 3));
    assert_true(keyring_enough(99, 100, 100));
    assert_false(keyring_enough(98, 100, 100));
    assert_true(keyring_enough(50, 50, 100));
    assert_false(keyring_enough(49, 49, 100)); /* the smaller half of a cut */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_list_or_a_key_nothing_is_done),
        cmocka_unit_test(test_a_listed_key_that_a_member_has_is_asked_for),
        cmocka_unit_test(test_a_new_key_seals_when_enough_have_had_it_for_long_enough),
        cmocka_unit_test(test_nobody_goes_back_to_the_older_key),
        cmocka_unit_test(test_a_key_listed_as_in_use_seals_at_once),
        cmocka_unit_test(test_an_old_key_is_dropped_after_the_hold_and_only_when_it_does_not_seal),
        cmocka_unit_test(test_a_dropped_key_is_not_asked_for_again),
        cmocka_unit_test(test_who_was_away_for_the_whole_rotation_catches_up),
        cmocka_unit_test(test_a_key_on_no_list_waits_for_its_root_and_is_dropped_then),
        cmocka_unit_test(test_a_sealing_key_that_was_taken_off_the_list_is_replaced_at_once),
        cmocka_unit_test(test_the_last_key_is_never_dropped),
        cmocka_unit_test(test_a_full_ring_gives_up_its_oldest_for_a_newer_key_only),
        cmocka_unit_test(test_a_new_key_needs_99_of_100_and_half_of_the_mesh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
