#include "core/base/check.h"
#include "core/wire/h2_alloc.h"
#include "core/wire/h2_flood.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_flood_budget_refills_with_time(void **state)
{
    struct h2_flood f;
    unsigned taken = 0;
    (void)state;
    h2_flood_init(&f, NULL, 5000);
    while (h2_flood_spend(&f, 5000))
        taken++;
    assert_int_equal(taken, H2_FLOOD_BURST);
    assert_false(h2_flood_spend(&f, 5000 + H2_FLOOD_REFILL_MS - 1));
    assert_true(h2_flood_spend(&f, 5000 + H2_FLOOD_REFILL_MS));
    assert_false(h2_flood_spend(&f, 5000 + H2_FLOOD_REFILL_MS));
    for (taken = 0; h2_flood_spend(&f, 1000000000); taken++)
        continue;
    assert_int_equal(taken, H2_FLOOD_BURST);
}

static void test_allocator_reuses_and_bounds(void **state)
{
    struct h2_alloc a;
    (void)state;
    h2_alloc_init(&a, 100000);
    void *p = h2_alloc_get(&a, 100), *q = h2_alloc_get(&a, 65);
    h2_alloc_put(&a, p);
    assert_ptr_equal(h2_alloc_get(&a, 128), p);
    size_t mallocs = a.mallocs_total;
    p = h2_alloc_resize(&a, p, 129);
    assert_int_equal(a.mallocs_total, mallocs + 1);
    void *large = h2_alloc_get(&a, 50000);
    assert_non_null(large);
    assert_null(h2_alloc_get(&a, 50000));
    assert_null(h2_alloc_get(&a, SIZE_MAX));
    h2_alloc_put(&a, large);
    h2_alloc_put(&a, p);
    h2_alloc_put(&a, q);
    h2_alloc_put(&a, NULL);
    h2_alloc_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flood_budget_refills_with_time),
        cmocka_unit_test(test_allocator_reuses_and_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
