#include "gossip/bucket.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void test_a_full_bucket_gives_its_burst_and_no_more(void **state)
{
    (void)state;
    struct bucket b;
    bucket_init(&b, 10, 5, 1000);
    assert_true(bucket_take(&b, 1000, 5, 0));
    assert_false(bucket_take(&b, 1000, 1, 0));
}

static void test_tokens_come_back_at_the_rate_without_rounding(void **state)
{
    (void)state;
    struct bucket b;
    unsigned taken = 0;
    bucket_init(&b, 3, 3, 0);
    assert_true(bucket_take(&b, 0, 3, 0));
    for (uint64_t ms = 1; ms <= 10000; ms++)
        taken += bucket_take(&b, ms, 1, 0);
    assert_int_equal(taken, 30);
}

static void test_the_reserve_is_left_alone(void **state)
{
    (void)state;
    struct bucket b;
    bucket_init(&b, 10, 10, 0);
    assert_false(bucket_take(&b, 0, 5, 6));
    assert_true(bucket_take(&b, 0, 5, 5));
    assert_true(bucket_take(&b, 0, 5, 0));
}

static void test_a_long_sleep_fills_it_once_and_overflows_nothing(void **state)
{
    (void)state;
    struct bucket b;
    bucket_init(&b, UINT64_C(1) << 40, 7, 0);
    assert_true(bucket_take(&b, 0, 7, 0));
    assert_true(bucket_take(&b, UINT64_C(1) << 60, 7, 0));
    assert_false(bucket_take(&b, UINT64_C(1) << 60, 1, 0));
}

static void test_ready_says_when_a_take_succeeds(void **state)
{
    (void)state;
    struct bucket b;
    bucket_init(&b, 10, 10, 0);
    assert_int_equal(bucket_ready_ms(&b, 0, 10), 0);
    assert_true(bucket_take(&b, 0, 10, 0));
    uint64_t at = bucket_ready_ms(&b, 0, 2);
    assert_false(bucket_take(&b, 199, 2, 0));
    assert_in_range(at, 200, 201);
    assert_true(bucket_take(&b, at, 2, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_bucket_gives_its_burst_and_no_more),
        cmocka_unit_test(test_tokens_come_back_at_the_rate_without_rounding),
        cmocka_unit_test(test_the_reserve_is_left_alone),
        cmocka_unit_test(test_a_long_sleep_fills_it_once_and_overflows_nothing),
        cmocka_unit_test(test_ready_says_when_a_take_succeeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
