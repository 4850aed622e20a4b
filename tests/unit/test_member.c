#include "gossip/member.h"

#include <stdlib.h>
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
        assert_true(name_node_id_cmp(&member_at(&x.t, i - 1)->head->owner,
                                     &member_at(&x.t, i)->head->owner) < 0);
    struct node_id last = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    assert_int_equal(member_lower_bound(&x.t, &last), 300);
    assert_int_equal(member_lower_bound(&x.t, &member_at(&x.t, 7)->head->owner), 7);
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

#define IMAGED 20u

/* Of all that are in the table, which holds its own references besides. */
static void image_of(const struct table *x, struct member_image *image)
{
    *image = (struct member_image){.count = x->t.count};
    image->row = calloc(member_image_room(x->t.count), sizeof(image->row[0]));
    assert_non_null(image->row);
    for (uint32_t i = 0; i < image->count; i++) {
        struct member *m = &image->row[i];
        *m = *member_peek(&x->t, i);
        m->index = i;
        archive_keep_head(m->head, 1);
        archive_keep_admission(m->admission, 1);
        assert_int_equal(member_index_put(&image->ids, archive_id_hash(m->head), i), ERR_OK);
        assert_int_equal(member_index_put(&image->names, m->admission->name_hash, i), ERR_OK);
    }
}

static void image_free(const struct table *x, struct member_image *image)
{
    for (size_t i = 0; i < image->count; i++) {
        archive_drop_head(x->archive, image->row[i].head, 1);
        archive_drop_admission(x->archive, image->row[i].admission, 1);
    }
    member_index_fini(&image->ids);
    member_index_fini(&image->names);
    free(image->row);
}

static void name_by_number(struct table *x, struct member *m, uint32_t i)
{
    char text[] = "web-00";
    text[4] = (char)('0' + i / 10);
    text[5] = (char)('0' + i % 10);
    name_it(x, m, text);
    assert_int_equal(member_take_name(&x->t, m), ERR_OK);
}

static struct member *find(struct table *x, uint32_t i)
{
    struct node_id id = id_of(i);
    return member_find(&x->t, &id);
}

/* One that knows itself, number `i`, and begins with the image. */
static struct member *begin_with(struct table *x, struct archive *archive,
                                 const struct member_image *image, uint32_t i)
{
    *x = (struct table){.archive = archive};
    heap_init(&x->timers, MEMBERS_MAX + 256);
    member_table_init(&x->t, archive, &x->timers);
    struct member *self = add(x, i);
    self->self = true;
    member_arm(&x->t, self, 70);
    name_by_number(x, self, i);
    uint32_t place = 0;
    while (name_node_id_cmp(&image->row[place].head->owner, &self->head->owner) != 0)
        place++;
    assert_int_equal(member_table_fill(&x->t, image, place, &self), ERR_OK);
    return self;
}

static void end_with(struct table *x)
{
    heap_fini(&x->timers);
    member_table_fini(&x->t);
}

static void test_tables_that_begin_with_one_image_change_apart(void **state)
{
    (void)state;
    struct table first, a, b;
    struct member_image image;
    struct name name = {"web-07"};
    table_init(&first);
    for (uint32_t i = 0; i < IMAGED; i++)
        name_by_number(&first, add(&first, i), i);
    image_of(&first, &image);
    struct member *self = begin_with(&a, first.archive, &image, 3);
    assert_ptr_equal(find(&a, 3), self);
    assert_ptr_equal(self->care->member, self);
    (void)begin_with(&b, first.archive, &image, 4);
    assert_int_equal(a.t.count, IMAGED);
    size_t own = 0;
    bool found = false;
    for (size_t i = member_next_own(&a.t, 0); i < IMAGED; i = member_next_own(&a.t, i + 1)) {
        own++;
        found = found || member_peek(&a.t, i) == self;
    }
    assert_true(found && own < IMAGED);

    struct head newer = {.owner = id_of(7), .version = 2};
    assert_int_equal(member_set_head(&a.t, find(&a, 7), &newer), ERR_OK);
    find(&a, 7)->state = MEMBER_DEAD;
    assert_int_equal(find(&b, 7)->head->version, 0);
    assert_int_equal(find(&b, 7)->state, MEMBER_ALIVE);
    assert_ptr_equal(member_find_name(&a.t, &name), find(&a, 7));

    member_remove(&a.t, find(&a, 7));
    assert_null(find(&a, 7));
    assert_null(member_find_name(&a.t, &name));
    assert_non_null(find(&b, 7));
    assert_ptr_equal(member_find_name(&b.t, &name), find(&b, 7));
    for (uint32_t i = IMAGED; i < 3 * IMAGED; i++)
        (void)add(&a, i);
    (void)add(&a, 7);
    assert_int_equal(a.t.count, 3 * IMAGED);
    for (size_t i = 1; i < a.t.count; i++)
        assert_true(name_node_id_cmp(&member_peek(&a.t, i - 1)->head->owner,
                                     &member_peek(&a.t, i)->head->owner) < 0);
    assert_int_equal(b.t.count, IMAGED);

    /* What it had before is the image's again. */
    struct head back = *find(&first, 9)->head, next = back;
    next.version = 5;
    assert_int_equal(member_set_head(&b.t, find(&b, 9), &next), ERR_OK);
    assert_int_equal(member_set_head(&b.t, find(&b, 9), &back), ERR_OK);
    assert_int_equal(find(&b, 9)->head->version, 0);
    end_with(&a);
    end_with(&b);
    image_free(&first, &image);
    table_fini(&first); /* the archive checks that every part was given back */
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
        cmocka_unit_test(test_tables_that_begin_with_one_image_change_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
