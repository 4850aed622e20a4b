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

struct table {
    struct member_table t;
    struct archive *archive;
    struct heap timers;
};

static void table_init(struct table *x)
{
    *x = (struct table){0};
    heap_init(&x->timers, MEMBERS_MAX + 256);
    assert_int_equal(archive_new(&key, &x->archive), ERR_OK);
    member_table_init(&x->t, x->archive, &x->timers);
}

static void table_fini(struct table *x)
{
    heap_fini(&x->timers);
    member_table_fini(&x->t);
    archive_unref(x->archive);
}

static struct member *add(struct table *x, uint32_t i)
{
    struct head h = {.owner = id_of(i)};
    struct member *m;
    head_put_u32(h.sig, i + 1);
    assert_int_equal(member_add(&x->t, &h, &m), ERR_OK);
    return m;
}

static void name_it(struct table *x, struct member *m, const char *text)
{
    struct sign_admission says = {0};
    uint8_t hash[CRYPTO_OPS_HASH_BYTES] = {(uint8_t)m->index, (uint8_t)text[0], 1};
    assert_int_equal(name_set(&says.name, span_str(text)), ERR_OK);
    assert_int_equal(member_set_admission(&x->t, m, hash, span_str("cert"), &says), ERR_OK);
}

static void test_members_are_found_by_id_by_its_half_and_by_name(void **state)
{
    (void)state;
    struct table x;
    struct name name = {"web-1"};
    table_init(&x);
    struct member *m = add(&x, 1);
    (void)add(&x, 2);
    name_it(&x, m, "web-1");
    assert_int_equal(member_take_name(&x.t, m), ERR_OK);
    struct node_id id = id_of(1), other = id_of(1);
    assert_ptr_equal(member_find(&x.t, &id), m);
    assert_ptr_equal(member_find_short(&x.t, id.byte), m);
    assert_ptr_equal(member_find_name(&x.t, &name), m);
    other.byte[15] = 1;
    assert_null(member_find(&x.t, &other));
    struct member *second;
    struct head h = {.owner = other};
    assert_int_equal(member_add(&x.t, &h, &second), ERR_EXISTS);
    table_fini(&x);
}

static void test_order_is_by_id_whatever_the_order_of_coming(void **state)
{
    (void)state;
    struct table x;
    table_init(&x);
    for (uint32_t i = 0; i < 300; i++)
        (void)add(&x, i);
    for (size_t i = 1; i < x.t.count; i++)
        assert_true(name_node_id_cmp(&x.t.order[i - 1]->head->owner, &x.t.order[i]->head->owner) <
                    0);
    struct node_id last = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    assert_int_equal(member_lower_bound(&x.t, &last), 300);
    assert_int_equal(member_lower_bound(&x.t, &x.t.order[7]->head->owner), 7);
    table_fini(&x);
}

static void test_a_dropped_name_can_be_taken_and_is_not_dropped_twice(void **state)
{
    (void)state;
    struct table x;
    struct name name = {"web-1"};
    table_init(&x);
    struct member *a = add(&x, 1), *b = add(&x, 2);
    name_it(&x, a, "web-1");
    name_it(&x, b, "web-1");
    assert_int_equal(member_take_name(&x.t, a), ERR_OK);
    member_drop_name(&x.t, a);
    assert_int_equal(member_take_name(&x.t, b), ERR_OK);
    member_drop_name(&x.t, a);
    assert_ptr_equal(member_find_name(&x.t, &name), b);
    assert_string_equal(member_name(a)->text, "web-1");
    table_fini(&x);
}

static void test_bodies_are_kept_copies(void **state)
{
    (void)state;
    struct table x;
    char text[] = "abc";
    const uint8_t hash[2][CRYPTO_OPS_HASH_BYTES] = {{1}, {2}};
    table_init(&x);
    struct member *m = add(&x, 1);
    assert_int_equal(member_set_body(&x.t, m, hash[0], span_str(text)), ERR_OK);
    text[0] = 'x';
    assert_true(span_eq_str(member_body(m), "abc"));
    assert_int_equal(member_set_body(&x.t, m, hash[1], span_of("", 0)), ERR_OK);
    assert_int_equal(member_body(m).len, 0);
    assert_non_null(member_body(m).p);
    table_fini(&x);
}

static void test_care_lasts_while_something_is_the_matter(void **state)
{
    (void)state;
    struct table x;
    table_init(&x);
    struct member *m = add(&x, 1);
    member_arm(&x.t, m, 50);
    assert_non_null(member_accuse(&x.t, m));
    member_acquit(&x.t, m);
    member_sweep(&x.t);
    assert_true(member_timer_armed(m));
    member_disarm(&x.t, m);
    member_sweep(&x.t);
    assert_null(m->care);
    assert_int_equal(x.t.cares.objects_live, 0);
    table_fini(&x);
}

static void test_a_removed_member_leaves_its_place_to_another(void **state)
{
    (void)state;
    struct table x;
    table_init(&x);
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < 200; i++)
            (void)add(&x, round * 1000 + i);
        for (uint32_t i = 0; i < 200; i++) {
            struct node_id id = id_of(round * 1000 + i);
            struct member *m = member_find(&x.t, &id);
            assert_non_null(m);
            member_remove(&x.t, m);
            assert_null(member_find(&x.t, &id));
        }
    }
    assert_int_equal(x.t.made, 200);
    table_fini(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_are_found_by_id_by_its_half_and_by_name),
        cmocka_unit_test(test_order_is_by_id_whatever_the_order_of_coming),
        cmocka_unit_test(test_a_dropped_name_can_be_taken_and_is_not_dropped_twice),
        cmocka_unit_test(test_bodies_are_kept_copies),
        cmocka_unit_test(test_care_lasts_while_something_is_the_matter),
        cmocka_unit_test(test_a_removed_member_leaves_its_place_to_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
