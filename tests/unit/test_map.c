#include "core/base/map.h"
#include "core/base/rng.h"

#include <stdio.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define KEYS 2000u

struct item {
    char name[16];
    int present;
};

static const struct hash_key key = {{1, 2, 3}};

static void name_items(struct item *item)
{
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(item[i].name, sizeof(item[i].name), "key-%u", i);
        item[i].present = 0;
    }
}

static void test_put_get_del_agree_with_a_plain_table(void **state)
{
    (void)state;
    static struct item item[KEYS];
    struct map m;
    struct rng rng;
    size_t count = 0;
    name_items(item);
    rng_seed(&rng, 4);
    map_init(&m, &key, KEYS);
    for (int round = 0; round < 50000; round++) {
        struct item *it = &item[rng_below(&rng, KEYS)];
        struct span name = span_str(it->name);
        assert_ptr_equal(map_get(&m, name), it->present ? it : NULL);
        if (rng_below(&rng, 2) == 0) {
            assert_int_equal(map_put(&m, name, it), ERR_OK);
            count += !it->present;
            it->present = 1;
        } else {
            assert_ptr_equal(map_del(&m, name), it->present ? it : NULL);
            count -= (size_t)it->present;
            it->present = 0;
        }
        assert_int_equal(m.count, count);
    }
    for (unsigned i = 0; i < KEYS; i++)
        assert_ptr_equal(map_get(&m, span_str(item[i].name)), item[i].present ? &item[i] : NULL);
    map_fini(&m);
}

static void test_put_replaces_value_and_key(void **state)
{
    (void)state;
    struct map m;
    char first[] = "name", second[] = "name";
    int a, b;
    map_init(&m, &key, 1);
    assert_int_equal(map_put(&m, span_str(first), &a), ERR_OK);
    assert_int_equal(map_put(&m, span_str(second), &b), ERR_OK);
    assert_int_equal(m.count, 1);
    memset(first, 'x', 4);
    assert_ptr_equal(map_get(&m, SPAN_LIT("name")), &b);
    map_fini(&m);
}

static void test_bound_refuses_one_more_and_changes_nothing(void **state)
{
    (void)state;
    static struct item item[KEYS];
    struct map m;
    name_items(item);
    map_init(&m, &key, 100);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(map_put(&m, span_str(item[i].name), &item[i]), ERR_OK);
    assert_int_equal(map_put(&m, span_str(item[100].name), &item[100]), ERR_FULL);
    assert_int_equal(m.count, 100);
    assert_null(map_get(&m, span_str(item[100].name)));
    assert_int_equal(map_put(&m, span_str(item[5].name), &item[6]), ERR_OK);
    assert_ptr_equal(map_del(&m, span_str(item[0].name)), &item[0]);
    assert_int_equal(map_put(&m, span_str(item[100].name), &item[100]), ERR_OK);
    map_fini(&m);
}

static void test_iteration_meets_each_value_once(void **state)
{
    (void)state;
    static struct item item[KEYS];
    struct map m;
    size_t pos = 0, seen = 0;
    name_items(item);
    map_init(&m, &key, KEYS);
    assert_null(map_next(&m, &pos));
    assert_null(map_get(&m, SPAN_LIT("a")));
    assert_null(map_del(&m, SPAN_LIT("a")));
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(map_put(&m, span_str(item[i].name), &item[i]), ERR_OK);
    pos = 0;
    for (struct item *it; (it = map_next(&m, &pos)) != NULL; seen++)
        assert_int_equal(it->present++, 0);
    assert_int_equal(seen, KEYS);
    map_fini(&m);
}

static void test_keys_are_bytes_not_text(void **state)
{
    (void)state;
    struct map m;
    int a, b, c;
    map_init(&m, &key, 10);
    assert_int_equal(map_put(&m, SPAN_LIT("a\0b"), &a), ERR_OK);
    assert_int_equal(map_put(&m, SPAN_LIT("a\0c"), &b), ERR_OK);
    assert_int_equal(map_put(&m, span_of(NULL, 0), &c), ERR_OK);
    assert_ptr_equal(map_get(&m, SPAN_LIT("a\0b")), &a);
    assert_ptr_equal(map_get(&m, SPAN_LIT("a\0c")), &b);
    assert_ptr_equal(map_get(&m, SPAN_LIT("")), &c);
    map_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_get_del_agree_with_a_plain_table),
        cmocka_unit_test(test_put_replaces_value_and_key),
        cmocka_unit_test(test_bound_refuses_one_more_and_changes_nothing),
        cmocka_unit_test(test_iteration_meets_each_value_once),
        cmocka_unit_test(test_keys_are_bytes_not_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
