#include "gossip/refuted.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define START 5000u

static void test_who_never_refuted_has_left_nothing(void **state)
{
    (void)state;
    struct refuted r = {0};
    assert_false(refuted_counts(&r, 0, 0));
    assert_false(refuted_counts(&r, UINT32_MAX, START));
    assert_int_equal(refuted_end_ms(&r), 0);
}

static void test_what_was_left_counts_for_a_while(void **state)
{
    (void)state;
    struct refuted r = {0};
    refuted_note(&r, 7, START);
    assert_true(refuted_counts(&r, 7, START));
    assert_true(refuted_counts(&r, 7, START + REFUTED_MS - 1));
    assert_false(refuted_counts(&r, 7, START + REFUTED_MS));
    assert_false(refuted_counts(&r, 6, START));
    assert_int_equal(refuted_end_ms(&r), START + REFUTED_MS);
}

/* However often it refutes, each incarnation counts for half the time at least, and none for more
 * than all of it. */
static void test_each_incarnation_counts_neither_too_long_nor_too_short(void **state)
{
    (void)state;
    for (uint64_t gap = 100; gap <= 2 * REFUTED_MS; gap += 100) {
        struct refuted r = {0};
        for (uint32_t inc = 0; inc < 200; inc++) {
            uint64_t now = START + inc * gap;
            refuted_note(&r, inc, now);
            for (uint32_t old = 0; old <= inc; old++) {
                uint64_t since = now - (START + old * gap);
                if (since < REFUTED_MS / 2) assert_true(refuted_counts(&r, old, now));
                if (since >= REFUTED_MS) assert_false(refuted_counts(&r, old, now));
            }
        }
        assert_false(refuted_counts(&r, UINT32_MAX, refuted_end_ms(&r)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_never_refuted_has_left_nothing),
        cmocka_unit_test(test_what_was_left_counts_for_a_while),
        cmocka_unit_test(test_each_incarnation_counts_neither_too_long_nor_too_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
