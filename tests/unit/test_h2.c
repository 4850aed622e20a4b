#include "core/base/check.h"
#include "core/wire/mux_alloc.h"
#include "core/wire/mux_flood.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_flood_budget_refills_with_time(void **state)
{
    struct mux_flood f;
    unsigned taken = 0;
    (void)state;
    mux_flood_init(&f, NULL, 5000);
    while (mux_flood_spend(&f, 5000))
        taken++;
    assert_int_equal(taken, MUX_FLOOD_BURST);
    assert_false(mux_flood_spend(&f, 5000 + MUX_FLOOD_REFILL_MS - 1));
    assert_true(mux_flood_spend(&f, 5000 + MUX_FLOOD_REFILL_MS));
    assert_false(mux_flood_spend(&f, 5000 + MUX_FLOOD_REFILL_MS));
    for (taken = 0; mux_flood_spend(&f, 1000000000); taken++)
        continue;
    assert_int_equal(taken, MUX_FLOOD_BURST);
}

static void test_allocator_reuses_and_bounds(void **state)
{
    struct mux_alloc a;
    (void)state;
    mux_alloc_init(&a, 100000);
    void *p = mux_alloc_get(&a, 100), *q = mux_alloc_get(&a, 65);
    mux_alloc_put(&a, p);
    assert_ptr_equal(mux_alloc_get(&a, 128), p);
    size_t mallocs = a.mallocs_total;
    p = mux_alloc_resize(&a, p, 129);
    assert_int_equal(a.mallocs_total, mallocs + 1);
    void *large = mux_alloc_get(&a, 50000);
    assert_non_null(large);
    assert_null(mux_alloc_get(&a, 50000));
    assert_null(mux_alloc_get(&a, SIZE_MAX));
    mux_alloc_put(&a, large);
    mux_alloc_put(&a, p);
    mux_alloc_put(&a, q);
    mux_alloc_put(&a, NULL);
    mux_alloc_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flood_budget_refills_with_time),
        cmocka_unit_test(test_allocator_reuses_and_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
