#include "core/base/hist.h"
#include "core/base/rng.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

static void test_empty_histogram_has_no_quantile(void **state)
{
    (void)state;
    static struct hist h;
    assert_int_equal(hist_quantile(&h, 0.5), 0);
}

static void test_small_values_are_exact(void **state)
{
    (void)state;
    static struct hist h;
    for (uint64_t v = 0; v < 32; v++)
        hist_add(&h, v);
    assert_int_equal(h.count, 32);
    assert_int_equal(h.sum, 31 * 32 / 2);
    assert_int_equal(h.max, 31);
    for (uint64_t v = 0; v < 32; v++)
        assert_int_equal(hist_quantile(&h, ((double)v + 1) / 32), v);
    assert_int_equal(hist_quantile(&h, 0), 0);
    assert_int_equal(hist_quantile(&h, 1), 31);
}

static void test_error_is_at_most_one_part_in_32(void **state)
{
    (void)state;
    static struct hist h;
    struct rng rng;
    rng_seed(&rng, 5);
    for (int i = 0; i < 2000; i++) {
        uint64_t v = rng_u64(&rng) >> rng_below(&rng, 36) >> 28;
        memset(&h, 0, sizeof(h));
        hist_add(&h, v);
        hist_add(&h, HIST_VALUE_MAX);
        uint64_t q = hist_quantile(&h, 0.5);
        assert_true(q >= v);
        assert_true(q - v <= v / 32);
    }
}

static void test_values_over_the_bound_are_clamped(void **state)
{
    (void)state;
    static struct hist h;
    hist_add(&h, UINT64_MAX);
    assert_true(h.max == HIST_VALUE_MAX);
    assert_true(h.sum == HIST_VALUE_MAX);
    assert_true(hist_quantile(&h, 0.99) == HIST_VALUE_MAX);
    assert_int_equal(h.bucket[HIST_BUCKETS - 1], 1);
}

static void test_quantile_is_never_above_the_maximum(void **state)
{
    (void)state;
    static struct hist h;
    for (int i = 0; i < 100; i++)
        hist_add(&h, 1000000);
    assert_int_equal(hist_quantile(&h, 0.5), 1000000);
}

static void test_ranks_are_covered_as_whole_values(void **state)
{
    (void)state;
    static struct hist h;
    for (uint64_t v = 1; v <= 10; v++)
        hist_add(&h, v);
    assert_int_equal(hist_quantile(&h, 0.5), 5);
    assert_int_equal(hist_quantile(&h, 0.51), 6);
    assert_int_equal(hist_quantile(&h, 0.99), 10);
    assert_int_equal(hist_quantile(&h, -1), 1);
    assert_int_equal(hist_quantile(&h, 2), 10);
}

static void test_bucket_counts_saturate(void **state)
{
    (void)state;
    static struct hist h;
    h.bucket[3] = UINT32_MAX - 1;
    for (int i = 0; i < 2; i++) {
        hist_add(&h, 3);
        assert_true(h.bucket[3] == UINT32_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_histogram_has_no_quantile),
        cmocka_unit_test(test_small_values_are_exact),
        cmocka_unit_test(test_error_is_at_most_one_part_in_32),
        cmocka_unit_test(test_values_over_the_bound_are_clamped),
        cmocka_unit_test(test_quantile_is_never_above_the_maximum),
        cmocka_unit_test(test_ranks_are_covered_as_whole_values),
        cmocka_unit_test(test_bucket_counts_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
