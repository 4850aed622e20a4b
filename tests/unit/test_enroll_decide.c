/* Who is let in and what is signed: the token's limits, the clock, the address, the names
 * (security.md X07, X08). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "cmd/daemon/enroll_decide.h"
#include "cmd/daemon/store_identity.h"
#include "tests/unit/support_folder.h"

#define NOW    INT64_C(1795000000)
#define CA_END (NOW + 10 * 86400)

struct fixture {
    char root[64];
    struct store store;
    struct signer *signer;
    struct token_book *book;
    struct seal_ring *ring;
    struct enroll_world world;
    struct enroll_recent recent;
    uint8_t secret[P256_SECRET_BYTES], public_key[P256_PUBLIC_BYTES];
    struct sign_key *key;
    uint8_t token_secret[TOKEN_SECRET_BYTES];
    struct token_entry entry;
    uint8_t frame[2048];
    struct enroll_request asked;
    struct enroll_reply reply;
    struct enroll_scratch scratch;
};

static void make_signer(struct fixture *f)
{
    uint8_t ca_secret[P256_SECRET_BYTES], ca_public[P256_PUBLIC_BYTES], key[SEAL_KEY_BYTES] = {9};
    struct x509_der ca;
    struct sign_key *issuer;
    struct span der;
    x509_mint_key(ca_secret, ca_public);
    assert_int_equal(x509_mint_ca(&f->world.mesh, ca_secret, NOW - 600, CA_END, &ca), ERR_OK);
    assert_int_equal(sign_key_new(NULL, &issuer), ERR_OK);
    der = span_of(ca.data, ca.len);
    assert_int_equal(store_prepare(&f->store, true, NULL), ERR_OK);
    assert_int_equal(store_identity_ca_key_save(&f->store, ca_secret, NULL), ERR_OK);
    assert_int_equal(store_identity_sign_save(&f->store, STORE_ISSUER_KEY, issuer, NULL), ERR_OK);
    assert_int_equal(store_identity_ca_save(&f->store, &der, 1, NULL), ERR_OK);
    sign_key_free(issuer);
    assert_int_equal(signer_new(&f->store, &f->world.mesh, NULL, &f->signer), ERR_OK);
    assert_int_equal(seal_ring_new(&f->ring), ERR_OK);
    assert_int_equal(seal_ring_add(f->ring, key), ERR_OK);
}

static int make(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_true(sodium_init() >= 0);
    support_folder_make(f->root);
    assert_int_equal(store_open(f->root, NULL, &f->store), ERR_OK);
    assert_int_equal(name_set(&f->world.mesh, SPAN_LIT("shop")), ERR_OK);
    make_signer(f);
    assert_int_equal(token_book_new(&f->store, NULL, &f->book), ERR_OK);
    f->world.signer = f->signer;
    f->world.book = f->book;
    f->world.recent = &f->recent;
    f->world.ring = f->ring;
    f->world.now_s = NOW;
    assert_int_equal(addr_parse(SPAN_LIT("10.0.0.1:7400"), 0, &f->world.addr), ERR_OK);
    x509_mint_key(f->secret, f->public_key);
    assert_int_equal(sign_key_new(NULL, &f->key), ERR_OK);
    memset(f->token_secret, 5, sizeof f->token_secret);
    f->entry = (struct token_entry){.id = 42, .expires_s = NOW + 3600, .uses_left = 1, .glob = "*"};
    token_key(f->token_secret, f->entry.key);
    *state = f;
    return 0;
}

static int drop(void **state)
{
    struct fixture *f = *state;
    support_folder_remove(f->root);
    token_book_free(f->book);
    signer_free(f->signer);
    seal_ring_free(f->ring);
    sign_key_free(f->key);
    store_close(&f->store);
    free(f);
    return 0;
}

static struct enroll_request request_of(const struct fixture *f)
{
    struct enroll_request q = {.token_id = 42, .wall_s = NOW};
    assert_int_equal(name_set(&q.node, SPAN_LIT("api-1")), ERR_OK);
    assert_int_equal(addr_parse(SPAN_LIT("10.0.0.2:7400"), 0, &q.addr), ERR_OK);
    memcpy(q.public_key, f->public_key, sizeof q.public_key);
    memcpy(q.sign_public, sign_key_public(f->key), sizeof q.sign_public);
    return q;
}

/* Asks with `q` under the token's secret; the refusal's word, or "" when granted. */
static const char *ask(struct fixture *f, const struct enroll_request *q)
{
    static const char *const words[] = {"",
                                        "token_unknown",
                                        "token_wrong",
                                        "token_expired",
                                        "clock_skew",
                                        "name_not_allowed",
                                        "bad_addr",
                                        "not_signer",
                                        "bad_request",
                                        "bad_key",
                                        "name_taken"};
    uint8_t key[TOKEN_KEY_BYTES];
    size_t len;
    token_key(f->token_secret, key);
    struct enroll_proofs by = {f->secret, f->key, key};
    assert_int_equal(enroll_message_request(q, &by, f->frame, sizeof f->frame, &len), ERR_OK);
    bool granted =
        enroll_decide_join(&f->world, span_of(f->frame, len), &f->asked, &f->reply, &f->scratch);
    assert_int_equal(granted, f->reply.word.len == 0);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (span_eq_str(f->reply.word, words[i])) return words[i];
    return "another word";
}

static void test_a_good_token_is_granted_once(void **state)
{
    struct fixture *f = *state;
    struct enroll_request q = request_of(f);
    struct x509_leaf leaf;
    struct sign_admission a;
    assert_int_equal(token_book_add(f->book, &f->entry, NOW), ERR_OK);
    assert_string_equal(ask(f, &q), "");
    assert_int_equal(x509_check_leaf(f->reply.leaf, &f->world.mesh, X509_CLIENT, &leaf), X509_OK);
    assert_string_equal(leaf.id.name.text, "api-1");
    assert_int_equal(leaf.id.kind, IDENTITY_NODE);
    assert_int_equal(leaf.not_after_s, NOW + SIGNER_LEAF_TTL_S);
    assert_int_equal(
        sign_admission_open(f->reply.admission, f->reply.issuer_public, &f->world.mesh_id, NOW, &a),
        ERR_OK);
    assert_string_equal(a.name.text, "api-1");
    assert_int_equal(a.roles, 0);
    assert_memory_equal(a.spki_sha256, leaf.spki_sha256, sizeof a.spki_sha256);
    assert_int_equal(f->reply.ca_secret.len, 0);
    assert_string_equal(ask(f, &q), "token_unknown");
}

static void test_a_use_taken_is_taken_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct enroll_request q = request_of(f);
    assert_int_equal(token_book_add(f->book, &f->entry, NOW), ERR_OK);
    assert_string_equal(ask(f, &q), "");
    token_book_free(f->book);
    assert_int_equal(token_book_new(&f->store, NULL, &f->book), ERR_OK);
    f->world.book = f->book;
    assert_string_equal(ask(f, &q), "token_unknown");
}

static void test_the_last_leaves_end_with_the_ca(void **state)
{
    struct fixture *f = *state;
    struct enroll_request q = request_of(f);
    struct x509_leaf leaf;
    f->world.now_s = q.wall_s = CA_END - 3600;
    f->entry.expires_s = CA_END;
    assert_int_equal(token_book_add(f->book, &f->entry, f->world.now_s), ERR_OK);
    assert_string_equal(ask(f, &q), "");
    assert_int_equal(x509_check_leaf(f->reply.leaf, NULL, X509_CLIENT, &leaf), X509_OK);
    assert_int_equal(leaf.not_after_s, CA_END);
}

static void test_the_role_signer_hands_over_the_ca_key(void **state)
{
    struct fixture *f = *state;
    struct enroll_request q = request_of(f);
    f->entry.roles = ADMISSION_ROLE_SIGNER;
    assert_int_equal(token_book_add(f->book, &f->entry, NOW), ERR_OK);
    assert_string_equal(ask(f, &q), "");
    assert_int_equal(f->reply.ca_secret.len, P256_SECRET_BYTES);
    assert_int_equal(f->reply.issuer_seed.len, SIGN_SEED_BYTES);
}

static void test_a_name_is_not_given_twice_at_once(void **state)
{
    struct fixture *f = *state;
    struct enroll_request q = request_of(f);
    f->entry.uses_left = 3;
    assert_int_equal(token_book_add(f->book, &f->entry, NOW), ERR_OK);
    assert_string_equal(ask(f, &q), "");
    assert_string_equal(ask(f, &q), "name_taken");
    assert_int_equal(name_set(&q.node, SPAN_LIT("api-2")), ERR_OK);
    assert_string_equal(ask(f, &q), "");
    assert_int_equal(name_set(&q.node, SPAN_LIT("api-1")), ERR_OK);
    f->world.now_s = NOW + ENROLL_RECENT_S;
    q.wall_s = f->world.now_s;
    assert_string_equal(ask(f, &q), "");
}

static void test_another_secret_is_refused_and_takes_no_use(void **state)
{
    struct fixture *f = *state;
    struct enroll_request q = request_of(f);
    assert_int_equal(token_book_add(f->book, &f->entry, NOW), ERR_OK);
    f->token_secret[0] ^= 1;
    assert_string_equal(ask(f, &q), "token_wrong");
    f->token_secret[0] ^= 1;
    assert_string_equal(ask(f, &q), "");
}

static void test_an_expired_token_is_refused(void **state)
{
    struct fixture *f = *state;
    struct enroll_request q = request_of(f);
    assert_int_equal(token_book_add(f->book, &f->entry, NOW), ERR_OK);
    f->world.now_s = f->entry.expires_s;
    q.wall_s = f->world.now_s;
    assert_string_equal(ask(f, &q), "token_expired");
}

static void test_clocks_over_five_minutes_apart_are_refused(void **state)
{
    struct fixture *f = *state;
    struct enroll_request q = request_of(f);
    f->entry.uses_left = 2;
    assert_int_equal(token_book_add(f->book, &f->entry, NOW), ERR_OK);
    q.wall_s = NOW + 301;
    assert_string_equal(ask(f, &q), "clock_skew");
    q.wall_s = NOW - 301;
    assert_string_equal(ask(f, &q), "clock_skew");
    q.wall_s = INT64_MIN + 1;
    assert_string_equal(ask(f, &q), "clock_skew");
    q.wall_s = INT64_MAX;
    assert_string_equal(ask(f, &q), "clock_skew");
    q.wall_s = NOW - 299;
    assert_string_equal(ask(f, &q), "");
}

static void test_a_token_for_other_names_is_refused(void **state)
{
    struct fixture *f = *state;
    struct enroll_request q = request_of(f);
    snprintf(f->entry.glob, sizeof f->entry.glob, "db-*");
    assert_int_equal(token_book_add(f->book, &f->entry, NOW), ERR_OK);
    assert_string_equal(ask(f, &q), "name_not_allowed");
    assert_int_equal(name_set(&q.node, SPAN_LIT("db-7")), ERR_OK);
    assert_string_equal(ask(f, &q), "");
}

static void test_addresses_nobody_can_dial_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"127.0.0.1:7400",       "0.0.0.0:7400",
                                      "224.0.0.1:7400",       "169.254.169.254:7400",
                                      "255.255.255.255:7400", "[::1]:7400"};
    assert_int_equal(token_book_add(f->book, &f->entry, NOW), ERR_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct enroll_request q = request_of(f);
        assert_int_equal(addr_parse(span_str(bad[i]), 0, &q.addr), ERR_OK);
        assert_string_equal(ask(f, &q), "bad_addr");
    }
}

static void test_garbage_and_a_host_without_the_ca_key_refuse(void **state)
{
    struct fixture *f = *state;
    struct enroll_request q = request_of(f);
    assert_false(enroll_decide_join(&f->world, SPAN_LIT("garbage garbage garbage garbage garbage"),
                                    &f->asked, &f->reply, &f->scratch));
    assert_true(span_eq_str(f->reply.word, "bad_request"));
    f->world.signer = NULL;
    assert_string_equal(ask(f, &q), "not_signer");
}

/* A member as admitted by a token for these services. */
static void admit(struct fixture *f, const char *service, struct x509_leaf *peer,
                  struct enroll_issue *q)
{
    struct enroll_request r = request_of(f);
    if (service)
        assert_int_equal(name_set(&f->entry.service[f->entry.service_count++], span_str(service)),
                         ERR_OK);
    assert_int_equal(token_book_add(f->book, &f->entry, NOW), ERR_OK);
    assert_string_equal(ask(f, &r), "");
    assert_int_equal(x509_check_leaf(f->reply.leaf, NULL, X509_CLIENT, peer), X509_OK);
    q->admission = f->reply.admission;
}

static void want(const struct fixture *f, struct enroll_issue *q, const char *uri)
{
    struct enroll_leaf *leaf = &q->leaf[q->count++];
    assert_int_equal(name_spiffe_parse(span_str(uri), &leaf->id), ERR_OK);
    memcpy(leaf->public_key, f->public_key, P256_PUBLIC_BYTES);
}

static void test_a_member_gets_only_what_its_admission_grants(void **state)
{
    struct fixture *f = *state;
    struct enroll_issue *q = calloc(1, sizeof *q);
    struct enroll_issued *issued = calloc(1, sizeof *issued);
    struct x509_leaf peer;
    struct arena arena;
    assert_true(q && issued);
    arena_init(&arena, 4096, 1u << 20);
    admit(f, "api", &peer, q);
    want(f, q, "spiffe://shop/service/api");
    want(f, q, "spiffe://shop/service/db");
    want(f, q, "spiffe://other/service/api");
    want(f, q, "spiffe://shop/node/web-1");
    want(f, q, "spiffe://shop/node/api-1");
    assert_true(enroll_decide_issue(&f->world, &peer, q, &arena, issued));
    assert_true(issued->leaf[0].len > 0);
    assert_int_equal(issued->leaf[1].len, 0);
    assert_int_equal(issued->leaf[2].len, 0);
    assert_int_equal(issued->leaf[3].len, 0);
    assert_true(issued->leaf[4].len > 0 && issued->admission.len > 0);
    arena_fini(&arena);
    free(issued);
    free(q);
}

static void test_another_members_admission_is_refused(void **state)
{
    struct fixture *f = *state;
    struct enroll_issue *q = calloc(1, sizeof *q);
    struct enroll_issued *issued = calloc(1, sizeof *issued);
    struct x509_leaf peer;
    struct arena arena;
    assert_true(q && issued);
    arena_init(&arena, 4096, 1u << 20);
    admit(f, NULL, &peer, q);
    want(f, q, "spiffe://shop/service/api");
    struct x509_leaf other = peer;
    other.spki_sha256[0] ^= 1;
    assert_false(enroll_decide_issue(&f->world, &other, q, &arena, issued));
    other = peer;
    assert_int_equal(name_set(&other.id.name, SPAN_LIT("web-1")), ERR_OK);
    assert_false(enroll_decide_issue(&f->world, &other, q, &arena, issued));
    other = peer;
    other.id.kind = IDENTITY_SERVICE;
    assert_false(enroll_decide_issue(&f->world, &other, q, &arena, issued));
    assert_true(enroll_decide_issue(&f->world, &peer, q, &arena, issued));
    arena_fini(&arena);
    free(issued);
    free(q);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        T(test_a_good_token_is_granted_once),
        T(test_a_use_taken_is_taken_after_a_restart),
        T(test_the_last_leaves_end_with_the_ca),
        T(test_the_role_signer_hands_over_the_ca_key),
        T(test_a_name_is_not_given_twice_at_once),
        T(test_another_secret_is_refused_and_takes_no_use),
        T(test_an_expired_token_is_refused),
        T(test_clocks_over_five_minutes_apart_are_refused),
        T(test_a_token_for_other_names_is_refused),
        T(test_addresses_nobody_can_dial_are_refused),
        T(test_garbage_and_a_host_without_the_ca_key_refuse),
        T(test_a_member_gets_only_what_its_admission_grants),
        T(test_another_members_admission_is_refused),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
