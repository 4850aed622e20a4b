#include "core/base/arena.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void test_objects_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    struct arena a;
    unsigned char *last = NULL;
    arena_init(&a, 256, 1u << 20);
    for (size_t len = 0; len < 300; len++) {
        unsigned char *p = arena_alloc(&a, len);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < len; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, len);
        assert_ptr_not_equal(p, last);
        last = p;
    }
    arena_fini(&a);
}

static void test_bound_is_kept_and_the_arena_stays_usable(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 64, 128);
    assert_non_null(arena_alloc(&a, 64));
    assert_null(arena_alloc(&a, 65));
    assert_non_null(arena_alloc(&a, 64));
    assert_int_equal(a.bytes_used, 128);
    assert_null(arena_alloc(&a, 0));
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 128));
    arena_fini(&a);
}

static void test_lengths_that_wrap_are_refused(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 64, SIZE_MAX);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_array(&a, SIZE_MAX / 2 + 1, 2));
    assert_null(arena_dup(&a, "x", SIZE_MAX));
    assert_int_equal(a.bytes_used, 0);
    arena_fini(&a);
}

static size_t chunks_of(const struct arena *a, void **first)
{
    *first = a->first;
    return a->bytes_used;
}

static void test_reset_keeps_ordinary_chunks(void **state)
{
    (void)state;
    struct arena a;
    void *before[8], *first, *first_again;
    arena_init(&a, 64, 1u << 20);
    for (int i = 0; i < 8; i++)
        before[i] = arena_alloc(&a, 64);
    size_t used = chunks_of(&a, &first);
    arena_reset(&a);
    assert_int_equal(a.bytes_used, 0);
    for (int i = 0; i < 8; i++)
        assert_ptr_equal(arena_alloc(&a, 64), before[i]);
    assert_int_equal(chunks_of(&a, &first_again), used);
    assert_ptr_equal(first, first_again);
    arena_fini(&a);
}

static void test_large_object_leaves_the_current_chunk_in_use(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 256, 1u << 20);
    for (int round = 0; round < 3; round++) {
        char *small = arena_alloc(&a, 16);
        memset(arena_alloc(&a, 5000), 1, 5000);
        char *next = arena_alloc(&a, 16);
        assert_ptr_equal(next, small + 16);
        arena_reset(&a);
    }
    arena_fini(&a);
}

/* It is full, and no room for what comes when the first ordinary chunk is. */
static void test_large_object_before_all_others_is_left_alone(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 256, 1u << 20);
    char *large = arena_alloc(&a, 1000), *second = arena_alloc(&a, 500);
    memset(large, 'l', 1000);
    memset(second, 's', 500);
    for (size_t i = 0; i < 100; i++) {
        char *small = arena_alloc(&a, 16);
        assert_non_null(small);
        assert_true(small + 16 <= large || small >= large + 1008);
        assert_true(small + 16 <= second || small >= second + 512);
        memset(small, 'x', 16);
    }
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(large[i], 'l');
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(second[i], 's');
    arena_fini(&a);
}

static void test_copies_are_terminated(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 256, 1u << 20);
    assert_string_equal(arena_dup(&a, "hello", 4), "hell");
    assert_string_equal(arena_dup(&a, NULL, 0), "");
    assert_string_equal(arena_fmt(&a, "%s-%d", "x", 7), "x-7");
    struct span s = arena_span(&a, SPAN_LIT("span"));
    assert_true(span_eq_str(s, "span"));
    assert_int_equal(s.p[s.len], '\0');
    arena_fini(&a);
    arena_init(&a, 16, 16);
    assert_null(arena_fmt(&a, "%s", "sixteen bytes, and more"));
    assert_null(arena_span(&a, SPAN_LIT("sixteen bytes, and more")).p);
    arena_fini(&a);
}

static void test_array_is_one_zeroed_object(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 64, 4096);
    uint64_t *v = arena_array(&a, 100, sizeof(*v));
    for (int i = 0; i < 100; i++)
        assert_int_equal(v[i], 0);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects_are_zeroed_aligned_and_apart),
        cmocka_unit_test(test_bound_is_kept_and_the_arena_stays_usable),
        cmocka_unit_test(test_lengths_that_wrap_are_refused),
        cmocka_unit_test(test_reset_keeps_ordinary_chunks),
        cmocka_unit_test(test_large_object_leaves_the_current_chunk_in_use),
        cmocka_unit_test(test_large_object_before_all_others_is_left_alone),
        cmocka_unit_test(test_copies_are_terminated),
        cmocka_unit_test(test_array_is_one_zeroed_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
