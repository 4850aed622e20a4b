#include "gossip/quality.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void test_one_of_five_answered_is_lossy(void **state)
{
    (void)state;
    assert_true(quality_is_lossy(1u << 4 | 1u << 9 | 1u << 14));
    assert_true(quality_is_lossy(1u << 7));
}

static void test_one_that_answers_nearly_all_is_not(void **state)
{
    (void)state;
    assert_false(quality_is_lossy((1u << QUALITY_PINGS) - 1));
    assert_false(quality_is_lossy(0x5555)); /* every second one */
    assert_false(quality_is_lossy(0xeeee));
}

static void test_silence_is_not_lossiness(void **state)
{
    (void)state;
    assert_false(quality_is_lossy(0));
    /* It answered at first, then died or was stopped. */
    assert_false(quality_is_lossy(0x000f));
    assert_false(quality_is_lossy(0x0001));
}

static void test_one_that_wakes_up_answers_all_it_finds(void **state)
{
    (void)state;
    /* Stopped during the middle third; what had waited is answered too, but for a few. */
    assert_false(quality_is_lossy(0xfcff));
}

static void test_a_row_that_begins_without_a_gap_is_long_enough(void **state)
{
    (void)state;
    assert_true(quality_is_well(4, 0xf));
    assert_false(quality_is_well(3, 0x7));
    assert_false(quality_is_well(4, 0xd));
    assert_false(quality_is_well(5, 0xf));
}

static void test_who_loses_much_itself_is_not_startled(void **state)
{
    (void)state;
    assert_false(quality_startles(0.0, 0));
    assert_true(quality_startles(0.0, 1));
    assert_false(quality_startles(0.05, 1));
    assert_true(quality_startles(0.05, 2));
    assert_false(quality_startles(0.3, 9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_of_five_answered_is_lossy),
        cmocka_unit_test(test_one_that_answers_nearly_all_is_not),
        cmocka_unit_test(test_silence_is_not_lossiness),
        cmocka_unit_test(test_one_that_wakes_up_answers_all_it_finds),
        cmocka_unit_test(test_a_row_that_begins_without_a_gap_is_long_enough),
        cmocka_unit_test(test_who_loses_much_itself_is_not_startled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
