#include "core/crypto/tls_engine.h"

#include "core/base/check.h"
#include "tests/unit/support_tls.h"
#include "tests/unit/support_x509.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define WEB       "spiffe://demo/service/web"
#define API       "spiffe://demo/service/api"
#define NODE      "spiffe://demo/node/n1"
#define BULK      (1024u * 1024u)
#define ALPN      "h2"
#define ALPN_JOIN "parley-join/1"

/* One pair of engines and all they are made from. */
struct fixture {
    struct tls_profile *profile;
    struct support_x509_ca ca;
    struct trust *trust;
    struct identity *web, *api, *node;
    struct spiffe_id api_id;
    struct tls_client_options client_options;
    struct tls_server_options server_options;
    struct tls_engine *client, *server;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){0};
    support_x509_ca_new("demo", &f.ca);
    f.trust = support_x509_trust(&f.ca);
    f.web = support_x509_identity(&f.ca, WEB);
    f.api = support_x509_identity(&f.ca, API);
    f.node = support_x509_identity(&f.ca, NODE);
    f.api_id = *identity_spiffe(f.api);
    assert_int_equal(tls_engine_profile_new(&f.profile), ERR_OK);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    identity_unref(f->web);
    identity_unref(f->api);
    identity_unref(f->node);
    identity_trust_unref(f->trust);
    tls_engine_profile_free(f->profile);
    return 0;
}

/* web calls api. */
static void describe(struct fixture *f)
{
    f->client_options = (struct tls_client_options){.profile = f->profile,
                                                    .self = f->web,
                                                    .trust = f->trust,
                                                    .expect = &f->api_id,
                                                    .sni = "api.demo",
                                                    .alpn = ALPN,
                                                    .now_s = SUPPORT_X509_NOW};
    f->server_options = (struct tls_server_options){.profile = f->profile,
                                                    .self = f->api,
                                                    .trust = f->trust,
                                                    .alpn = ALPN,
                                                    .now_s = SUPPORT_X509_NOW};
}

static int begin(void **state)
{
    describe(*state);
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    tls_engine_free(f->client);
    tls_engine_free(f->server);
    f->client = f->server = NULL;
    return 0;
}

static void make_pair(struct fixture *f)
{
    assert_int_equal(tls_engine_client(&f->client_options, &f->client), ERR_OK);
    assert_int_equal(tls_engine_server(&f->server_options, &f->server), ERR_OK);
}

static void handshake(struct fixture *f, size_t step)
{
    make_pair(f);
    support_tls_shuttle(f->client, f->server, step);
}

static void assert_open(struct fixture *f)
{
    assert_int_equal(tls_engine_error(f->client), ERR_OK);
    assert_int_equal(tls_engine_error(f->server), ERR_OK);
    assert_true(tls_engine_ready(f->client));
    assert_true(tls_engine_ready(f->server));
}

static void assert_failed(struct tls_engine *e, enum err err, enum x509_fault fault)
{
    assert_true(tls_engine_closed(e));
    assert_false(tls_engine_ready(e));
    assert_null(tls_engine_peer(e));
    assert_int_equal(tls_engine_error(e), err);
    assert_string_equal(x509_check_word(tls_engine_fault(e)), x509_check_word(fault));
}

static void test_both_ends_are_ready_and_see_each_others_identity(void **state)
{
    struct fixture *f = *state;
    make_pair(f);
    assert_false(tls_engine_ready(f->client));
    assert_null(tls_engine_peer(f->client));
    assert_int_equal(support_tls_write(f->client, "x", 1), 0);
    support_tls_shuttle(f->client, f->server, 0);
    assert_open(f);
    assert_true(name_spiffe_eq(&tls_engine_peer(f->client)->id, identity_spiffe(f->api)));
    assert_true(name_spiffe_eq(&tls_engine_peer(f->server)->id, identity_spiffe(f->web)));
    assert_false(tls_engine_closed(f->client));
    assert_int_equal(tls_engine_pinned_ca(f->client).len, 0);
}

static void test_handshake_survives_any_segmentation(void **state)
{
    struct fixture *f = *state;
    static const size_t steps[] = {1, 2, 5, 7, 64, 1000};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        handshake(f, steps[i]);
        assert_open(f);
        end(state);
    }
}

/* Sends `len` patterned bytes and compares what arrives. */
static void transfer(struct tls_engine *from, struct tls_engine *to, size_t len)
{
    uint8_t *data = malloc(len);
    size_t written = 0, arrived = 0;
    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    while (arrived < len) {
        written += support_tls_write(from, data + written, len - written);
        bool moved = support_tls_move(from, to, 0);
        struct span in = tls_engine_in(to);
        assert_true(moved || in.len > 0);
        assert_true(in.len <= len - arrived);
        if (in.len > 0) assert_memory_equal(in.p, data + arrived, in.len);
        arrived += in.len;
        tls_engine_read(to, in.len);
    }
    free(data);
}

static void test_data_flows_both_ways(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = {1, 16383, 16384, 16385, 40000, BULK};
    handshake(f, 0);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        transfer(f->client, f->server, sizes[i]);
        transfer(f->server, f->client, sizes[i]);
    }
    assert_open(f);
}

static void test_feed_stops_while_plaintext_waits(void **state)
{
    struct fixture *f = *state;
    uint8_t wire[256];
    handshake(f, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(support_tls_write(f->client, "hello", 5), 5);
        struct span out = tls_engine_out(f->client);
        memcpy(wire + (size_t)i * out.len, out.p, out.len);
        tls_engine_sent(f->client, out.len);
        if (i == 0) continue;
        size_t used = tls_engine_feed(f->server, wire, 2 * out.len);
        assert_int_equal(used, out.len);
        assert_int_equal(tls_engine_feed(f->server, wire + used, out.len), 0);
        tls_engine_read(f->server, tls_engine_in(f->server).len);
        assert_int_equal(tls_engine_feed(f->server, wire + used, out.len), out.len);
        assert_true(span_eq_str(tls_engine_in(f->server), "hello"));
    }
}

static void test_a_full_record_is_offered_without_flush(void **state)
{
    struct fixture *f = *state;
    static uint8_t data[TLS_RECORD_PLAIN_MAX + 100], record[TLS_RECORD_BYTES_MAX];
    handshake(f, 0);
    assert_true(tls_engine_lend(f->client, record, sizeof(record)));
    assert_int_equal(tls_engine_out(f->client).len, 0);
    assert_int_equal(tls_engine_write(f->client, data, 100), 100);
    assert_int_equal(tls_engine_out(f->client).len, 0);
    assert_int_equal(tls_engine_write(f->client, data, sizeof(data)), TLS_RECORD_PLAIN_MAX - 100);
    assert_true(tls_engine_out(f->client).len > TLS_RECORD_PLAIN_MAX);
    assert_int_equal(tls_engine_write(f->client, data, 1), 0);
    assert_int_equal(tls_engine_take_back(f->client), ERR_OK);
}

static void test_close_notify_ends_both_sides_cleanly(void **state)
{
    struct fixture *f = *state;
    handshake(f, 0);
    assert_int_equal(support_tls_write(f->client, "bye", 3), 3);
    tls_engine_close(f->client);
    assert_int_equal(support_tls_write(f->client, "more", 4), 0);
    assert_false(tls_engine_closed(f->client));
    support_tls_shuttle(f->client, f->server, 0);
    assert_true(span_eq_str(tls_engine_in(f->server), "bye"));
    assert_false(tls_engine_peer_closed(f->server));
    tls_engine_read(f->server, 3);
    support_tls_shuttle(f->client, f->server, 0);
    assert_true(tls_engine_peer_closed(f->server));
    assert_true(tls_engine_closed(f->server));
    assert_true(tls_engine_closed(f->client));
    assert_int_equal(tls_engine_error(f->client), ERR_OK);
    assert_int_equal(tls_engine_error(f->server), ERR_OK);
    assert_int_equal(tls_engine_feed(f->server, "late", 4), 4);
    assert_int_equal(tls_engine_error(f->server), ERR_OK);
}

static void test_an_end_without_close_notify_is_not_a_peers_close(void **state)
{
    struct fixture *f = *state;
    handshake(f, 0);
    transfer(f->client, f->server, 100);
    assert_false(tls_engine_peer_closed(f->server));
}

static void test_any_node_is_taken_when_asked_for_but_no_service(void **state)
{
    struct fixture *f = *state;
    f->client_options.expect = NULL;
    f->client_options.expect_any_node = true;
    f->server_options.self = f->node;
    handshake(f, 0);
    assert_open(f);
    end(state);
    f->server_options.self = f->api;
    handshake(f, 0);
    assert_failed(f->client, ERR_MISMATCH, X509_OTHER_IDENTITY);
    assert_failed(f->server, ERR_AUTH, X509_OK);
}

/* T01: the client has no certificate; the server says so and the client hears it. */
static void test_a_client_without_certificate_is_refused(void **state)
{
    struct fixture *f = *state;
    f->client_options.self = NULL;
    handshake(f, 0);
    assert_failed(f->server, ERR_AUTH, X509_NO_CERTIFICATE);
    assert_failed(f->client, ERR_AUTH, X509_OK);
    assert_int_equal(tls_engine_detail(f->client), 256 + 40);
}

static void test_another_identity_than_expected_is_refused_by_the_client(void **state)
{
    struct fixture *f = *state;
    f->server_options.self = f->web;
    handshake(f, 0);
    assert_failed(f->client, ERR_MISMATCH, X509_OTHER_IDENTITY);
    assert_failed(f->server, ERR_AUTH, X509_OK);
    assert_int_equal(tls_engine_detail(f->server), 256 + 49);
}

/* T02. */
static void test_time_decides_on_both_sides(void **state)
{
    struct fixture *f = *state;
    const int64_t day = 24 * 3600;
    f->client_options.now_s = SUPPORT_X509_NOW + 2 * day;
    handshake(f, 0);
    assert_failed(f->client, ERR_EXPIRED, X509_EXPIRED);
    assert_int_equal(tls_engine_detail(f->server), 256 + 45);
    end(state);
    f->client_options.now_s = SUPPORT_X509_NOW - day;
    handshake(f, 0);
    assert_failed(f->client, ERR_NOT_YET_VALID, X509_NOT_YET_VALID);
    end(state);
    f->client_options.now_s = SUPPORT_X509_NOW;
    f->server_options.now_s = SUPPORT_X509_NOW + 2 * day;
    handshake(f, 0);
    assert_failed(f->server, ERR_EXPIRED, X509_EXPIRED);
    assert_failed(f->client, ERR_AUTH, X509_OK);
    end(state);
    f->server_options.now_s = SUPPORT_X509_NOW - day;
    handshake(f, 0);
    assert_failed(f->server, ERR_NOT_YET_VALID, X509_NOT_YET_VALID);
}

static void test_no_valid_anchor_means_no_engine(void **state)
{
    struct fixture *f = *state;
    f->server_options.now_s = f->client_options.now_s = INT64_C(4102444800);
    assert_int_equal(tls_engine_client(&f->client_options, &f->client), ERR_EXPIRED);
    assert_int_equal(tls_engine_server(&f->server_options, &f->server), ERR_EXPIRED);
}

static void test_a_leaf_of_another_ca_is_refused_on_either_side(void **state)
{
    struct fixture *f = *state;
    static struct support_x509_ca other;
    support_x509_ca_new("demo", &other);
    struct identity *stranger = support_x509_identity(&other, API);
    struct trust *trust = support_x509_trust(&other);
    f->server_options.self = stranger;
    handshake(f, 0);
    assert_failed(f->client, ERR_UNTRUSTED, X509_UNKNOWN_CA);
    assert_failed(f->server, ERR_AUTH, X509_OK);
    end(state);
    f->server_options.self = f->api;
    f->server_options.trust = trust;
    handshake(f, 0);
    assert_failed(f->server, ERR_UNTRUSTED, X509_UNKNOWN_CA);
    assert_failed(f->client, ERR_AUTH, X509_OK);
    identity_unref(stranger);
    identity_trust_unref(trust);
}

/* An own CA that signs names of another mesh, and one of the other mesh with its own CA. */
static void test_a_leaf_of_another_mesh_is_refused(void **state)
{
    struct fixture *f = *state;
    static struct support_x509_ca other;
    struct identity *inside = support_x509_identity(&f->ca, "spiffe://other/service/web");
    f->client_options.self = inside;
    handshake(f, 0);
    assert_failed(f->server, ERR_MISMATCH, X509_OTHER_MESH);
    assert_failed(f->client, ERR_AUTH, X509_OK);
    end(state);
    support_x509_ca_new("other", &other);
    struct identity *outside = support_x509_identity(&other, "spiffe://other/service/web");
    f->client_options.self = outside;
    handshake(f, 0);
    assert_failed(f->server, ERR_UNTRUSTED, X509_UNKNOWN_CA);
    identity_unref(inside);
    identity_unref(outside);
}

static void test_two_anchors_are_trusted_during_a_rotation(void **state)
{
    struct fixture *f = *state;
    static struct support_x509_ca next;
    support_x509_ca_new("demo", &next);
    struct span ca[2] = {span_of(next.der.data, next.der.len),
                         span_of(f->ca.der.data, f->ca.der.len)};
    struct trust *both;
    assert_int_equal(identity_trust_new(ca, 2, &f->ca.mesh, &both), ERR_OK);
    struct identity *renewed = support_x509_identity(&next, WEB);
    f->client_options.self = renewed;
    f->client_options.trust = f->server_options.trust = both;
    handshake(f, 0);
    assert_open(f);
    identity_unref(renewed);
    identity_trust_unref(both);
}

/* T15. */
static void test_alpn_must_be_agreed(void **state)
{
    struct fixture *f = *state;
    f->server_options.alpn = "parley-sync/1";
    handshake(f, 0);
    assert_failed(f->server, ERR_PROTOCOL, X509_OK);
    assert_failed(f->client, ERR_PROTOCOL, X509_OK);
    assert_int_equal(tls_engine_detail(f->client), 256 + 120);
}

static void test_plaintext_and_garbage_are_refused_in_silence(void **state)
{
    struct fixture *f = *state;
    static const char *const inputs[] = {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "SSH-2.0-OpenSSH\r\n",
                                         "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"};
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        make_pair(f);
        size_t len = strlen(inputs[i]);
        assert_int_equal(tls_engine_feed(f->server, inputs[i], len), len);
        assert_failed(f->server, ERR_PROTOCOL, X509_OK);
        assert_int_equal(tls_engine_out(f->server).len, 0);
        tls_engine_sent(f->client, tls_engine_out(f->client).len);
        tls_engine_feed(f->client, inputs[i], len);
        assert_failed(f->client, ERR_PROTOCOL, X509_OK);
        end(state);
    }
}

static void join_options(struct fixture *f, const uint8_t *pin)
{
    f->client_options.self = NULL;
    f->client_options.trust = NULL;
    f->client_options.expect = NULL;
    f->client_options.ca_pin = pin;
    f->client_options.sni = NULL;
    f->client_options.alpn = f->server_options.alpn = ALPN_JOIN;
    f->server_options.self = f->node;
    f->server_options.anonymous_clients = true;
    f->server_options.ca_der = span_of(f->ca.der.data, f->ca.der.len);
}

static void test_a_join_pins_the_ca_and_yields_it(void **state)
{
    struct fixture *f = *state;
    uint8_t hash[32];
    crypto_hash_sha256(hash, f->ca.der.data, f->ca.der.len);
    join_options(f, hash);
    handshake(f, 0);
    assert_open(f);
    assert_null(tls_engine_peer(f->server));
    assert_true(name_spiffe_eq(&tls_engine_peer(f->client)->id, identity_spiffe(f->node)));
    assert_true(span_eq(tls_engine_pinned_ca(f->client), f->server_options.ca_der));
    transfer(f->client, f->server, 5000);
    transfer(f->server, f->client, 5000);
}

static void test_a_join_refuses_another_ca_and_a_missing_one(void **state)
{
    struct fixture *f = *state;
    static struct support_x509_ca other;
    uint8_t hash[32];
    support_x509_ca_new("demo", &other);
    crypto_hash_sha256(hash, other.der.data, other.der.len);
    join_options(f, hash);
    handshake(f, 0);
    assert_failed(f->client, ERR_UNTRUSTED, X509_PIN_MISMATCH);
    assert_failed(f->server, ERR_AUTH, X509_OK);
    end(state);
    /* The right CA, but it did not sign the leaf. */
    f->server_options.ca_der = span_of(other.der.data, other.der.len);
    handshake(f, 0);
    assert_failed(f->client, ERR_UNTRUSTED, X509_UNKNOWN_CA);
    end(state);
    f->server_options.ca_der = span_of(NULL, 0);
    handshake(f, 0);
    assert_failed(f->client, ERR_UNTRUSTED, X509_PIN_MISMATCH);
}

static void test_a_join_takes_nodes_only_and_checks_the_date(void **state)
{
    struct fixture *f = *state;
    uint8_t hash[32];
    crypto_hash_sha256(hash, f->ca.der.data, f->ca.der.len);
    join_options(f, hash);
    f->server_options.self = f->api;
    handshake(f, 0);
    assert_failed(f->client, ERR_MISMATCH, X509_OTHER_IDENTITY);
    end(state);
    f->server_options.self = f->node;
    f->client_options.now_s = SUPPORT_X509_NOW + 90000;
    handshake(f, 0);
    assert_failed(f->client, ERR_EXPIRED, X509_EXPIRED);
}

static void test_an_overlong_sni_is_refused(void **state)
{
    struct fixture *f = *state;
    static char sni[257];
    memset(sni, 'a', 256);
    f->client_options.sni = sni;
    assert_int_equal(tls_engine_client(&f->client_options, &f->client), ERR_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

/* Who prefers what, and what is agreed; NULL: nothing. */
static void test_the_first_protocol_that_both_know_is_agreed(void **state)
{
    static const struct {
        const char *client, *client_else, *server, *server_else, *agreed;
    } row[] = {
        {"new/1", ALPN, "new/1", ALPN, "new/1"}, {"new/1", ALPN, ALPN, NULL, ALPN},
        {ALPN, NULL, "new/1", ALPN, ALPN},       {ALPN, "new/1", "new/1", ALPN, "new/1"},
        {"new/1", NULL, "new/1", ALPN, "new/1"}, {"new/2", NULL, "new/1", ALPN, NULL},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        describe(f);
        f->client_options.alpn = row[i].client;
        f->client_options.alpn_else = row[i].client_else;
        f->server_options.alpn = row[i].server;
        f->server_options.alpn_else = row[i].server_else;
        handshake(f, 0);
        if (row[i].agreed != NULL) {
            assert_open(f);
            assert_string_equal(tls_engine_alpn(f->client), row[i].agreed);
            assert_string_equal(tls_engine_alpn(f->server), row[i].agreed);
        } else {
            assert_false(tls_engine_ready(f->client) || tls_engine_ready(f->server));
            assert_null(tls_engine_alpn(f->client));
        }
        end(state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_both_ends_are_ready_and_see_each_others_identity),
        TEST(test_handshake_survives_any_segmentation),
        TEST(test_data_flows_both_ways),
        TEST(test_feed_stops_while_plaintext_waits),
        TEST(test_a_full_record_is_offered_without_flush),
        TEST(test_close_notify_ends_both_sides_cleanly),
        TEST(test_an_end_without_close_notify_is_not_a_peers_close),
        TEST(test_any_node_is_taken_when_asked_for_but_no_service),
        TEST(test_a_client_without_certificate_is_refused),
        TEST(test_another_identity_than_expected_is_refused_by_the_client),
        TEST(test_time_decides_on_both_sides),
        TEST(test_no_valid_anchor_means_no_engine),
        TEST(test_a_leaf_of_another_ca_is_refused_on_either_side),
        TEST(test_a_leaf_of_another_mesh_is_refused),
        TEST(test_two_anchors_are_trusted_during_a_rotation),
        TEST(test_alpn_must_be_agreed),
        TEST(test_plaintext_and_garbage_are_refused_in_silence),
        TEST(test_a_join_pins_the_ca_and_yields_it),
        TEST(test_a_join_refuses_another_ca_and_a_missing_one),
        TEST(test_a_join_takes_nodes_only_and_checks_the_date),
        TEST(test_an_overlong_sni_is_refused),
        TEST(test_the_first_protocol_that_both_know_is_agreed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
