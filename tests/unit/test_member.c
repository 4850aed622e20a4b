#include "gossip/member.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static const struct hash_key key = {"members"};

static struct node_id id_of(uint32_t i)
{
    struct node_id id = {{0}};
    head_put_u32(id.byte, i * 2654435761u);
    head_put_u32(id.byte + 4, i);
    return id;
}

static struct member *add(struct member_table *t, uint32_t i)
{
    struct node_id id = id_of(i);
    struct member *m;
    assert_int_equal(member_add(t, &id, &m), ERR_OK);
    return m;
}

static void test_members_are_found_by_id_by_its_half_and_by_name(void **state)
{
    (void)state;
    struct member_table t;
    struct name name = {"web-1"};
    member_table_init(&t, &key);
    struct member *m = add(&t, 1);
    (void)add(&t, 2);
    assert_int_equal(member_take_name(&t, m, &name), ERR_OK);
    struct node_id id = id_of(1), other = id_of(1);
    assert_ptr_equal(member_find(&t, &id), m);
    assert_ptr_equal(member_find_short(&t, id.byte), m);
    assert_ptr_equal(member_find_name(&t, &name), m);
    other.byte[15] = 1;
    assert_null(member_find(&t, &other));
    struct member *second;
    assert_int_equal(member_add(&t, &other, &second), ERR_EXISTS);
    member_table_fini(&t);
}

static void test_order_is_by_id_whatever_the_order_of_coming(void **state)
{
    (void)state;
    struct member_table t;
    member_table_init(&t, &key);
    for (uint32_t i = 0; i < 300; i++)
        (void)add(&t, i);
    for (size_t i = 1; i < t.count; i++)
        assert_true(name_node_id_cmp(&t.order[i - 1]->head.owner, &t.order[i]->head.owner) < 0);
    struct node_id last = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    assert_int_equal(member_lower_bound(&t, &last), 300);
    assert_int_equal(member_lower_bound(&t, &t.order[7]->head.owner), 7);
    member_table_fini(&t);
}

static void test_a_dropped_name_can_be_taken_and_is_not_dropped_twice(void **state)
{
    (void)state;
    struct member_table t;
    struct name name = {"web-1"};
    member_table_init(&t, &key);
    struct member *a = add(&t, 1), *b = add(&t, 2);
    assert_int_equal(member_take_name(&t, a, &name), ERR_OK);
    member_drop_name(&t, a);
    assert_int_equal(member_take_name(&t, b, &name), ERR_OK);
    member_drop_name(&t, a);
    assert_ptr_equal(member_find_name(&t, &name), b);
    assert_string_equal(a->name.text, "web-1");
    member_table_fini(&t);
}

static void test_bodies_are_owned_copies(void **state)
{
    (void)state;
    struct member_table t;
    char text[] = "abc";
    member_table_init(&t, &key);
    struct member *m = add(&t, 1);
    assert_int_equal(member_set_body(m, span_str(text)), ERR_OK);
    text[0] = 'x';
    assert_memory_equal(m->body, "abc", 3);
    assert_int_equal(member_set_body(m, span_of("", 0)), ERR_OK);
    assert_int_equal(m->body_len, 0);
    assert_non_null(m->body);
    member_table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_are_found_by_id_by_its_half_and_by_name),
        cmocka_unit_test(test_order_is_by_id_whatever_the_order_of_coming),
        cmocka_unit_test(test_a_dropped_name_can_be_taken_and_is_not_dropped_twice),
        cmocka_unit_test(test_bodies_are_owned_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
