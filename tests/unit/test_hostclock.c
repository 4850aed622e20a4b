#include "tests/sim/hostclock.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

static void test_a_right_clock_shows_the_time(void **state)
{
    (void)state;
    struct hostclock c;
    hostclock_init(&c);
    assert_int_equal(hostclock_mono_ms(&c, 5999), HOSTCLOCK_MONO_START_MS + 5);
    assert_int_equal(hostclock_wall_ms(&c, 5999), HOSTCLOCK_WALL_START_MS + 5);
    assert_int_equal(hostclock_due_us(&c, HOSTCLOCK_MONO_START_MS + 5), 5000);
}

static void test_due_is_the_first_moment_that_shows_it(void **state)
{
    (void)state;
    static const int32_t drift[] = {0, 500, -500, 100000, -100000, 37};
    for (unsigned i = 0; i < sizeof(drift) / sizeof(drift[0]); i++) {
        struct hostclock c;
        hostclock_init(&c);
        hostclock_drift(&c, 1234567, drift[i]);
        for (uint64_t ms = 2300; ms < 60000; ms += 331) {
            uint64_t due = hostclock_due_us(&c, ms);
            assert_true(hostclock_mono_ms(&c, due) >= ms);
            assert_true(due < 1000000 || hostclock_mono_ms(&c, due - 1000) <= ms);
        }
    }
}

static void test_a_drifting_clock_gains_and_does_not_jump(void **state)
{
    (void)state;
    struct hostclock c;
    hostclock_init(&c);
    hostclock_drift(&c, 10000000, 1000);
    assert_int_equal(hostclock_mono_ms(&c, 10000000), HOSTCLOCK_MONO_START_MS + 10000);
    assert_int_equal(hostclock_mono_ms(&c, 110000000), HOSTCLOCK_MONO_START_MS + 110100);
    hostclock_drift(&c, 110000000, 0);
    assert_int_equal(hostclock_mono_ms(&c, 111000000), HOSTCLOCK_MONO_START_MS + 111100);
}

static void test_a_set_clock_moves_the_wall_alone(void **state)
{
    (void)state;
    struct hostclock c;
    hostclock_init(&c);
    hostclock_step(&c, -300000);
    assert_int_equal(hostclock_mono_ms(&c, 1000000), HOSTCLOCK_MONO_START_MS + 1000);
    assert_int_equal(hostclock_wall_ms(&c, 1000000), HOSTCLOCK_WALL_START_MS - 299000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_right_clock_shows_the_time),
        cmocka_unit_test(test_due_is_the_first_moment_that_shows_it),
        cmocka_unit_test(test_a_drifting_clock_gains_and_does_not_jump),
        cmocka_unit_test(test_a_set_clock_moves_the_wall_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
