#include "core/base/slab.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define OBJECTS 3000u

static void test_objects_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    static unsigned char *object[OBJECTS];
    struct slab s;
    slab_init(&s, 40, OBJECTS);
    for (size_t i = 0; i < OBJECTS; i++) {
        object[i] = slab_get(&s);
        assert_non_null(object[i]);
        assert_int_equal((uintptr_t)object[i] % 16, 0);
        for (size_t j = 0; j < 40; j++)
            assert_int_equal(object[i][j], 0);
        memset(object[i], (int)(i % 255) + 1, 40);
    }
    for (size_t i = 0; i < OBJECTS; i++)
        for (size_t j = 0; j < 40; j++)
            assert_int_equal(object[i][j], i % 255 + 1);
    slab_fini(&s);
}

static void test_bound_counts_live_objects(void **state)
{
    (void)state;
    struct slab s;
    slab_init(&s, 8, 2);
    void *a = slab_get(&s), *b = slab_get(&s);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(slab_get(&s));
    assert_int_equal(s.objects_live, 2);
    slab_put(&s, a);
    assert_ptr_equal(slab_get(&s), a);
    assert_null(slab_get(&s));
    slab_fini(&s);
}

static void test_returned_object_is_reused_and_clean(void **state)
{
    (void)state;
    struct slab s;
    slab_init(&s, 64, 10);
    unsigned char *p = slab_get(&s);
    memset(p, 0xee, 64);
    slab_put(&s, p);
    unsigned char *q = slab_get(&s);
    assert_ptr_equal(p, q);
    for (int i = 0; i < 64; i++)
        assert_int_equal(q[i], 0);
    assert_int_equal(s.objects_made, 1);
    slab_fini(&s);
}

static void test_object_larger_than_a_page_gets_its_own(void **state)
{
    (void)state;
    struct slab s;
    slab_init(&s, 100000, 3);
    for (int i = 0; i < 3; i++)
        memset(slab_get(&s), 1, 100000);
    assert_null(slab_get(&s));
    slab_fini(&s);
}

static void test_one_byte_objects_hold_the_free_list(void **state)
{
    (void)state;
    struct slab s;
    slab_init(&s, 1, 100);
    void *p[100];
    for (int i = 0; i < 100; i++)
        p[i] = slab_get(&s);
    for (int i = 0; i < 100; i++)
        slab_put(&s, p[i]);
    assert_int_equal(s.objects_live, 0);
    for (int i = 0; i < 100; i++)
        assert_non_null(slab_get(&s));
    assert_int_equal(s.objects_made, 100);
    slab_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects_are_zeroed_aligned_and_apart),
        cmocka_unit_test(test_bound_counts_live_objects),
        cmocka_unit_test(test_returned_object_is_reused_and_clean),
        cmocka_unit_test(test_object_larger_than_a_page_gets_its_own),
        cmocka_unit_test(test_one_byte_objects_hold_the_free_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
