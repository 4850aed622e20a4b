#include "core/io/clock.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void test_monotonic_clocks_agree_and_do_not_go_back(void **state)
{
    (void)state;
    uint64_t ms = clock_mono_ms();
    uint64_t us = clock_mono_us();
    assert_true(us / 1000 >= ms);
    assert_true(clock_mono_us() >= us);
}

static void test_wall_clock_is_after_the_first_release(void **state)
{
    (void)state;
    uint64_t us = clock_wall_us();
    assert_true(clock_wall_s() >= (int64_t)(us / 1000000));
    assert_true(us / 1000000 > 1700000000);
}

static void test_timestamps_are_rfc_3339(void **state)
{
    (void)state;
    static const struct {
        uint64_t us;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {951782399999999u, "2000-02-28T23:59:59.999999Z"},
        {951782400000000u, "2000-02-29T00:00:00.000000Z"},
        {951868800000001u, "2000-03-01T00:00:00.000001Z"},
        {1767225599000000u, "2025-12-31T23:59:59.000000Z"},
        {1767225600000000u, "2026-01-01T00:00:00.000000Z"},
        {4107542400000000u, "2100-03-01T00:00:00.000000Z"},
        {UINT64_MAX, "9999-12-31T23:59:59.551615Z"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[CLOCK_TEXT_BYTES];
        assert_string_equal(clock_format_us(cases[i].us, text), cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_monotonic_clocks_agree_and_do_not_go_back),
        cmocka_unit_test(test_wall_clock_is_after_the_first_release),
        cmocka_unit_test(test_timestamps_are_rfc_3339),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
