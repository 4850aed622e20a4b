#include "proxy/traffic/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RATE   240u
#define WINDOW 10000u

static bool look(struct pace *p, bool waits, uint64_t bytes, uint64_t now_ms)
{
    return pace_judge(p, waits, bytes, RATE, WINDOW, now_ms) != PACE_FINE;
}

static void test_a_body_that_drips_is_slow_after_a_window(void **state)
{
    struct pace p = {0};
    (void)state;
    assert_false(look(&p, true, 0, 5000));
    assert_false(look(&p, true, 2, 5000 + WINDOW - 1));
    assert_true(look(&p, true, 2, 5000 + WINDOW));
    assert_false(look(&p, true, 2, 5000 + WINDOW));
}

static void test_the_rate_itself_is_enough(void **state)
{
    struct pace p = {0};
    uint64_t bytes = 0;
    (void)state;
    for (uint64_t now_ms = 1; now_ms < 20 * WINDOW; now_ms += WINDOW, bytes += 2400)
        assert_false(look(&p, true, bytes, now_ms));
    assert_true(look(&p, true, bytes - 2400 + 2399, 1 + 20 * WINDOW));
}

static void test_time_in_which_nobody_waits_does_not_count(void **state)
{
    struct pace p = {0};
    (void)state;
    assert_false(look(&p, true, 0, 1000));
    assert_false(look(&p, false, 0, 900000));
    assert_false(look(&p, true, 0, 1000000));
    assert_false(look(&p, true, 0, 1000000 + WINDOW - 1));
    assert_true(look(&p, true, 0, 1000000 + WINDOW));
}

/* A stall is made up for by what came before it in the same window alone. */
static void test_a_fast_beginning_is_no_credit_for_later(void **state)
{
    struct pace p = {0};
    (void)state;
    assert_false(look(&p, true, 0, 1000));
    assert_false(look(&p, true, 1u << 30, 1000 + WINDOW));
    assert_true(look(&p, true, 1u << 30, 1000 + 2 * WINDOW));
}

/* One small event every few seconds is not what a stall is. */
static void test_a_little_in_each_window_is_sparse(void **state)
{
    struct pace p = {0};
    uint64_t now_ms = 1000;
    (void)state;
    assert_int_equal(pace_judge(&p, true, 0, RATE, WINDOW, now_ms), PACE_FINE);
    for (uint64_t bytes = 20; bytes < 2000; bytes += 20) {
        now_ms += WINDOW;
        assert_int_equal(pace_judge(&p, true, bytes, RATE, WINDOW, now_ms), PACE_SPARSE);
    }
    now_ms += WINDOW;
    assert_int_equal(pace_judge(&p, true, 1980, RATE, WINDOW, now_ms), PACE_SLOW);
    now_ms += WINDOW;
    assert_int_equal(pace_judge(&p, true, 1980 + 2400, RATE, WINDOW, now_ms), PACE_FINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_body_that_drips_is_slow_after_a_window),
        cmocka_unit_test(test_the_rate_itself_is_enough),
        cmocka_unit_test(test_time_in_which_nobody_waits_does_not_count),
        cmocka_unit_test(test_a_fast_beginning_is_no_credit_for_later),
        cmocka_unit_test(test_a_little_in_each_window_is_sparse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
