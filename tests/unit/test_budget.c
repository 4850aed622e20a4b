#include "proxy/traffic/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Every request wants a retry; how many get one in `seconds` at `rate` a second. */
static unsigned retries(unsigned rate, unsigned seconds, uint32_t workers)
{
    struct budget b = {.credit = 0};
    unsigned n = 0;
    for (unsigned i = 0; i < rate * seconds; i++) {
        budget_request(&b, 20, workers, 5000 + (uint64_t)i * 1000 / rate);
        n += budget_take(&b);
    }
    return n;
}

static void test_retries_are_a_fifth_or_three_a_second(void **state)
{
    (void)state;
    assert_in_range(retries(1000, 10, 1), 1990, 2000);
    assert_in_range(retries(100, 10, 1), 190, 200);
    assert_in_range(retries(15, 10, 1), 28, 30);
    assert_in_range(retries(5, 10, 1), 28, 30);
    assert_in_range(retries(1, 10, 1), 10, 10);
}

static void test_workers_share_the_floor(void **state)
{
    (void)state;
    assert_in_range(retries(5, 12, 3), 11, 12);
    assert_in_range(retries(1000, 10, 4), 1990, 2000);
}

static void test_credit_is_kept_for_ten_seconds_and_no_longer(void **state)
{
    (void)state;
    struct budget b = {.credit = 0};
    unsigned n = 0;
    for (uint64_t ms = 5000; ms < 5000 + 120000; ms += 10)
        budget_request(&b, 20, 1, ms);
    /* 100 a second bring 20 retries a second: about 200 are left after two minutes. */
    while (budget_take(&b))
        n++;
    assert_in_range(n, 180, 205);
    for (uint64_t ms = 125000; ms < 245000; ms += 10)
        budget_request(&b, 20, 1, ms);
    budget_request(&b, 20, 1, 245000 + 120000);
    n = 0;
    while (budget_take(&b))
        n++;
    assert_in_range(n, 27, 31);
}

static void test_what_is_charged_is_paid_later(void **state)
{
    (void)state;
    struct budget b = {.credit = 0};
    unsigned n = 0;
    budget_request(&b, 20, 1, 5000);
    for (unsigned i = 0; i < 13; i++)
        budget_charge(&b);
    for (unsigned i = 0; i < 100; i++) {
        budget_request(&b, 20, 1, 5000);
        n += budget_take(&b);
    }
    assert_in_range(n, 6, 7); /* 20 of the hundred and one, less 13 */
    for (unsigned i = 0; i < 1000; i++)
        budget_charge(&b);
    assert_int_equal(b.credit, BUDGET_DEBT_MOST);
}

static void test_no_percentage_leaves_the_floor(void **state)
{
    (void)state;
    struct budget b = {.credit = 0};
    unsigned n = 0;
    for (unsigned i = 0; i < 1000; i++) {
        budget_request(&b, 0, 1, 5000 + i);
        n += budget_take(&b);
    }
    assert_int_equal(n, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retries_are_a_fifth_or_three_a_second),
        cmocka_unit_test(test_workers_share_the_floor),
        cmocka_unit_test(test_credit_is_kept_for_ten_seconds_and_no_longer),
        cmocka_unit_test(test_what_is_charged_is_paid_later),
        cmocka_unit_test(test_no_percentage_leaves_the_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
