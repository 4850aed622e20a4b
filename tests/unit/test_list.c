#include "core/base/list.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

struct item {
    int value;
    struct list link;
};

static int value_of(struct list *node)
{
    return LIST_ENTRY(node, struct item, link)->value;
}

static void test_order_is_as_pushed(void **state)
{
    (void)state;
    struct list head;
    struct item item[4] = {{.value = 0}, {.value = 1}, {.value = 2}, {.value = 3}};
    int expected = 0;
    list_init(&head);
    assert_true(list_empty(&head));
    assert_null(list_first(&head));
    assert_null(list_last(&head));
    list_push_back(&head, &item[1].link);
    assert_ptr_equal(list_last(&head), list_first(&head));
    list_push_back(&head, &item[2].link);
    list_push_front(&head, &item[0].link);
    list_push_back(&head, &item[3].link);
    assert_int_equal(value_of(list_first(&head)), 0);
    assert_int_equal(value_of(list_last(&head)), 3);
    LIST_EACH(pos, tmp, &head)
    assert_int_equal(value_of(pos), expected++);
    assert_int_equal(expected, 4);
}

static void test_removal_unlinks_and_may_happen_twice(void **state)
{
    (void)state;
    struct list head;
    struct item a = {.value = 1}, b = {.value = 2};
    list_init(&head);
    assert_false(list_linked(&a.link));
    list_remove(&a.link);
    list_push_back(&head, &a.link);
    list_push_back(&head, &b.link);
    assert_true(list_linked(&a.link));
    list_remove(&a.link);
    list_remove(&a.link);
    assert_false(list_linked(&a.link));
    assert_ptr_equal(list_first(&head), &b.link);
    list_remove(&b.link);
    assert_true(list_empty(&head));
}

static void test_walk_survives_removal_of_where_it_stands(void **state)
{
    (void)state;
    struct list head;
    struct item item[10];
    int left = 0;
    list_init(&head);
    for (int i = 0; i < 10; i++) {
        item[i] = (struct item){.value = i};
        list_push_back(&head, &item[i].link);
    }
    LIST_EACH(pos, tmp, &head)
    {
        if (value_of(pos) % 2 == 0) list_remove(pos);
    }
    LIST_EACH(pos, tmp, &head)
    left += value_of(pos);
    assert_int_equal(left, 1 + 3 + 5 + 7 + 9);
}

static void test_taken_nodes_keep_their_order_and_leave_an_empty_list(void **state)
{
    (void)state;
    struct list from, to;
    struct list node[3] = {{NULL, NULL}};
    list_init(&from);
    list_take(&to, &from);
    assert_true(list_empty(&to));
    for (size_t i = 0; i < ARRAY_LEN(node); i++)
        list_push_back(&from, &node[i]);
    list_take(&to, &from);
    assert_true(list_empty(&from));
    for (size_t i = 0; i < ARRAY_LEN(node); i++) {
        assert_ptr_equal(list_first(&to), &node[i]);
        list_remove(&node[i]);
    }
    assert_true(list_empty(&to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_is_as_pushed),
        cmocka_unit_test(test_removal_unlinks_and_may_happen_twice),
        cmocka_unit_test(test_walk_survives_removal_of_where_it_stands),
        cmocka_unit_test(test_taken_nodes_keep_their_order_and_leave_an_empty_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
