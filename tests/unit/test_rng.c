#include "core/base/rng.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void test_same_seed_gives_the_same_numbers(void **state)
{
    (void)state;
    struct rng a, b, c;
    int differ = 0;
    rng_seed(&a, 42);
    rng_seed(&b, 42);
    rng_seed(&c, 43);
    for (int i = 0; i < 1000; i++) {
        uint64_t v = rng_u64(&a);
        assert_true(v == rng_u64(&b));
        differ += v != rng_u64(&c);
    }
    assert_int_equal(differ, 1000);
}

/* The first outputs of the authors' C from the state 1, 2, 3, 4. */
static void test_matches_the_reference_sequence(void **state)
{
    (void)state;
    struct rng r = {{1, 2, 3, 4}};
    assert_true(rng_u64(&r) == 11520);
    assert_true(rng_u64(&r) == 0);
    assert_true(rng_u64(&r) == 1509978240);
    assert_true(rng_u64(&r) == UINT64_C(1215971899390074240));
}

static void test_seed_zero_is_good(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 0);
    assert_true((r.s[0] | r.s[1] | r.s[2] | r.s[3]) != 0);
    assert_true(rng_u64(&r) != rng_u64(&r));
}

static void test_below_stays_below_and_is_even(void **state)
{
    (void)state;
    struct rng r;
    unsigned seen[10] = {0};
    rng_seed(&r, 7);
    for (int i = 0; i < 100000; i++) {
        uint64_t v = rng_below(&r, 10);
        assert_true(v < 10);
        seen[v]++;
    }
    /* 10 000 each; five standard deviations are 475. */
    for (int i = 0; i < 10; i++)
        assert_in_range(seen[i], 9525, 10475);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(rng_below(&r, 1), 0);
        assert_true(rng_below(&r, UINT64_MAX) < UINT64_MAX);
        assert_true(rng_below(&r, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
    }
}

static void test_unit_is_in_its_interval(void **state)
{
    (void)state;
    struct rng r;
    double sum = 0;
    rng_seed(&r, 8);
    for (int i = 0; i < 100000; i++) {
        double v = rng_unit(&r);
        assert_true(v >= 0.0 && v < 1.0);
        sum += v;
    }
    assert_true(sum > 49500 && sum < 50500);
}

static void test_bytes_fill_exactly(void **state)
{
    (void)state;
    struct rng a, b;
    uint8_t x[32], y[32];
    for (size_t len = 0; len <= 24; len++) {
        memset(x, 0, sizeof(x));
        memset(y, 0, sizeof(y));
        rng_seed(&a, len);
        rng_seed(&b, len);
        rng_bytes(&a, x, len);
        rng_bytes(&b, y, 24);
        assert_memory_equal(x, y, len);
        for (size_t i = len; i < sizeof(x); i++)
            assert_int_equal(x[i], 0);
    }
    rng_seed(&a, 1);
    uint64_t first = rng_u64(&a);
    rng_seed(&a, 1);
    rng_bytes(&a, x, 8);
    for (int i = 0; i < 8; i++)
        assert_int_equal(x[i], (uint8_t)(first >> (8 * i)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_gives_the_same_numbers),
        cmocka_unit_test(test_matches_the_reference_sequence),
        cmocka_unit_test(test_seed_zero_is_good),
        cmocka_unit_test(test_below_stays_below_and_is_even),
        cmocka_unit_test(test_unit_is_in_its_interval),
        cmocka_unit_test(test_bytes_fill_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
