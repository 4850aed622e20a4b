/* What becomes of records once the handshake is done: opened where they lie, sealed in lent memory,
 * and the few that carry no data. */
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

#define API      "spiffe://demo/service/api"
#define WEB      "spiffe://demo/service/web"
#define AT_ONCE  3u
#define LENT     (AT_ONCE * TLS_RECORD_BYTES_MAX)
#define WIRE_MAX (AT_ONCE * TLS_RECORD_BYTES_MAX + 1024u)

static struct support_x509_ca ca;
static struct trust *trust;
static struct identity *api, *web;
static struct support_x509_pair theirs;
static struct tls_profile *profile;
static struct support_rogue rogue;
static struct tls_engine *client, *server;
static uint8_t lent[LENT], wire[WIRE_MAX];

static int set_up(void **state)
{
    (void)state;
    struct support_x509_leaf l = support_x509_good(WEB);
    support_x509_ca_new("demo", &ca);
    support_x509_write(&ca, &l, &theirs);
    trust = support_x509_trust(&ca);
    api = support_x509_identity(&ca, API);
    web = support_x509_identity(&ca, WEB);
    return tls_engine_profile_new(&profile) != ERR_OK;
}

static int tear_down(void **state)
{
    (void)state;
    identity_trust_unref(trust);
    identity_unref(api);
    identity_unref(web);
    tls_engine_profile_free(profile);
    return 0;
}

static struct tls_engine *our_server(void)
{
    struct tls_engine *e;
    struct tls_server_options o = {
        .profile = profile, .self = api, .trust = trust, .alpn = "h2", .now_s = SUPPORT_X509_NOW};
    assert_int_equal(tls_engine_server(&o, &e), ERR_OK);
    return e;
}

/* Both ends ready. */
static int open_pair(void **state)
{
    (void)state;
    struct tls_client_options o = {.profile = profile,
                                   .self = web,
                                   .trust = trust,
                                   .expect = identity_spiffe(api),
                                   .sni = "api.demo",
                                   .alpn = "h2",
                                   .now_s = SUPPORT_X509_NOW};
    assert_int_equal(tls_engine_client(&o, &client), ERR_OK);
    server = our_server();
    support_tls_shuttle(client, server, 0);
    return !tls_engine_ready(client) || !tls_engine_ready(server);
}

static int close_pair(void **state)
{
    (void)state;
    tls_engine_free(client);
    tls_engine_free(server);
    client = server = NULL;
    return 0;
}

static void begin_rogue(void)
{
    struct support_rogue_options o = {.profile = profile,
                                      .secret = theirs.secret,
                                      .chain = {span_of(theirs.der, theirs.len)},
                                      .chain_len = 1,
                                      .alpn = "h2"};
    support_rogue_client(&rogue, &o);
    support_rogue_start(&rogue, false);
}

static struct tls_engine *open_with_rogue(void)
{
    struct tls_engine *e = our_server();
    begin_rogue();
    support_rogue_shuttle(&rogue, e);
    assert_true(tls_engine_ready(e));
    return e;
}

/* Seals each string as a record of its own behind `len` bytes in `wire`; the new length. */
static size_t seal(size_t len, const char *text)
{
    assert_int_equal(support_tls_write(client, text, strlen(text)), strlen(text));
    return len + support_tls_drain(client, wire + len, sizeof(wire) - len);
}

static void assert_in(const char *text)
{
    assert_true(span_eq_str(tls_engine_in(server), text));
}

static void test_whole_records_are_opened_where_they_lie(void **state)
{
    (void)state;
    size_t first = seal(0, "one"), len = seal(first, "three");
    assert_int_equal(tls_engine_open(server, wire, len), first);
    assert_in("one");
    const uint8_t *p = (const uint8_t *)tls_engine_in(server).p;
    assert_true(p > wire && p < wire + first);
    /* One waits: neither way takes more. */
    assert_int_equal(tls_engine_open(server, wire + first, len - first), 0);
    assert_int_equal(tls_engine_feed(server, wire + first, len - first), 0);
    tls_engine_read(server, 3);
    assert_int_equal(tls_engine_open(server, wire + first, len - first - 1), 0);
    assert_int_equal(tls_engine_open(server, wire + first, len - first), len - first);
    assert_in("three");
}

static void test_what_is_kept_outlives_the_callers_memory(void **state)
{
    (void)state;
    size_t len = seal(0, "once upon a time");
    assert_int_equal(tls_engine_open(server, wire, len), len);
    tls_engine_read(server, 5);
    assert_int_equal(tls_engine_keep(server), ERR_OK);
    memset(wire, 0xee, len);
    assert_in("upon a time");
    tls_engine_read(server, 5);
    assert_int_equal(tls_engine_keep(server), ERR_OK);
    assert_in("a time");
    tls_engine_read(server, 6);
    len = seal(0, "again");
    assert_int_equal(tls_engine_open(server, wire, len), len);
    assert_in("again");
}

/* As a connection does: whole records in place, the rest by copying, in pieces of `step`. */
static size_t take(uint8_t *p, size_t len, size_t step, char *text)
{
    size_t count = 0;
    for (size_t used = 0, n; used < len; used += n) {
        size_t piece = step < len - used ? step : len - used;
        n = tls_engine_open(server, p + used, piece);
        if (n == 0) n = tls_engine_feed(server, p + used, piece);
        assert_true(n > 0);
        assert_int_equal(tls_engine_keep(server), ERR_OK);
        memset(p + used, 0xee, n);
        struct span in = tls_engine_in(server);
        memcpy(text + count, in.p != NULL ? in.p : "", in.len);
        count += in.len;
        tls_engine_read(server, in.len);
    }
    text[count] = '\0';
    return count;
}

static void test_records_may_come_in_any_pieces(void **state)
{
    (void)state;
    static char text[64];
    size_t whole = 0;
    for (size_t step = 1; step <= whole + 1; step++) {
        whole = seal(seal(seal(0, "a"), "bcdefghij"), "klm");
        assert_int_equal(take(wire, whole, step, text), 13);
        assert_string_equal(text, "abcdefghijklm");
    }
    /* After many whole ones in a row, parts again. */
    for (unsigned i = 0; i < 40; i++) {
        size_t len = seal(0, "x");
        assert_int_equal(take(wire, len, len, text), 1);
    }
    size_t len = seal(0, "parts");
    assert_int_equal(take(wire, len, 3, text), 5);
}

static void test_lent_memory_holds_several_records(void **state)
{
    (void)state;
    static uint8_t data[AT_ONCE * TLS_RECORD_PLAIN_MAX + 10];
    memset(data, 'd', sizeof(data));
    assert_int_equal(tls_engine_room(client), 0);
    assert_int_equal(tls_engine_write(client, data, 1), 0);
    assert_true(tls_engine_lend(client, lent, sizeof(lent)));
    assert_int_equal(tls_engine_room(client), AT_ONCE * TLS_RECORD_PLAIN_MAX);
    assert_int_equal(tls_engine_write(client, data, 10), 10);
    assert_int_equal(tls_engine_out(client).len, 0);
    assert_int_equal(tls_engine_write(client, data, sizeof(data)),
                     AT_ONCE * TLS_RECORD_PLAIN_MAX - 10);
    assert_int_equal(tls_engine_room(client), 0);
    struct span out = tls_engine_out(client);
    assert_true(out.len > AT_ONCE * TLS_RECORD_PLAIN_MAX);
    /* The kernel took some of it: the rest must not lie in what is lent to another now. */
    memcpy(wire, out.p, 20000);
    size_t all = out.len;
    tls_engine_sent(client, 20000);
    assert_int_equal(tls_engine_take_back(client), ERR_OK);
    memset(lent, 0xee, sizeof(lent));
    assert_false(tls_engine_lend(client, lent, sizeof(lent)));
    assert_int_equal(support_tls_drain(client, wire + 20000, sizeof(wire) - 20000), all - 20000);
    assert_true(tls_engine_lend(client, lent, sizeof(lent)));
    assert_int_equal(tls_engine_take_back(client), ERR_OK);
    size_t plain = 0;
    for (size_t used = 0, n; used < all; used += n) {
        n = tls_engine_open(server, wire + used, all - used);
        assert_true(n > 0);
        struct span in = tls_engine_in(server);
        assert_memory_equal(in.p, data, in.len);
        plain += in.len;
        tls_engine_read(server, in.len);
    }
    assert_int_equal(plain, AT_ONCE * TLS_RECORD_PLAIN_MAX);
}

static void test_close_notify_goes_behind_what_waits(void **state)
{
    (void)state;
    size_t len = seal(0, "bye");
    assert_int_equal(support_tls_write(client, "more", 4), 4);
    tls_engine_close(client);
    assert_int_equal(support_tls_write(client, "late", 4), 0);
    len += support_tls_drain(client, wire + len, sizeof(wire) - len);
    static char text[16];
    assert_int_equal(take(wire, len, len, text), 7);
    assert_string_equal(text, "byemore");
    assert_true(tls_engine_peer_closed(server));
    assert_false(tls_engine_closed(server));
    support_tls_shuttle(client, server, 0);
    assert_true(tls_engine_closed(server));
    assert_true(tls_engine_closed(client));
    assert_int_equal(tls_engine_error(client), ERR_OK);
}

static void test_a_record_is_taken_once_and_in_order(void **state)
{
    (void)state;
    static uint8_t copy[256];
    size_t len = seal(0, "pay");
    memcpy(copy, wire, len);
    assert_int_equal(tls_engine_open(server, wire, len), len);
    tls_engine_read(server, 3);
    assert_int_equal(tls_engine_open(server, copy, len), len);
    assert_int_equal(tls_engine_error(server), ERR_PROTOCOL);
    assert_int_equal(tls_engine_in(server).len, 0);
    assert_false(tls_engine_lend(server, lent, sizeof(lent)));
    assert_int_equal(tls_engine_out(server).len, 0);
}

static void test_headers_that_no_record_has_end_it(void **state)
{
    static const char *const headers[] = {
        "\x18\x03\x03\x00\x20", /* a heartbeat */
        "\x17\x03\x01\x00\x20", "\x17\x03\x03\x00\x17" /* shorter than nonce and tag */,
        "\x17\x03\x03\x40\x19" /* longer than 16384 bytes of content */};
    close_pair(state);
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        for (unsigned in_place = 0; in_place < 2; in_place++) {
            open_pair(state);
            memcpy(wire, headers[i], TLS_RECORD_HEADER_BYTES);
            if (in_place)
                tls_engine_open(server, wire, TLS_RECORD_HEADER_BYTES);
            else
                tls_engine_feed(server, wire, TLS_RECORD_HEADER_BYTES);
            assert_int_equal(tls_engine_error(server), ERR_PROTOCOL);
            close_pair(state);
        }
    }
}

static void test_records_without_data(void **state)
{
    (void)state;
    static const struct {
        unsigned type;
        const char *content;
        size_t len;
        enum err err;
        int detail;
    } rows[] = {
        {TLS_ALERT, "\x01\x5a", 2, ERR_OK, 0},          /* user_canceled, a warning */
        {TLS_ALERT, "\x02\x28", 2, ERR_AUTH, 256 + 40}, /* handshake_failure: our certificate */
        {TLS_ALERT, "\x02\x50", 2, ERR_PROTOCOL, 256 + 80},
        {TLS_ALERT, "\x03\x50", 2, ERR_PROTOCOL, BR_ERR_BAD_ALERT},
        {TLS_ALERT, "\x01", 1, ERR_PROTOCOL, BR_ERR_UNEXPECTED},
        {TLS_ALERT, "\x01\x5a\x01", 3, ERR_PROTOCOL, BR_ERR_UNEXPECTED},
        {TLS_ALERT, NULL, 0, ERR_PROTOCOL, BR_ERR_UNEXPECTED},
        {TLS_CHANGE_CIPHER_SPEC, "\x01", 1, ERR_PROTOCOL, BR_ERR_UNEXPECTED},
        {TLS_HANDSHAKE, NULL, 0, ERR_PROTOCOL, BR_ERR_UNEXPECTED},
        {TLS_HANDSHAKE, "\x01\x00\x00\x00", 4, ERR_OK, 0}, /* answered: no_renegotiation */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls_engine *e = open_with_rogue();
        support_rogue_record(&rogue, e, rows[i].type, rows[i].content, rows[i].len);
        assert_int_equal(tls_engine_error(e), rows[i].err);
        assert_int_equal(tls_engine_ready(e), rows[i].err == ERR_OK);
        assert_int_equal(tls_engine_detail(e), rows[i].detail);
        assert_int_equal(tls_engine_out(e).len > 0,
                         rows[i].type == TLS_HANDSHAKE && rows[i].err == ERR_OK);
        tls_engine_free(e);
    }
}

/* Each is owed an answer, which waits while the peer reads none; data in between does not pay. */
static void test_hellos_without_end_are_cut_off(void **state)
{
    (void)state;
    struct tls_engine *e = open_with_rogue();
    for (unsigned i = 0; i < TLS_HELLOS_MAX; i++) {
        support_rogue_record(&rogue, e, TLS_HANDSHAKE, "\x01\x00\x00\x00", 4);
        support_rogue_record(&rogue, e, TLS_DATA, "d", 1);
        assert_true(span_eq_str(tls_engine_in(e), "d"));
        tls_engine_read(e, 1);
    }
    assert_int_equal(tls_engine_error(e), ERR_OK);
    assert_in_range(tls_engine_out(e).len, TLS_HELLOS_MAX * TLS_RECORD_TAG_BYTES,
                    TLS_HELLOS_MAX * 64);
    support_rogue_record(&rogue, e, TLS_HANDSHAKE, "\x01\x00\x00\x00", 4);
    assert_int_equal(tls_engine_error(e), ERR_PROTOCOL);
    assert_int_equal(tls_engine_detail(e), BR_ERR_UNEXPECTED);
    tls_engine_free(e);
}

/* RFC 7918: some clients do not wait for the server's Finished. */
static void test_data_right_behind_the_clients_finished_arrives(void **state)
{
    (void)state;
    struct tls_engine *e = our_server();
    size_t len = 0, n;
    begin_rogue();
    const unsigned char *hello = br_ssl_engine_sendrec_buf(rogue.eng, &n);
    assert_int_equal(tls_engine_feed(e, hello, n), n);
    br_ssl_engine_sendrec_ack(rogue.eng, n);
    for (struct span out; (out = tls_engine_out(e)).len > 0;) {
        unsigned char *buf = br_ssl_engine_recvrec_buf(rogue.eng, &n);
        if (n > out.len) n = out.len;
        memcpy(buf, out.p, n);
        br_ssl_engine_recvrec_ack(rogue.eng, n);
        tls_engine_sent(e, n);
    }
    for (const unsigned char *p; (p = br_ssl_engine_sendrec_buf(rogue.eng, &n)) != NULL; len += n) {
        memcpy(wire + len, p, n);
        br_ssl_engine_sendrec_ack(rogue.eng, n);
    }
    memcpy(wire + len + TLS_RECORD_HEAD_MAX, "eager", n = 5);
    const unsigned char *record = rogue.eng->out.vtable->encrypt(
        &rogue.eng->out.vtable, TLS_DATA, BR_TLS12, wire + len + TLS_RECORD_HEAD_MAX, &n);
    memmove(wire + len, record, n);
    size_t used = tls_engine_feed(e, wire, len + n);
    assert_int_equal(used, len);
    assert_int_equal(tls_engine_error(e), ERR_OK);
    assert_false(tls_engine_ready(e));
    while (tls_engine_out(e).len > 0)
        tls_engine_sent(e, tls_engine_out(e).len);
    assert_true(tls_engine_ready(e));
    assert_int_equal(tls_engine_feed(e, wire + used, n), n);
    assert_true(span_eq_str(tls_engine_in(e), "eager"));
    tls_engine_free(e);
}

static void test_what_it_holds_is_counted(void **state)
{
    (void)state;
    static uint8_t data[TLS_RECORD_PLAIN_MAX];
    struct held held = {.waiting_max = SIZE_MAX};
    struct tls_engine *e = our_server();
    tls_engine_count(e, &held);
    assert_in_range(held.bytes, BR_SSL_BUFSIZE_BIDI, 50000);
    begin_rogue();
    support_rogue_shuttle(&rogue, e);
    assert_true(tls_engine_ready(e));
    size_t idle = held.bytes;
    assert_in_range(idle, 1, 4096);
    /* The start of a record, which stays. */
    memcpy(wire, "\x17\x03\x03\x40\x18", TLS_RECORD_HEADER_BYTES);
    assert_int_equal(tls_engine_feed(e, wire, 1000), 1000);
    assert_int_equal(held.bytes, idle + TLS_RECORD_BYTES_MAX);
    /* Sealed records that do not leave. */
    assert_true(tls_engine_lend(e, lent, sizeof(lent)));
    assert_int_equal(tls_engine_write(e, data, sizeof(data)), sizeof(data));
    assert_int_equal(held.bytes, idle + TLS_RECORD_BYTES_MAX);
    assert_int_equal(tls_engine_take_back(e), ERR_OK);
    assert_int_equal(held.bytes, idle + 2 * TLS_RECORD_BYTES_MAX);
    tls_engine_sent(e, tls_engine_out(e).len);
    assert_int_equal(held.bytes, idle + TLS_RECORD_BYTES_MAX);
    tls_engine_free(e);
    assert_int_equal(held.bytes, 0);
    e = our_server();
    tls_engine_count(e, &held);
    tls_engine_free(e);
    assert_int_equal(held.bytes, 0);
}

/* 5,000 connections that each send the start of a record: who asks for more than there is goes. */
static void test_what_waits_is_bounded_for_all_together(void **state)
{
    (void)state;
    static uint8_t data[100];
    struct held held = {.waiting_max = TLS_RECORD_BYTES_MAX};
    struct tls_engine *e[2];
    for (size_t i = 0; i < 2; i++) {
        e[i] = our_server();
        tls_engine_count(e[i], &held);
        begin_rogue();
        support_rogue_shuttle(&rogue, e[i]);
        assert_true(tls_engine_ready(e[i]));
    }
    memcpy(wire, "\x17\x03\x03\x40\x18", TLS_RECORD_HEADER_BYTES);
    for (size_t i = 0; i < 2; i++)
        (void)tls_engine_feed(e[i], wire, 1000);
    assert_true(tls_engine_ready(e[0]));
    assert_int_equal(tls_engine_error(e[1]), ERR_NOMEM);
    assert_int_equal(held.waiting, TLS_RECORD_BYTES_MAX);
    /* Nor is there room for what does not leave: no lent memory is left behind. */
    assert_true(tls_engine_lend(e[0], lent, sizeof(lent)));
    assert_int_equal(tls_engine_write(e[0], data, sizeof(data)), sizeof(data));
    assert_int_equal(tls_engine_take_back(e[0]), ERR_NOMEM);
    assert_int_equal(tls_engine_error(e[0]), ERR_NOMEM);
    assert_int_equal(tls_engine_out(e[0]).len, 0);
    tls_engine_close(e[0]);
    assert_int_equal(tls_engine_out(e[0]).len, 0);
    tls_engine_free(e[0]);
    tls_engine_free(e[1]);
    assert_int_equal(held.bytes, 0);
    assert_int_equal(held.waiting, 0);
}

static void test_keys_wear_out(void **state)
{
    (void)state;
    struct tls_record_keys k;
    struct tls_engine *e = open_with_rogue();
    assert_false(tls_engine_worn(e));
    tls_record_take_keys(&k, rogue.eng);
    assert_false(tls_record_worn(&k));
    k.out.gcm.seq = TLS_RECORD_WORN;
    assert_true(tls_record_worn(&k));
    k.out.gcm.seq = 0;
    k.in.gcm.seq = TLS_RECORD_WORN - 1;
    assert_false(tls_record_worn(&k));
    k.in.gcm.seq++;
    assert_true(tls_record_worn(&k));
    tls_engine_free(e);
}

#define PAIR(test) cmocka_unit_test_setup_teardown(test, open_pair, close_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR(test_whole_records_are_opened_where_they_lie),
        PAIR(test_what_is_kept_outlives_the_callers_memory),
        PAIR(test_records_may_come_in_any_pieces),
        PAIR(test_lent_memory_holds_several_records),
        PAIR(test_close_notify_goes_behind_what_waits),
        PAIR(test_a_record_is_taken_once_and_in_order),
        PAIR(test_headers_that_no_record_has_end_it),
        cmocka_unit_test(test_records_without_data),
        cmocka_unit_test(test_what_it_holds_is_counted),
        cmocka_unit_test(test_what_waits_is_bounded_for_all_together),
        cmocka_unit_test(test_keys_wear_out),
        cmocka_unit_test(test_hellos_without_end_are_cut_off),
        cmocka_unit_test(test_data_right_behind_the_clients_finished_arrives),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
