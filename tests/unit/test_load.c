#include "proxy/traffic/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_small_loads_are_exact(void **state)
{
    (void)state;
    for (uint32_t n = 0; n <= 16; n++) {
        uint32_t back = 77;
        assert_true(load_parse(load_stamp(n), &back));
        assert_int_equal(back, n);
    }
}

static void test_a_step_is_at_most_a_quarter_below(void **state)
{
    (void)state;
    uint32_t before = 0;
    for (uint32_t n = 1; n <= LOAD_MAX; n++) {
        uint32_t back;
        assert_true(load_parse(load_stamp(n), &back));
        assert_true(back <= n && back >= before);
        assert_true((uint64_t)n * 4 < (uint64_t)back * 5);
        before = back;
    }
    assert_int_equal(before, LOAD_MAX);
    assert_ptr_equal(load_stamp(UINT64_MAX).p, load_stamp(LOAD_MAX).p);
}

static void test_what_is_no_load_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "-1", "+1", " 1", "1.5", "x", "65537", "99999", "000001"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint32_t n = 77;
        assert_false(load_parse(span_str(bad[i]), &n));
        assert_int_equal(n, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_loads_are_exact),
        cmocka_unit_test(test_a_step_is_at_most_a_quarter_below),
        cmocka_unit_test(test_what_is_no_load_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
