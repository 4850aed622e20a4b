#include "gossip/accusation.h"
#include "tests/sim/fake_crypto.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static struct accusation matter(void)
{
    return (struct accusation){.target = {{1, 2, 3}}, .epoch = 77, .inc = 5};
}

static struct accusation_vote vote_of(const struct accusation *a, uint32_t i, struct fake_key *key)
{
    struct accusation_vote v;
    fake_crypto_key(9, i, key);
    struct node_id id = fake_crypto_node_id(key);
    accusation_sign(fake_crypto_ops(), fake_crypto_sign_key(key), &id, a, ACCUSATION_SILENT, &v);
    return v;
}

static void test_votes_come_back_and_verify(void **state)
{
    (void)state;
    struct fake_key key[2];
    struct accusation a = matter(), back;
    uint8_t wire[ACCUSATION_BYTES_MAX];
    for (uint32_t i = 0; i < 2; i++) {
        struct accusation_vote v = vote_of(&a, i, &key[i]);
        assert_true(accusation_add(&a, &v));
    }
    size_t len = accusation_encode(&a, wire);
    assert_int_equal(len, ACCUSATION_HEAD_BYTES + 2 * ACCUSATION_VOTE_BYTES);
    assert_int_equal(accusation_decode(span_of(wire, len), &back), ERR_OK);
    assert_int_equal(back.count, 2);
    assert_int_equal(back.epoch, 77);
    assert_int_equal(back.inc, 5);
    for (uint32_t i = 0; i < 2; i++)
        assert_true(accusation_verify(fake_crypto_ops(), key[i].public_key, &back, &back.vote[i]));
}

static void test_a_vote_for_one_incarnation_is_none_for_another(void **state)
{
    (void)state;
    struct fake_key key;
    struct accusation a = matter();
    struct accusation_vote v = vote_of(&a, 0, &key);
    a.inc++;
    assert_false(accusation_verify(fake_crypto_ops(), key.public_key, &a, &v));
    a.inc--;
    a.target.byte[0]++;
    assert_false(accusation_verify(fake_crypto_ops(), key.public_key, &a, &v));
}

static void test_the_kind_of_a_vote_is_signed(void **state)
{
    (void)state;
    struct fake_key key;
    struct accusation a = matter();
    struct accusation_vote v = vote_of(&a, 0, &key);
    v.kind = ACCUSATION_REFUSED;
    assert_false(accusation_verify(fake_crypto_ops(), key.public_key, &a, &v));
}

static void test_a_refusal_takes_the_place_of_silence(void **state)
{
    (void)state;
    struct fake_key key;
    struct accusation a = matter();
    for (uint32_t i = 0; i < TUNING_ACCUSERS_MAX; i++) {
        struct accusation_vote v = vote_of(&a, i, &key);
        assert_true(accusation_add(&a, &v));
    }
    struct accusation_vote own = a.vote[1], other = vote_of(&a, 9, &key);
    assert_false(accusation_add(&a, &other));
    own.kind = other.kind = ACCUSATION_REFUSED;
    assert_true(accusation_add(&a, &own));
    assert_false(accusation_add(&a, &own));
    assert_true(accusation_add(&a, &other));
    assert_int_equal(a.count, TUNING_ACCUSERS_MAX);
    assert_int_equal(accusation_count(&a, ACCUSATION_REFUSED), 2);
}

static void test_of_a_full_set_what_says_least_goes(void **state)
{
    (void)state;
    static const enum accusation_kind kind[] = {ACCUSATION_LOSSY, ACCUSATION_SILENT,
                                                ACCUSATION_REFUSED};
    struct fake_key key;
    struct accusation a = matter();
    for (uint32_t i = 0; i < TUNING_ACCUSERS_MAX; i++) {
        struct accusation_vote v = vote_of(&a, i, &key);
        v.kind = (uint8_t)kind[i];
        assert_true(accusation_add(&a, &v));
    }
    struct accusation_vote v = vote_of(&a, 9, &key);
    v.kind = ACCUSATION_LOSSY;
    assert_true(accusation_add(&a, &v));
    assert_int_equal(accusation_count(&a, ACCUSATION_LOSSY), 2);
    assert_int_equal(accusation_count(&a, ACCUSATION_REFUSED), 1);
    assert_int_equal(accusation_count(&a, ACCUSATION_SILENT), 0);
}

static void test_one_accuser_has_one_vote(void **state)
{
    (void)state;
    struct fake_key key;
    struct accusation a = matter();
    struct accusation_vote v = vote_of(&a, 0, &key);
    assert_true(accusation_add(&a, &v));
    assert_false(accusation_add(&a, &v));
    assert_int_equal(a.count, 1);
}

static void test_more_votes_than_decide_are_not_kept(void **state)
{
    (void)state;
    struct fake_key key;
    struct accusation a = matter();
    for (uint32_t i = 0; i < TUNING_ACCUSERS_MAX + 1; i++) {
        struct accusation_vote v = vote_of(&a, i, &key);
        assert_int_equal(accusation_add(&a, &v), i < TUNING_ACCUSERS_MAX);
    }
}

static void test_cut_empty_and_doubled_accusations_are_refused(void **state)
{
    (void)state;
    struct fake_key key;
    struct accusation a = matter(), back;
    struct accusation_vote v = vote_of(&a, 0, &key);
    uint8_t wire[ACCUSATION_BYTES_MAX + ACCUSATION_VOTE_BYTES] = {0};
    assert_true(accusation_add(&a, &v));
    size_t len = accusation_encode(&a, wire);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(accusation_decode(span_of(wire, cut), &back), ERR_INVALID);
    assert_int_equal(accusation_decode(span_of(wire, sizeof(wire)), &back), ERR_INVALID);
    memcpy(wire + len, wire + ACCUSATION_HEAD_BYTES, ACCUSATION_VOTE_BYTES);
    assert_int_equal(accusation_decode(span_of(wire, len + ACCUSATION_VOTE_BYTES), &back),
                     ERR_INVALID);
}

static void test_a_shortened_one_keeps_what_can_be_refuted_at_once(void **state)
{
    (void)state;
    struct fake_key key;
    struct accusation a = matter();
    for (uint32_t i = 0; i < 3; i++) {
        struct accusation_vote v = vote_of(&a, i, &key);
        if (i == 1) v.kind = ACCUSATION_LOSSY;
        assert_true(accusation_add(&a, &v));
    }
    struct node_id last = a.vote[2].accuser;
    accusation_shorten(&a, 3);
    assert_int_equal(a.count, 3);
    accusation_shorten(&a, 2);
    assert_int_equal(a.count, 2);
    assert_int_equal(accusation_count(&a, ACCUSATION_LOSSY), 0);
    assert_true(accusation_has(&a, &last));
}

/* Only what was measured may be of an incarnation before, and its signature says of which. */
static void test_a_vote_for_lossy_can_be_of_some_incarnations_ago(void **state)
{
    (void)state;
    struct fake_key key[3];
    struct accusation a = matter(), back;
    uint8_t wire[ACCUSATION_BYTES_MAX];
    for (uint32_t i = 0; i < 3; i++) {
        struct accusation_vote v = vote_of(&a, i, &key[i]);
        struct node_id id = v.accuser;
        if (i < 2)
            accusation_sign(fake_crypto_ops(), fake_crypto_sign_key(&key[i]), &id, &a,
                            ACCUSATION_LOSSY, &v);
        assert_true(accusation_add(&a, &v));
    }
    accusation_move(&a, 7);
    assert_int_equal(a.inc, 7);
    assert_int_equal(a.count, 2);
    assert_int_equal(accusation_count_now(&a), 0);
    size_t len = accusation_encode(&a, wire);
    assert_int_equal(accusation_decode(span_of(wire, len), &back), ERR_OK);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(back.vote[i].ago, 2);
        assert_true(accusation_verify(fake_crypto_ops(), key[i].public_key, &back, &back.vote[i]));
        back.vote[i].ago = 1;
        assert_false(accusation_verify(fake_crypto_ops(), key[i].public_key, &back, &back.vote[i]));
    }
    accusation_move(&a, 5);
    assert_int_equal(a.count, 2);
    assert_int_equal(accusation_count_now(&a), 2);
    accusation_move(&a, 4); /* of the future */
    assert_int_equal(a.count, 0);
}

static void test_votes_of_too_many_incarnations_ago_are_left_out(void **state)
{
    (void)state;
    struct fake_key key;
    struct accusation a = matter();
    struct accusation_vote v = vote_of(&a, 0, &key);
    v.kind = ACCUSATION_LOSSY;
    assert_true(accusation_add(&a, &v));
    struct accusation far = a;
    accusation_move(&a, 5 + ACCUSATION_AGO_MAX);
    assert_int_equal(a.count, 1);
    accusation_move(&far, 5 + ACCUSATION_AGO_MAX + 1);
    assert_int_equal(far.count, 0);
}

static void test_silence_of_another_incarnation_is_refused(void **state)
{
    (void)state;
    struct fake_key key;
    struct accusation a = matter(), back;
    uint8_t wire[ACCUSATION_BYTES_MAX];
    struct accusation_vote v = vote_of(&a, 0, &key);
    v.kind = ACCUSATION_LOSSY;
    assert_true(accusation_add(&a, &v));
    size_t len = accusation_encode(&a, wire), what = ACCUSATION_HEAD_BYTES + NODE_ID_BYTES;
    wire[what] = 5 << 4 | ACCUSATION_LOSSY;
    assert_int_equal(accusation_decode(span_of(wire, len), &back), ERR_OK);
    wire[what] = 6 << 4 | ACCUSATION_LOSSY; /* before the first */
    assert_int_equal(accusation_decode(span_of(wire, len), &back), ERR_INVALID);
    wire[what] = 1 << 4 | ACCUSATION_SILENT;
    assert_int_equal(accusation_decode(span_of(wire, len), &back), ERR_INVALID);
    wire[what] = 1 << 4 | ACCUSATION_REFUSED;
    assert_int_equal(accusation_decode(span_of(wire, len), &back), ERR_INVALID);
}

static void test_a_vote_that_must_not_be_left_out_takes_the_place_of_the_least(void **state)
{
    (void)state;
    struct fake_key key;
    struct accusation a = matter();
    for (uint32_t i = 0; i < 3; i++) {
        struct accusation_vote v = vote_of(&a, i, &key);
        if (i != 1) v.kind = ACCUSATION_REFUSED;
        accusation_add_surely(&a, &v);
    }
    struct accusation_vote silent = a.vote[1], refused = a.vote[0], v = vote_of(&a, 7, &key);
    accusation_add_surely(&a, &v);
    assert_int_equal(a.count, 3);
    assert_true(accusation_has(&a, &v.accuser));
    assert_false(accusation_has(&a, &silent.accuser));
    refused.kind = ACCUSATION_SILENT;
    accusation_add_surely(&a, &refused); /* has said more */
    assert_int_equal(accusation_count(&a, ACCUSATION_REFUSED), 2);
    assert_true(accusation_has(&a, &v.accuser));
}

static void test_the_newer_measure_takes_the_place_of_the_older(void **state)
{
    (void)state;
    struct fake_key key;
    struct accusation a = matter();
    struct accusation_vote v = vote_of(&a, 0, &key);
    v.kind = ACCUSATION_LOSSY;
    v.ago = 1;
    assert_true(accusation_add(&a, &v));
    assert_false(accusation_add(&a, &v));
    v.ago = 0;
    assert_true(accusation_add(&a, &v));
    assert_int_equal(a.count, 1);
    v.ago = 1;
    assert_false(accusation_add(&a, &v));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_vote_for_lossy_can_be_of_some_incarnations_ago),
        cmocka_unit_test(test_votes_of_too_many_incarnations_ago_are_left_out),
        cmocka_unit_test(test_silence_of_another_incarnation_is_refused),
        cmocka_unit_test(test_the_newer_measure_takes_the_place_of_the_older),
        cmocka_unit_test(test_a_vote_that_must_not_be_left_out_takes_the_place_of_the_least),
        cmocka_unit_test(test_a_shortened_one_keeps_what_can_be_refuted_at_once),
        cmocka_unit_test(test_votes_come_back_and_verify),
        cmocka_unit_test(test_a_vote_for_one_incarnation_is_none_for_another),
        cmocka_unit_test(test_the_kind_of_a_vote_is_signed),
        cmocka_unit_test(test_a_refusal_takes_the_place_of_silence),
        cmocka_unit_test(test_of_a_full_set_what_says_least_goes),
        cmocka_unit_test(test_one_accuser_has_one_vote),
        cmocka_unit_test(test_more_votes_than_decide_are_not_kept),
        cmocka_unit_test(test_cut_empty_and_doubled_accusations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
