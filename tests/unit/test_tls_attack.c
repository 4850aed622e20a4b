/* security.md T13 to T16: peers that break the protocol rather than the certificates. */
#include "core/crypto/tls_engine.h"
#include "core/crypto/tls_stream.h"
#include "tests/unit/support_rogue.h"
#include "tests/unit/support_tls.h"
#include "tests/unit/support_x509.h"

#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define API        "spiffe://demo/service/api"
#define FLIGHT_MAX 16384u
#define FLOOD      10000u

static struct support_x509_ca ca;
static struct trust *trust;
static struct identity *ours;
static struct support_x509_pair theirs;
static struct tls_profile *profile;
static struct support_rogue rogue;

static int set_up(void **state)
{
    (void)state;
    struct support_x509_leaf l = support_x509_good("spiffe://demo/service/web");
    support_x509_ca_new("demo", &ca);
    support_x509_write(&ca, &l, &theirs);
    trust = support_x509_trust(&ca);
    ours = support_x509_identity(&ca, API);
    return tls_engine_profile_new(&profile) != ERR_OK;
}

static int tear_down(void **state)
{
    (void)state;
    identity_trust_unref(trust);
    identity_unref(ours);
    tls_engine_profile_free(profile);
    return 0;
}

static struct tls_engine *our_server(void)
{
    struct tls_engine *e;
    struct tls_server_options o = {
        .profile = profile, .self = ours, .trust = trust, .alpn = "h2", .now_s = SUPPORT_X509_NOW};
    assert_int_equal(tls_engine_server(&o, &e), ERR_OK);
    return e;
}

static struct tls_engine *our_client(void)
{
    struct tls_engine *e;
    struct tls_client_options o = {.profile = profile,
                                   .self = ours,
                                   .trust = trust,
                                   .expect = identity_spiffe(ours),
                                   .sni = "api.demo",
                                   .alpn = "h2",
                                   .now_s = SUPPORT_X509_NOW};
    assert_int_equal(tls_engine_client(&o, &e), ERR_OK);
    return e;
}

static struct support_rogue_options manners(void)
{
    return (struct support_rogue_options){.profile = profile,
                                          .secret = theirs.secret,
                                          .chain = {span_of(theirs.der, theirs.len)},
                                          .chain_len = 1,
                                          .alpn = "h2"};
}

/* A server of ours in an open connection with the rogue. */
static struct tls_engine *open_with_rogue(void)
{
    struct tls_engine *e = our_server();
    struct support_rogue_options o = manners();
    support_rogue_client(&rogue, &o);
    support_rogue_start(&rogue, false);
    support_rogue_shuttle(&rogue, e);
    assert_true(tls_engine_ready(e));
    return e;
}

static void assert_protocol_error(const struct tls_engine *e)
{
    assert_true(tls_engine_closed(e));
    assert_false(tls_engine_ready(e));
    assert_int_equal(tls_engine_error(e), ERR_PROTOCOL);
    assert_int_equal(tls_engine_fault(e), X509_OK);
}

/* T13. */
static void test_a_client_cannot_renegotiate(void **state)
{
    (void)state;
    struct tls_engine *e = open_with_rogue();
    assert_int_equal(br_ssl_engine_renegotiate(rogue.eng), 1);
    support_rogue_shuttle(&rogue, e);
    assert_int_equal(br_ssl_engine_last_error(rogue.eng), BR_ERR_RECV_FATAL_ALERT + 100);
    assert_true(tls_engine_ready(e));
    tls_engine_free(e);
}

/* T14. */
static void test_old_versions_and_other_suites_are_refused(void **state)
{
    (void)state;
    static const uint16_t suites[] = {
        BR_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        BR_TLS_RSA_WITH_AES_128_GCM_SHA256, BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384};
    struct support_rogue_options o = manners();
    for (unsigned version = BR_TLS10; version < BR_TLS12; version++) {
        struct tls_engine *e = our_server();
        support_rogue_client(&rogue, &o);
        br_ssl_engine_set_versions(rogue.eng, version, version);
        br_ssl_engine_set_hash(rogue.eng, br_sha1_ID, &br_sha1_vtable);
        br_ssl_engine_set_hash(rogue.eng, br_md5_ID, &br_md5_vtable);
        support_rogue_start(&rogue, false);
        support_rogue_shuttle(&rogue, e);
        assert_protocol_error(e);
        tls_engine_free(e);
    }
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
        struct tls_engine *e = our_server();
        support_rogue_client(&rogue, &o);
        br_ssl_engine_set_suites(rogue.eng, &suites[i], 1);
        support_rogue_start(&rogue, false);
        support_rogue_shuttle(&rogue, e);
        assert_protocol_error(e);
        tls_engine_free(e);
    }
}

static void test_each_of_our_suites_and_curves_works_alone(void **state)
{
    (void)state;
    static const uint16_t suites[] = {BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                                      BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256};
    const br_ec_impl *const curves[] = {&br_ec_p256_m31, &br_ec_all_m31};
    struct support_rogue_options o = manners();
    for (size_t i = 0; i < 4; i++) {
        struct tls_engine *e = our_server();
        support_rogue_client(&rogue, &o);
        br_ssl_engine_set_suites(rogue.eng, &suites[i % 2], 1);
        br_ssl_engine_set_ec(rogue.eng, curves[i / 2]);
        support_rogue_start(&rogue, false);
        support_rogue_shuttle(&rogue, e);
        assert_true(tls_engine_ready(e));
        assert_int_equal(br_ssl_engine_get_ecdhe_curve(rogue.eng),
                         i / 2 == 0 ? BR_EC_secp256r1 : BR_EC_curve25519);
        tls_engine_free(e);
    }
}

/* T15. */
static void test_a_peer_without_alpn_never_becomes_ready(void **state)
{
    (void)state;
    struct support_rogue_options o = manners();
    struct tls_engine *e = our_server();
    o.alpn = NULL;
    support_rogue_client(&rogue, &o);
    support_rogue_start(&rogue, false);
    support_rogue_shuttle(&rogue, e);
    assert_protocol_error(e);
    assert_null(tls_engine_peer(e));
    tls_engine_free(e);
}

/* T16. */
static void test_records_of_one_byte_arrive(void **state)
{
    (void)state;
    struct tls_engine *e = open_with_rogue();
    for (unsigned i = 0; i < 2 * TLS_BARREN_RECORDS_MAX; i++) {
        support_rogue_record(&rogue, e, SUPPORT_ROGUE_DATA, "x", 1);
        assert_true(span_eq_str(tls_engine_in(e), "x"));
        tls_engine_read(e, 1);
    }
    assert_true(tls_engine_ready(e));
    tls_engine_free(e);
}

static void flood(unsigned type, const char *record, size_t len)
{
    struct tls_engine *e = open_with_rogue();
    for (unsigned i = 0; i < TLS_BARREN_RECORDS_MAX; i++)
        support_rogue_record(&rogue, e, type, record, len);
    assert_true(tls_engine_ready(e));
    /* Data in between pays for what was barren. */
    support_rogue_record(&rogue, e, SUPPORT_ROGUE_DATA, "x", 1);
    tls_engine_read(e, tls_engine_in(e).len);
    for (unsigned i = 0; i < TLS_BARREN_RECORDS_MAX; i++)
        support_rogue_record(&rogue, e, type, record, len);
    assert_true(tls_engine_ready(e));
    support_rogue_record(&rogue, e, type, record, len);
    assert_protocol_error(e);
    tls_engine_free(e);
}

static void test_a_flood_of_empty_records_is_cut_off(void **state)
{
    (void)state;
    flood(SUPPORT_ROGUE_DATA, NULL, 0);
}

static void test_a_flood_of_warning_alerts_is_cut_off(void **state)
{
    (void)state;
    const char user_canceled[2] = {1, 90};
    flood(SUPPORT_ROGUE_ALERT, user_canceled, 2);
}

/* Feeds the same bytes until the engine has had enough; how many it took. */
static size_t flood_handshake(struct tls_engine *e, struct span bytes)
{
    size_t taken = 0;
    for (unsigned i = 0; i < FLOOD && !tls_engine_closed(e); i++)
        taken += tls_engine_feed(e, bytes.p, bytes.len);
    return taken;
}

static void test_floods_before_the_handshake_are_bounded(void **state)
{
    (void)state;
    static const char giant[16389] = "\x16\x03\x01\x40\x00\x01\xff\xff\xff\x03\x03";
    const struct span inputs[] = {
        SPAN_LIT("\x15\x03\x01\x00\x02\x01\x5a"),             /* a warning */
        SPAN_LIT("\x14\x03\x01\x00\x01\x01"),                 /* ChangeCipherSpec */
        SPAN_LIT("\x16\x03\x01\x00\x00\x16\x03\x01\x00\x00"), /* empty records */
        span_of(giant, sizeof(giant)),                        /* a hello of 16 MiB */
    };
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        struct tls_engine *e = our_server();
        size_t taken = flood_handshake(e, inputs[i]);
        assert_protocol_error(e);
        assert_true(taken <= TLS_HANDSHAKE_BYTES_MAX + sizeof(giant));
        tls_engine_free(e);
    }
}

static void test_a_close_in_the_middle_of_the_handshake_ends_it(void **state)
{
    (void)state;
    struct tls_engine *e = our_server();
    tls_engine_feed(e, "\x15\x03\x01\x00\x02\x01\x00", 7);
    assert_protocol_error(e);
    assert_false(tls_engine_peer_closed(e));
    tls_engine_free(e);
    e = our_client();
    tls_engine_close(e);
    assert_false(tls_engine_ready(e));
    tls_engine_free(e);
}

static void test_application_data_before_the_handshake_is_refused(void **state)
{
    (void)state;
    struct tls_engine *e = our_server();
    tls_engine_feed(e, "\x17\x03\x03\x00\x04GET ", 9);
    assert_protocol_error(e);
    tls_engine_free(e);
}

/* One flight of the handshake, which of the two sends it, and what came before it. */
struct flight {
    uint8_t bytes[FLIGHT_MAX];
    size_t len;
};

/* Plays a handshake up to flight `number` (0: ClientHello .. 3: the server's Finished), which is
 * taken into `f` instead of being delivered. */
static void play(unsigned number, struct tls_engine *client, struct tls_engine *server,
                 struct flight *f)
{
    for (unsigned i = 0; i <= number; i++) {
        struct tls_engine *from = i % 2 == 0 ? client : server;
        struct tls_engine *to = i % 2 == 0 ? server : client;
        f->len = support_tls_drain(from, f->bytes, sizeof(f->bytes));
        assert_true(f->len > 0);
        if (i < number) assert_int_equal(tls_engine_feed(to, f->bytes, f->len), f->len);
    }
}

/* Delivers flight `number` with byte `at` flipped or with all from there missing; whether both
 * became ready. */
static bool survives(unsigned number, size_t at, uint8_t flip, bool cut)
{
    static struct flight f;
    struct tls_engine *client = our_client(), *server = our_server();
    play(number, client, server, &f);
    struct tls_engine *to = number % 2 == 0 ? server : client;
    /* ECDSA signatures are 70 to 72 bytes long, so flights differ in length. */
    if (at >= f.len) at = f.len - 1;
    f.bytes[at] ^= flip;
    tls_engine_feed(to, f.bytes, cut ? at : f.len);
    support_tls_shuttle(client, server, 0);
    bool both = tls_engine_ready(client) && tls_engine_ready(server);
    /* Whoever has received damage is not ready, whatever the other believes. */
    if (!both) assert_false(tls_engine_ready(to));
    tls_engine_free(client);
    tls_engine_free(server);
    return both;
}

static size_t flight_length(unsigned number)
{
    static struct flight f;
    struct tls_engine *client = our_client(), *server = our_server();
    play(number, client, server, &f);
    tls_engine_free(client);
    tls_engine_free(server);
    return f.len;
}

static void test_any_byte_flipped_in_any_flight_ends_the_handshake(void **state)
{
    (void)state;
    for (unsigned number = 0; number < 4; number++) {
        size_t len = flight_length(number);
        for (size_t at = 0; at < len; at++) {
            /* The minor version of the first record is signed by nobody and means nothing (RFC
             * 5246 E.1). */
            if (number == 0 && at == 2) continue;
            assert_false(survives(number, at, (uint8_t)(1u << at % 8), false));
        }
    }
}

static void test_any_flight_cut_short_leaves_nobody_ready(void **state)
{
    (void)state;
    for (unsigned number = 0; number < 4; number++) {
        size_t len = flight_length(number);
        for (size_t at = 0; at < len; at += 11)
            assert_false(survives(number, at, 0, true));
        assert_true(survives(number, 0, 0, false));
    }
}

static void test_any_byte_flipped_in_a_data_record_ends_the_connection(void **state)
{
    (void)state;
    static struct flight f;
    for (size_t at = 0; at < 40; at++) {
        struct tls_engine *client = our_client(), *server = our_server();
        support_tls_shuttle(client, server, 0);
        assert_int_equal(support_tls_write(client, "0123456789", 10), 10);
        f.len = support_tls_drain(client, f.bytes, sizeof(f.bytes));
        if (at < f.len) {
            f.bytes[at] ^= (uint8_t)(1u << at % 8);
            /* A longer length waits for more; that more ends it. */
            tls_engine_feed(server, f.bytes, f.len);
            tls_engine_feed(server, f.bytes, f.len);
            while (!tls_engine_closed(server) && at >= 3 && at <= 4)
                tls_engine_feed(server, f.bytes, f.len);
            assert_protocol_error(server);
            assert_int_equal(tls_engine_in(server).len, 0);
        }
        tls_engine_free(client);
        tls_engine_free(server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_client_cannot_renegotiate),
        cmocka_unit_test(test_old_versions_and_other_suites_are_refused),
        cmocka_unit_test(test_each_of_our_suites_and_curves_works_alone),
        cmocka_unit_test(test_a_peer_without_alpn_never_becomes_ready),
        cmocka_unit_test(test_records_of_one_byte_arrive),
        cmocka_unit_test(test_a_flood_of_empty_records_is_cut_off),
        cmocka_unit_test(test_a_flood_of_warning_alerts_is_cut_off),
        cmocka_unit_test(test_floods_before_the_handshake_are_bounded),
        cmocka_unit_test(test_a_close_in_the_middle_of_the_handshake_ends_it),
        cmocka_unit_test(test_application_data_before_the_handshake_is_refused),
        cmocka_unit_test(test_any_byte_flipped_in_any_flight_ends_the_handshake),
        cmocka_unit_test(test_any_flight_cut_short_leaves_nobody_ready),
        cmocka_unit_test(test_any_byte_flipped_in_a_data_record_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
