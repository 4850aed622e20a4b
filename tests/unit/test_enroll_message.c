/* Join and issue messages: round trips, and nothing damaged is taken (security.md X07, X08). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "cmd/daemon/enroll_message.h"

struct keys {
    uint8_t secret[P256_SECRET_BYTES], public_key[P256_PUBLIC_BYTES], token[TOKEN_KEY_BYTES];
    struct sign_key *sign_key;
};

static int setup_keys(void **state)
{
    struct keys *k = calloc(1, sizeof *k);
    assert_non_null(k);
    assert_true(sodium_init() >= 0);
    x509_mint_key(k->secret, k->public_key);
    assert_int_equal(sign_key_new(NULL, &k->sign_key), ERR_OK);
    memset(k->token, 7, sizeof k->token);
    *state = k;
    return 0;
}

static int free_keys(void **state)
{
    struct keys *k = *state;
    sign_key_free(k->sign_key);
    free(k);
    return 0;
}

static struct enroll_request request_of(const struct keys *k)
{
    struct enroll_request q = {.token_id = 77, .wall_s = 1795000000};
    assert_int_equal(name_set(&q.node, SPAN_LIT("api-1")), ERR_OK);
    assert_int_equal(addr_parse(SPAN_LIT("10.0.0.2:7400"), 0, &q.addr), ERR_OK);
    memcpy(q.public_key, k->public_key, sizeof q.public_key);
    memcpy(q.sign_public, sign_key_public(k->sign_key), sizeof q.sign_public);
    return q;
}

static size_t encode(const struct keys *k, uint8_t *out, size_t cap)
{
    struct enroll_request q = request_of(k);
    size_t len;
    assert_int_equal(
        enroll_message_request(&q, &(struct enroll_proofs){k->secret, k->sign_key, k->token}, out,
                               cap, &len),
        ERR_OK);
    return len;
}

static void test_request_round_trip_proves_both_keys(void **state)
{
    const struct keys *k = *state;
    uint8_t frame[1024];
    struct enroll_request back;
    struct span body;
    const uint8_t *mac;
    size_t len = encode(k, frame, sizeof frame);
    assert_int_equal(enroll_message_request_read(span_of(frame, len), &back, &body, &mac), ERR_OK);
    assert_int_equal(back.token_id, 77);
    assert_string_equal(back.node.text, "api-1");
    assert_int_equal(back.addr.port, 7400);
    assert_int_equal(back.wall_s, 1795000000);
    assert_true(token_mac_verify(k->token, body, mac));
}

static void test_no_prefix_of_a_request_is_taken(void **state)
{
    const struct keys *k = *state;
    uint8_t frame[1024];
    struct enroll_request back;
    struct span body;
    const uint8_t *mac;
    size_t len = encode(k, frame, sizeof frame);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_not_equal(enroll_message_request_read(span_of(frame, cut), &back, &body, &mac),
                             ERR_OK);
}

static void test_a_changed_request_fails_a_proof_or_the_mac(void **state)
{
    const struct keys *k = *state;
    uint8_t frame[1024];
    size_t len = encode(k, frame, sizeof frame);
    for (size_t i = 0; i < len; i += 3) {
        struct enroll_request back;
        struct span body;
        const uint8_t *mac;
        frame[i] ^= 0x10;
        enum err err = enroll_message_request_read(span_of(frame, len), &back, &body, &mac);
        assert_true(err != ERR_OK || !token_mac_verify(k->token, body, mac));
        frame[i] ^= 0x10;
    }
}

static void test_somebody_elses_public_key_is_not_proven(void **state)
{
    const struct keys *k = *state;
    uint8_t frame[1024], other_secret[P256_SECRET_BYTES], other_public[P256_PUBLIC_BYTES];
    struct enroll_request q = request_of(k), back;
    struct span body;
    const uint8_t *mac;
    size_t len;
    x509_mint_key(other_secret, other_public);
    memcpy(q.public_key, other_public, sizeof q.public_key);
    assert_int_equal(
        enroll_message_request(&q, &(struct enroll_proofs){k->secret, k->sign_key, k->token}, frame,
                               sizeof frame, &len),
        ERR_OK);
    assert_int_equal(enroll_message_request_read(span_of(frame, len), &back, &body, &mac),
                     ERR_AUTH);
}

static void test_reply_round_trip(void **state)
{
    const struct keys *k = *state;
    uint8_t frame[4096], group[SEAL_KEY_BYTES] = {1};
    struct enroll_reply a = {.leaf = SPAN_LIT("leaf"), .admission = SPAN_LIT("admission")}, back;
    size_t len;
    assert_int_equal(name_set(&a.mesh, SPAN_LIT("shop")), ERR_OK);
    a.ca[a.ca_count++] = SPAN_LIT("ca");
    a.group_key[a.group_key_count++] = span_of(group, sizeof group);
    assert_int_equal(addr_parse(SPAN_LIT("[fd00::1]:7400"), 0, &a.peer[a.peer_count++]), ERR_OK);
    a.ca_secret = span_of(k->secret, sizeof k->secret);
    assert_int_equal(enroll_message_reply(&a, frame, sizeof frame, &len), ERR_OK);
    assert_int_equal(enroll_message_reply_read(span_of(frame, len), &back), ERR_OK);
    assert_int_equal(back.word.len, 0);
    assert_string_equal(back.mesh.text, "shop");
    assert_true(span_eq_str(back.leaf, "leaf") && span_eq_str(back.ca[0], "ca"));
    assert_int_equal(back.group_key_count, 1);
    assert_true(addr_eq(&back.peer[0], &a.peer[0]));
    assert_int_equal(back.ca_secret.len, P256_SECRET_BYTES);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_not_equal(enroll_message_reply_read(span_of(frame, cut), &back), ERR_OK);
}

static void test_refusal_carries_word_and_sentence(void **state)
{
    (void)state;
    uint8_t frame[256];
    struct enroll_reply a = {.word = SPAN_LIT("token_expired"), .text = SPAN_LIT("make a new one")},
                        back;
    size_t len;
    assert_int_equal(enroll_message_reply(&a, frame, sizeof frame, &len), ERR_OK);
    assert_int_equal(enroll_message_reply_read(span_of(frame, len), &back), ERR_OK);
    assert_true(span_eq_str(back.word, "token_expired") &&
                span_eq_str(back.text, "make a new one"));
}

static void test_a_group_key_of_the_wrong_size_is_refused(void **state)
{
    (void)state;
    uint8_t frame[1024];
    struct enroll_reply a = {.ca = {SPAN_LIT("ca")},
                             .ca_count = 1,
                             .group_key = {SPAN_LIT("short")}},
                        back;
    size_t len;
    a.group_key_count = 1;
    assert_int_equal(name_set(&a.mesh, SPAN_LIT("shop")), ERR_OK);
    assert_int_equal(enroll_message_reply(&a, frame, sizeof frame, &len), ERR_OK);
    assert_int_equal(enroll_message_reply_read(span_of(frame, len), &back), ERR_INVALID);
}

static void test_issue_request_proves_each_leaf_key(void **state)
{
    const struct keys *k = *state;
    uint8_t frame[2048], other[P256_SECRET_BYTES], other_public[P256_PUBLIC_BYTES];
    const uint8_t *secrets[2] = {k->secret, k->secret};
    struct enroll_issue *q = calloc(2, sizeof *q);
    size_t len;
    assert_non_null(q);
    q[0].admission = SPAN_LIT("admission");
    q[0].count = 2;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(name_spiffe_parse(SPAN_LIT("spiffe://shop/service/api"), &q[0].leaf[i].id),
                         ERR_OK);
        memcpy(q[0].leaf[i].public_key, k->public_key, P256_PUBLIC_BYTES);
    }
    assert_int_equal(enroll_message_issue(&q[0], secrets, frame, sizeof frame, &len), ERR_OK);
    assert_int_equal(enroll_message_issue_read(span_of(frame, len), &q[1]), ERR_OK);
    assert_int_equal(q[1].count, 2);
    assert_true(name_spiffe_eq(&q[1].leaf[1].id, &q[0].leaf[1].id));
    x509_mint_key(other, other_public);
    memcpy(q[0].leaf[1].public_key, other_public, P256_PUBLIC_BYTES);
    assert_int_equal(enroll_message_issue(&q[0], secrets, frame, sizeof frame, &len), ERR_OK);
    assert_int_equal(enroll_message_issue_read(span_of(frame, len), &q[1]), ERR_AUTH);
    free(q);
}

static void test_issued_round_trip_keeps_empty_leaves(void **state)
{
    (void)state;
    uint8_t frame[1024];
    struct enroll_issued *a = calloc(2, sizeof *a);
    size_t len;
    assert_non_null(a);
    a[0].count = 2;
    a[0].leaf[1] = SPAN_LIT("der");
    assert_int_equal(enroll_message_issued(&a[0], frame, sizeof frame, &len), ERR_OK);
    assert_int_equal(enroll_message_issued_read(span_of(frame, len), &a[1]), ERR_OK);
    assert_int_equal(a[1].count, 2);
    assert_int_equal(a[1].leaf[0].len, 0);
    assert_true(span_eq_str(a[1].leaf[1], "der"));
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_round_trip_proves_both_keys),
        cmocka_unit_test(test_no_prefix_of_a_request_is_taken),
        cmocka_unit_test(test_a_changed_request_fails_a_proof_or_the_mac),
        cmocka_unit_test(test_somebody_elses_public_key_is_not_proven),
        cmocka_unit_test(test_reply_round_trip),
        cmocka_unit_test(test_refusal_carries_word_and_sentence),
        cmocka_unit_test(test_a_group_key_of_the_wrong_size_is_refused),
        cmocka_unit_test(test_issue_request_proves_each_leaf_key),
        cmocka_unit_test(test_issued_round_trip_keeps_empty_leaves),
    };
    return cmocka_run_group_tests(tests, setup_keys, free_keys);
}
