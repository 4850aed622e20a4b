#include "gossip/digest.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static const struct mesh_id mesh = {{1, 2, 3}};

static struct head head_of(uint8_t first, uint64_t version)
{
    return (struct head){.owner = {{first, 7}}, .version = version};
}

static void test_equal_records_give_equal_roots_in_any_order(void **state)
{
    (void)state;
    struct digest a, b;
    struct head h[4] = {head_of(1, 1), head_of(1, 1), head_of(200, 5), head_of(200, 6)};
    struct member m[3] = {{.head = &h[0]}, {.head = &h[1]}, {.head = &h[2]}};
    struct member n[3] = {{.head = &h[2]}, {.head = &h[0]}, {.head = &h[1]}};
    h[1].owner.byte[2] = 9;
    digest_init(&a, &mesh);
    digest_init(&b, &mesh);
    for (int i = 0; i < 3; i++) {
        digest_note(&a, &m[i], 0);
        digest_note(&b, &n[i], 0);
    }
    digest_settle(&a, 0, 0);
    digest_settle(&b, 0, 0);
    assert_int_equal(digest_root(&a), digest_root(&b));
    n[0].head = &h[3];
    digest_note(&b, &n[0], 0);
    digest_settle(&b, 0, 0);
    assert_int_not_equal(digest_root(&a), digest_root(&b));
    digest_fini(&a);
    digest_fini(&b);
}

static void test_a_change_counts_only_when_it_has_settled(void **state)
{
    (void)state;
    struct digest d;
    struct head h = head_of(1, 1);
    struct member m = {.head = &h};
    digest_init(&d, &mesh);
    uint64_t empty = digest_root(&d);
    digest_note(&d, &m, 1000);
    digest_settle(&d, 1999, 1000);
    assert_int_equal(digest_root(&d), empty);
    digest_settle(&d, 2000, 1000);
    assert_int_not_equal(digest_root(&d), empty);
    digest_fini(&d);
}

static void test_the_dead_and_the_forgotten_do_not_count(void **state)
{
    (void)state;
    struct digest d;
    struct head h = head_of(1, 1);
    struct member m = {.head = &h};
    digest_init(&d, &mesh);
    uint64_t empty = digest_root(&d);
    digest_note(&d, &m, 0);
    digest_settle(&d, 0, 0);
    m.state = MEMBER_DEAD;
    digest_note(&d, &m, 0);
    digest_settle(&d, 0, 0);
    assert_int_equal(digest_root(&d), empty);
    m.state = MEMBER_ALIVE;
    digest_note(&d, &m, 0);
    digest_settle(&d, 0, 0);
    digest_forget(&d, &m);
    assert_int_equal(digest_root(&d), empty);
    digest_fini(&d);
}

static void test_a_suspect_counts_as_before(void **state)
{
    (void)state;
    struct digest d;
    struct head h = head_of(1, 1);
    struct member m = {.head = &h};
    digest_init(&d, &mesh);
    digest_note(&d, &m, 0);
    digest_settle(&d, 0, 0);
    uint64_t root = digest_root(&d);
    m.state = MEMBER_SUSPECT;
    digest_note(&d, &m, 0);
    digest_settle(&d, 0, 0);
    assert_int_equal(digest_root(&d), root);
    digest_fini(&d);
}

static void test_only_buckets_that_differ_are_marked(void **state)
{
    (void)state;
    struct digest a, b;
    struct head three = head_of(3, 1), other = head_of(200, 1);
    struct member same = {.head = &three}, also = {.head = &three}, more = {.head = &other};
    uint8_t vector[DIGEST_VECTOR_BYTES], bitmap[DIGEST_BITMAP_BYTES];
    digest_init(&a, &mesh);
    digest_init(&b, &mesh);
    digest_note(&a, &same, 0);
    digest_note(&b, &also, 0);
    digest_note(&b, &more, 0);
    digest_settle(&a, 0, 0);
    digest_settle(&b, 0, 0);
    digest_vector(&a, vector);
    assert_int_equal(digest_compare(&b, vector, bitmap), 1);
    for (unsigned i = 0; i < DIGEST_BUCKETS; i++)
        assert_int_equal(digest_marked(bitmap, (uint8_t)i), i == 200);
    digest_fini(&a);
    digest_fini(&b);
}

static void test_the_summary_shows_accusations_at_once_and_their_votes(void **state)
{
    (void)state;
    struct digest d;
    struct head h = head_of(1, 1);
    struct member m = {.head = &h};
    struct accusation votes = {.target = h.owner, .count = 2};
    struct member_care care = {.member = &m, .accusation = &votes};
    digest_init(&d, &mesh);
    uint64_t before = digest_summary(&d);
    m.care = &care;
    digest_accuse(&d, &m, 5);
    uint64_t two = digest_summary(&d);
    assert_false(digest_same_accused(before, two));
    assert_true(digest_same_records(before, two));
    votes.count = 3;
    digest_accuse(&d, &m, 6);
    assert_false(digest_same_accused(two, digest_summary(&d)));
    care.accusation = NULL;
    digest_accuse(&d, &m, 7);
    assert_int_equal(digest_summary(&d), before);
    assert_true(list_empty(&d.accused_list));
    digest_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_records_give_equal_roots_in_any_order),
        cmocka_unit_test(test_a_change_counts_only_when_it_has_settled),
        cmocka_unit_test(test_the_dead_and_the_forgotten_do_not_count),
        cmocka_unit_test(test_a_suspect_counts_as_before),
        cmocka_unit_test(test_only_buckets_that_differ_are_marked),
        cmocka_unit_test(test_the_summary_shows_accusations_at_once_and_their_votes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
