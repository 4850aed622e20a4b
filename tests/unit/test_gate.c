#include "proxy/traffic/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_no_more_than_the_limit_is_inside(void **state)
{
    (void)state;
    struct gate g = {.inside = 0};
    for (unsigned i = 0; i < 3; i++)
        assert_true(gate_enter(&g, 3));
    assert_false(gate_enter(&g, 3));
    gate_leave(&g);
    assert_true(gate_enter(&g, 3));
    /* A lower limit holds from the next one on. */
    assert_false(gate_enter(&g, 1));
    gate_leave(&g);
    gate_leave(&g);
    assert_false(gate_enter(&g, 1));
    gate_leave(&g);
    assert_true(gate_enter(&g, 1));
    assert_true(gate_enter(&g, 0));
}

static void test_no_queue_is_full_at_once(void **state)
{
    (void)state;
    struct gate g = {.inside = 0};
    assert_false(gate_queue(&g, 0));
    assert_true(gate_queue(&g, 1));
    assert_false(gate_queue(&g, 1));
    gate_unqueue(&g);
    assert_true(gate_queue(&g, 1));
}

/* How many of `asked` requests, evenly over ten seconds, are let through. */
static unsigned passed(uint32_t rate, unsigned asked)
{
    struct gate g = {.inside = 0};
    unsigned n = 0;
    for (unsigned i = 0; i < asked; i++)
        n += gate_rate(&g, rate, 5000000 + (uint64_t)i * 10000000 / asked);
    return n;
}

static void test_the_rate_is_kept(void **state)
{
    (void)state;
    assert_int_equal(passed(100, 500), 500);
    assert_in_range(passed(100, 1000), 1000, 1000);
    assert_in_range(passed(100, 100000), 1000, 1010);
    assert_in_range(passed(1, 1000), 10, 11);
    assert_in_range(passed(2000, 100000), 20000, 20200);
    assert_int_equal(passed(0, 5000), 5000);
}

static void test_a_burst_is_a_tenth_of_a_second(void **state)
{
    (void)state;
    struct gate g = {.inside = 0};
    unsigned n = 0;
    for (unsigned i = 0; i < 1000; i++)
        n += gate_rate(&g, 500, 5000000);
    assert_int_equal(n, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_more_than_the_limit_is_inside),
        cmocka_unit_test(test_no_queue_is_full_at_once),
        cmocka_unit_test(test_the_rate_is_kept),
        cmocka_unit_test(test_a_burst_is_a_tenth_of_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
