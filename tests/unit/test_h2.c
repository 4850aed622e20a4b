#include "core/base/check.h"
#include "core/wire/mux_alloc.h"
#include "core/wire/mux_flood.h"
#include "core/wire/mux_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* Else one burst of small blocks would leave no room for a large one, for ever. */
static void test_freed_blocks_stand_in_no_ones_way(void **state)
{
    static void *small[1024];
    struct mux_alloc a;
    (void)state;
    mux_alloc_init(&a, 65536);
    for (size_t i = 0; i < 1024; i++)
        small[i] = mux_alloc_get(&a, 64);
    assert_non_null(small[1023]);
    assert_null(mux_alloc_get(&a, 64));
    for (size_t i = 0; i < 1024; i++)
        mux_alloc_put(&a, small[i]);
    assert_true(a.bytes_free > 0 && a.bytes_free <= 65536 / 8);
    assert_int_equal(a.bytes_held, a.bytes_free);
    void *large = mux_alloc_get(&a, 65536);
    assert_non_null(large);
    /* A smaller bound holds at once. */
    a.bytes_max = 30000;
    assert_null(mux_alloc_get(&a, 64));
    mux_alloc_put(&a, large);
    assert_int_equal(a.bytes_held, 0);
    mux_alloc_fini(&a);
}

/* A request that went on without it would be another's. */
static void test_a_cookie_that_finds_no_room_is_not_empty(void **state)
{
    static char crumb[1000];
    struct arena arena;
    struct headers fields;
    struct mux_stream s = {.arena = &arena, .fields = &fields};
    (void)state;
    memset(crumb, 'c', sizeof crumb);
    arena_init(&arena, 256, 512);
    mux_head_begin(&s);
    assert_false(mux_head_field(&s, SPAN_LIT("cookie"), span_of(crumb, sizeof crumb)));
    assert_int_equal(fields.count, 0);
    assert_true(mux_head_field(&s, SPAN_LIT("cookie"), SPAN_LIT("a=1")));
    assert_false(mux_head_field(&s, SPAN_LIT("cookie"), span_of(crumb, sizeof crumb)));
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flood_budget_refills_with_time),
        cmocka_unit_test(test_allocator_reuses_and_bounds),
        cmocka_unit_test(test_freed_blocks_stand_in_no_ones_way),
        cmocka_unit_test(test_a_cookie_that_finds_no_room_is_not_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
