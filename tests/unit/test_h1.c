#include "core/wire/h1.h"

#include "core/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* What came of a stream of messages: how many were whole, and how it ended. */
struct outcome {
    unsigned messages;
    enum reason fault; /* REASON_NONE: the bytes ran out */
    char body[256];    /* contents, one behind the other */
    size_t body_len;
    unsigned status;
    size_t rest; /* bytes behind the last whole message */
    char first_value[300];
    unsigned trailers;
    bool cut; /* the connection's end cut a body short */
};

struct reader {
    struct arena arena;
    struct h1_scan scan;
    struct h1 h1;
    bool in_body;
    char head[HEADER_BYTES_MAX + 16];
    size_t head_len;
    struct outcome out;
};

static void on_data(void *owner, struct span data)
{
    struct outcome *o = owner;
    for (size_t i = 0; i < data.len && o->body_len < sizeof o->body; i++)
        o->body[o->body_len++] = data.p[i];
}

static void head_done(struct reader *r, enum h1_kind kind)
{
    static const struct headers none;
    struct headers *h = arena_alloc(&r->arena, sizeof none);
    struct h1_head head = {.headers = h};
    size_t len = r->head_len - r->scan.skipped;
    char *text = arena_dup(&r->arena, r->head + r->scan.skipped, len);
    assert_non_null(text);
    enum err err = kind == H1_REQUEST ? h1_request(&r->h1, text, len, &head)
                                      : h1_response(&r->h1, text, len, false, &head);
    if (err != ERR_OK) {
        r->out.fault = r->h1.fault;
        return;
    }
    r->out.status = head.status;
    if (h->count > 0) {
        struct span v = h->field[h->count - 1].value;
        snprintf(r->out.first_value, sizeof r->out.first_value, "%.*s", SPAN_ARG(v));
    }
    r->in_body = !r->h1.done;
    if (r->h1.done) r->out.messages++;
    r->head_len = 0;
    r->scan = (struct h1_scan){.bytes = 0};
}

static size_t feed_head(struct reader *r, enum h1_kind kind, struct span in)
{
    size_t used = 0;
    enum err err = h1_scan(&r->scan, kind, in, &used);
    if (err == ERR_INVALID) {
        r->out.fault = r->scan.fault;
        return in.len;
    }
    memcpy(r->head + r->head_len, in.p, used);
    r->head_len += used;
    if (err == ERR_OK) head_done(r, kind);
    return used;
}

static size_t feed_body(struct reader *r, struct span in)
{
    struct h1_sink sink = {on_data, &r->out};
    size_t used = 0;
    if (h1_body(&r->h1, &r->arena, in, &sink, &used) != ERR_OK) {
        r->out.fault = r->h1.fault;
        return in.len;
    }
    if (r->h1.done) {
        r->in_body = false;
        r->out.messages++;
        if (r->h1.trailers != NULL) r->out.trailers = (unsigned)r->h1.trailers->count;
    }
    return used;
}

/* Reads `bytes` in pieces of `step`. The first fault ends it. */
static struct outcome read_all(enum h1_kind kind, struct span bytes, size_t step)
{
    struct reader *r = calloc(1, sizeof *r);
    struct outcome out;
    size_t at = 0;
    assert_non_null(r);
    arena_init(&r->arena, 65536, (size_t)16 << 20);
    while (at < bytes.len && r->out.fault == REASON_NONE) {
        struct span piece = span_skip(bytes, at);
        if (piece.len > step) piece.len = step;
        at += r->in_body ? feed_body(r, piece) : feed_head(r, kind, piece);
        if (kind == H1_RESPONSE && r->out.messages > 0) break;
    }
    r->out.rest = r->head_len + (bytes.len - at);
    if (r->in_body) {
        r->out.cut = h1_finish(&r->h1) != ERR_OK;
        if (!r->out.cut) r->out.messages++;
    }
    out = r->out;
    arena_fini(&r->arena);
    free(r);
    return out;
}

#define P           "POST / HTTP/1.1\r\nHost: a\r\n"
#define G           "GET / HTTP/1.1\r\nHost: a\r\n"
#define E           "\r\n"
#define BYTES(text) (text), sizeof(text) - 1

struct row {
    const char *id;
    const char *bytes;
    size_t len;
    enum reason fault;
    unsigned messages; /* whole ones before it */
};

#define BAD REASON_BAD_REQUEST
#define C   P "Transfer-Encoding: chunked\r\n\r\n"

static const struct row requests[] = {
    {"plain", BYTES(G E), REASON_NONE, 1},
    {"pipelined", BYTES(G E G E P "Content-Length: 2\r\n\r\nab" G E), REASON_NONE, 4},
    {"chunked", BYTES(C "5\r\nhello\r\n0\r\n\r\n" G E), REASON_NONE, 2},
    {"chunked upper", BYTES(P "TRANSFER-ENCODING: CHUNKED\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n"),
     REASON_NONE, 1},
    {"http/1.0", BYTES("GET / HTTP/1.0\r\n\r\n"), REASON_NONE, 1},
    {"absolute", BYTES("GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n"), REASON_NONE, 1},
    {"asterisk", BYTES("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), REASON_NONE, 1},
    {"A01", BYTES(P "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"), BAD, 0},
    {"A02", BYTES(P "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGPOST / "), BAD,
     0},
    {"A03", BYTES(P "Content-Length: 1\r\nContent-Length: 0\r\n\r\na"), BAD, 0},
    {"A05 list", BYTES(P "Content-Length: 1, 1\r\n\r\na"), BAD, 0},
    {"A05 lines", BYTES(P "Content-Length: 1\r\nContent-Length: 1\r\n\r\na"), BAD, 0},
    {"A06 +", BYTES(P "Content-Length: +1\r\n\r\na"), BAD, 0},
    {"A06 -", BYTES(P "Content-Length: -1\r\n\r\na"), BAD, 0},
    {"A06 sp", BYTES(P "Content-Length: 1 1\r\n\r\na"), BAD, 0},
    {"A07 _", BYTES(P "Content-Length: 1_0\r\n\r\na"), BAD, 0},
    {"A07 0x", BYTES(P "Content-Length: 0x10\r\n\r\na"), BAD, 0},
    {"A07 1e1", BYTES(P "Content-Length: 1e1\r\n\r\na"), BAD, 0},
    {"A07 1.0", BYTES(P "Content-Length: 1.0\r\n\r\na"), BAD, 0},
    {"A07 1Z", BYTES(P "Content-Length: 1Z\r\n\r\na"), BAD, 0},
    {"A09 before", BYTES(P "Content-Length:\r\nContent-Length: 1\r\n\r\na"), BAD, 0},
    {"A09 after", BYTES(P "Content-Length: 1\r\nContent-Length:\r\n\r\na"), BAD, 0},
    {"A09 alone", BYTES(P "Content-Length:\r\n\r\na"), BAD, 0},
    {"A10", BYTES(P "Content-Length: 18446744073709551617\r\n\r\na"), BAD, 0},
    {"A10 signed", BYTES(P "Content-Length: 9223372036854775808\r\n\r\na"), BAD, 0},
    {"A12", BYTES(P "Content-Length: 010\r\n\r\n0123456789" G E), REASON_NONE, 2},
    {"A13 front", BYTES(P "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n"), BAD, 0},
    {"A13 back", BYTES(P "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n"), BAD, 0},
    {"A15", BYTES(P "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
     BAD, 0},
    {"A15 list", BYTES(P "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), BAD, 0},
    {"A16 xchunked", BYTES(P "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), BAD, 0},
    {"A16 chunk", BYTES(P "Transfer-Encoding: chunk\r\n\r\n0\r\n\r\n"), BAD, 0},
    {"A16 quoted", BYTES(P "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"), BAD, 0},
    {"A16 tail", BYTES(P "Transfer-Encoding: chunked-x\r\n\r\n0\r\n\r\n"), BAD, 0},
    {"A16 gzip", BYTES(P "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), BAD, 0},
    {"A16 identity", BYTES(P "Transfer-Encoding: identity\r\n\r\n"), BAD, 0},
    {"A17", BYTES(P "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"), BAD, 0},
    {"A18 vt",
     BYTES(P "Transfer-Encoding: \x0b"
             "chunked\r\n\r\n0\r\n\r\n"),
     BAD, 0},
    {"A18 ff",
     BYTES(P "Transfer-Encoding: \x0c"
             "chunked\r\n\r\n0\r\n\r\n"),
     BAD, 0},
    {"A18 nul", BYTES(P "Transfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n"), BAD, 0},
    {"A18 nbsp",
     BYTES(P "Transfer-Encoding: \xa0"
             "chunked\r\n\r\n0\r\n\r\n"),
     BAD, 0},
    {"A19", BYTES("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), BAD, 0},
    {"A20", BYTES(P "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"), BAD, 0},
    {"A21", BYTES(P "Transfer_Encoding: chunked\r\nContent-Length: 1\r\n\r\na"), BAD, 0},
    {"A22 0x", BYTES(C "0x1\r\na\r\n0\r\n\r\n"), BAD, 0},
    {"A22 +", BYTES(C "+1\r\na\r\n0\r\n\r\n"), BAD, 0},
    {"A22 -", BYTES(C "-1\r\na\r\n0\r\n\r\n"), BAD, 0},
    {"A22 _", BYTES(C "1_0\r\na\r\n0\r\n\r\n"), BAD, 0},
    {"A22 front", BYTES(C " 1\r\na\r\n0\r\n\r\n"), BAD, 0},
    {"A22 back", BYTES(C "1 \r\na\r\n0\r\n\r\n"), BAD, 0},
    {"A22 empty", BYTES(C "\r\na\r\n0\r\n\r\n"), BAD, 0},
    {"A22 tab ext", BYTES(C "1\t;a\r\na\r\n0\r\n\r\n"), BAD, 0},
    {"A23 17", BYTES(C "10000000000000000\r\na"), BAD, 0},
    {"A23 F", BYTES(C "FFFFFFFFFFFFFFFF\r\na"), BAD, 0},
    {"A24", BYTES(C "00000000000000000000000000000000000001\r\na\r\n0\r\n\r\n"), BAD, 0},
    {"A25 size", BYTES(C "1\na\r\n0\r\n\r\n"), BAD, 0},
    {"A25 data", BYTES(C "1\r\na\n0\r\n\r\n"), BAD, 0},
    {"A25 last", BYTES(C "1\r\na\r\n0\n\r\n"), BAD, 0},
    {"A25 end", BYTES(C "1\r\na\r\n0\r\n\n"), BAD, 0},
    {"A26 lf", BYTES(C "1;a\nb\r\na\r\n0\r\n\r\n"), BAD, 0},
    {"A26 cr", BYTES(C "1;a\rb\r\na\r\n0\r\n\r\n"), BAD, 0},
    {"A26 crcr", BYTES(C "1\r\r;ab\na\r\n0\r\n\r\n"), BAD, 0},
    {"A26 ext ok", BYTES(C "1;a=b\r\na\r\n0;c\r\n\r\n" G E), REASON_NONE, 2},
    {"A28", BYTES(C "1\r\nZZ\r\n0\r\n\r\n"), BAD, 0},
    {"A31", BYTES(G "Content-Length: 25\r\n\r\nGET /x HTTP/1.1\r\nHost: b\r" G E), REASON_NONE, 2},
    {"A33 other", BYTES(P "Expect: foo\r\nContent-Length: 1\r\n\r\na"), REASON_EXPECTATION_FAILED,
     0},
    {"A33 prefix", BYTES(P "Expect: y 100-continue\r\nContent-Length: 1\r\n\r\na"),
     REASON_EXPECTATION_FAILED, 0},
    {"B01", BYTES(G ": x\r\n\r\n"), BAD, 0},
    {"B01 first", BYTES("GET / HTTP/1.1\r\n: x\r\nHost: a\r\n\r\n"), BAD, 0},
    {"B04", BYTES(P "Content-Length : 1\r\n\r\na"), BAD, 0},
    {"B05 85", BYTES(G "X\x85: 1\r\n\r\n"), BAD, 0},
    {"B05 a0", BYTES(G "X\xa0: 1\r\n\r\n"), BAD, 0},
    {"B05 ff", BYTES(G "X\xff: 1\r\n\r\n"), BAD, 0},
    {"B05 (", BYTES(G "X(: 1\r\n\r\n"), BAD, 0},
    {"B05 quote", BYTES(G "X\": 1\r\n\r\n"), BAD, 0},
    {"B05 /", BYTES(G "X/: 1\r\n\r\n"), BAD, 0},
    {"B05 tab", BYTES(G "X\t: 1\r\n\r\n"), BAD, 0},
    {"B06", BYTES(G "X: a\0b\r\n\r\n"), BAD, 0},
    {"B07", BYTES(G "X: a\rb\r\n\r\n"), BAD, 0},
    {"B07 ctl", BYTES(G "X: a\x01\r\n\r\n"), BAD, 0},
    {"B07 del", BYTES(G "X: a\x7f\r\n\r\n"), BAD, 0},
    {"B09 sp", BYTES(G "X: a\r\n b\r\n\r\n"), BAD, 0},
    {"B09 tab", BYTES(G "X: a\r\n\tb\r\n\r\n"), BAD, 0},
    {"B10", BYTES("GET / HTTP/1.1\nHost: a\n\n"), BAD, 0},
    {"B10 mixed", BYTES("GET / HTTP/1.1\r\nHost: a\n\r\n"), BAD, 0},
    {"B10 end", BYTES(G "\n"), BAD, 0},
    {"B12", BYTES("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), BAD, 0},
    {"B13", BYTES("GET / HTTP/1.1\r\n\r\n"), BAD, 0},
    {"B14 equal", BYTES(G "Host: a\r\n\r\n"), BAD, 0},
    {"B14 other", BYTES(G "Host: b\r\n\r\n"), BAD, 0},
    {"B14 alias", BYTES(G "ho_st: b\r\nhost_: b\r\n\r\n"), REASON_NONE, 1},
    {"B16 admin", BYTES("GET admin HTTP/1.1\r\nHost: a\r\n\r\n"), BAD, 0},
    {"B16 a:80", BYTES("GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n"), BAD, 0},
    {"B16 connect", BYTES("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n"), BAD, 0},
    {"B18 tab", BYTES("GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n"), BAD, 0},
    {"B18 nul", BYTES("GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n"), BAD, 0},
    {"B18 sp", BYTES("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"), BAD, 0},
    {"B18 7f", BYTES("GET /a\x7f HTTP/1.1\r\nHost: a\r\n\r\n"), BAD, 0},
    {"B19 1.32", BYTES("GET / HTTP/1.32\r\nHost: a\r\n\r\n"), BAD, 0},
    {"B19 01.1", BYTES("GET / HTTP/01.1\r\nHost: a\r\n\r\n"), BAD, 0},
    {"B19 1.", BYTES("GET / HTTP/1.\r\nHost: a\r\n\r\n"), BAD, 0},
    {"B19 lower", BYTES("GET / http/1.1\r\nHost: a\r\n\r\n"), BAD, 0},
    {"B19 3.0", BYTES("GET / HTTP/3.0\r\nHost: a\r\n\r\n"), BAD, 0},
    {"B19 2.0", BYTES("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), REASON_VERSION_NOT_SUPPORTED, 0},
    {"B19 0.9", BYTES("GET / HTTP/0.9\r\nHost: a\r\n\r\n"), BAD, 0},
    {"B19 long", BYTES("GET / HTTP/4294967297.1\r\nHost: a\r\n\r\n"), BAD, 0},
    {"B20", BYTES("GET /\r\n"), BAD, 0},
    {"B22", BYTES("G=\":<> / HTTP/1.1\r\nHost: a\r\n\r\n"), BAD, 0},
    {"B22 lower", BYTES("get / HTTP/1.1\r\nHost: a\r\n\r\n"), BAD, 0},
    {"B25 one", BYTES("\r\n" G E), REASON_NONE, 1},
    {"B25 two", BYTES("\r\n\r\n" G E), BAD, 0},
    {"B25 lf", BYTES("\n" G E), BAD, 0},
    {"B26", BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), REASON_VERSION_NOT_SUPPORTED, 0},
    {"hello", BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc"), BAD, 0},
    {"garbage behind", BYTES(G E "\x80\x80"), BAD, 1},
};

static void check_rows(enum h1_kind kind, const struct row *row, size_t count)
{
    static const size_t step[] = {SIZE_MAX, 1, 2, 7};
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < ARRAY_LEN(step); k++) {
            struct outcome o = read_all(kind, span_of(row[i].bytes, row[i].len), step[k]);
            bool right = o.fault == row[i].fault && o.messages == row[i].messages;
            if (!right)
                print_error("%s by %zu: %u messages, fault %s\n", row[i].id, step[k], o.messages,
                            reason_word(o.fault));
            assert_true(right);
        }
    }
}

static void test_requests_are_read_strictly(void **state)
{
    (void)state;
    check_rows(H1_REQUEST, requests, ARRAY_LEN(requests));
}

#define R "HTTP/1.1 200 OK\r\n"

static const struct row responses[] = {
    {"plain", BYTES(R "Content-Length: 2\r\n\r\nab"), REASON_NONE, 1},
    {"no phrase", BYTES("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), REASON_NONE, 1},
    {"chunked", BYTES(R "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"), REASON_NONE, 1},
    {"until close", BYTES(R "\r\nabc"), REASON_NONE, 1},
    {"204", BYTES("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n"), REASON_NONE, 1},
    {"304", BYTES("HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n"), REASON_NONE, 1},
    {"103", BYTES("HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"), REASON_NONE, 1},
    {"C01", BYTES(R "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), BAD, 0},
    {"C02 two", BYTES(R "Content-Length: 2\r\nContent-Length: 3\r\n\r\nab"), BAD, 0},
    {"C02 x", BYTES(R "Content-Length: x\r\n\r\nab"), BAD, 0},
    {"C02 -", BYTES(R "Content-Length: -2\r\n\r\nab"), BAD, 0},
    {"C08 nul", BYTES(R "X: a\0\r\n\r\n"), BAD, 0},
    {"C08 fold", BYTES(R "X: a\r\n b\r\n\r\n"), BAD, 0},
    {"C08 2x0", BYTES("HTTP/1.1 2x0 OK\r\n\r\n"), BAD, 0},
    {"C08 20", BYTES("HTTP/1.1 20 OK\r\n\r\n"), BAD, 0},
    {"C08 2000", BYTES("HTTP/1.1 2000 OK\r\n\r\n"), BAD, 0},
    {"C08 099", BYTES("HTTP/1.1 099 OK\r\n\r\n"), BAD, 0},
    {"C08 empty line", BYTES("\r\n" R "\r\n"), BAD, 0},
    {"C08 lf", BYTES("HTTP/1.1 200 OK\n\n"), BAD, 0},
    {"C09 short", BYTES(R "Content-Length: 5\r\n\r\nab"), REASON_NONE, 0},
    {"C09 short chunk", BYTES(R "Transfer-Encoding: chunked\r\n\r\n5\r\nab"), REASON_NONE, 0},
    {"te 1.0", BYTES("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), BAD, 0},
    {"te gzip", BYTES(R "Transfer-Encoding: gzip\r\n\r\nab"), BAD, 0},
};

static void test_responses_are_read_strictly(void **state)
{
    (void)state;
    check_rows(H1_RESPONSE, responses, ARRAY_LEN(responses));
}

static void test_bytes_behind_a_bodiless_response_are_left(void **state)
{
    static const char text[] = "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello";
    (void)state;
    struct outcome o = read_all(H1_RESPONSE, span_str(text), SIZE_MAX);
    assert_int_equal(o.messages, 1);
    assert_int_equal(o.rest, 5);
    assert_int_equal(o.body_len, 0);
}

static void test_forbidden_trailers_are_dropped(void **state)
{
    static const char text[] = C "1\r\na\r\n0\r\nX-Sum: 1\r\nContent-Length: 3\r\n"
                                 "Transfer-Encoding: x\r\nHost: b\r\nAuthorization: c\r\n"
                                 "Parley-Peer: d\r\nparley_peer: e\r\n\r\n";
    (void)state;
    for (size_t step = 1; step < 9; step++) {
        struct outcome o = read_all(H1_REQUEST, span_str(text), step);
        assert_int_equal(o.fault, REASON_NONE);
        assert_int_equal(o.messages, 1);
        assert_int_equal(o.trailers, 1);
    }
}

static void test_long_trailers_are_refused(void **state)
{
    char text[TRAILER_BYTES_MAX + 200];
    (void)state;
    size_t len = (size_t)snprintf(text, sizeof text, "%s", C "0\r\nX: ");
    memset(text + len, 'a', TRAILER_BYTES_MAX);
    memcpy(text + len + TRAILER_BYTES_MAX, "\r\n\r\n", 4);
    struct outcome o = read_all(H1_REQUEST, span_of(text, len + TRAILER_BYTES_MAX + 4), SIZE_MAX);
    assert_int_equal(o.fault, REASON_HEADERS_TOO_LARGE);
}

static void test_chunk_extensions_are_bounded_over_the_message(void **state)
{
    size_t cap = 64u * 1200u + 200u, len = 0;
    char *text = malloc(cap);
    (void)state;
    len += (size_t)snprintf(text, cap, "%s", C);
    for (unsigned i = 0; i < 64; i++) {
        memcpy(text + len, "1;", 2);
        memset(text + len + 2, 'e', 1024);
        memcpy(text + len + 2 + 1024, "\r\na\r\n", 5);
        len += 2 + 1024 + 5;
    }
    struct outcome o = read_all(H1_REQUEST, span_of(text, len), SIZE_MAX);
    assert_int_equal(o.fault, BAD);
    assert_true(o.body_len <= 17);
    free(text);
}

/* One field of `name_len` and `value_len` bytes. */
static struct outcome with_field(size_t name_len, size_t value_len)
{
    size_t cap = name_len + value_len + 100;
    char *text = malloc(cap);
    size_t len = (size_t)snprintf(text, cap, "%s", G);
    memset(text + len, 'n', name_len);
    memcpy(text + len + name_len, ": ", 2);
    memset(text + len + name_len + 2, 'v', value_len);
    memcpy(text + len + name_len + 2 + value_len, "\r\n\r\n", 4);
    struct outcome o =
        read_all(H1_REQUEST, span_of(text, len + name_len + value_len + 6), SIZE_MAX);
    free(text);
    return o;
}

static void test_long_names_are_kept_whole_or_refused(void **state)
{
    static const size_t kept[] = {1, 255, 256, 257, 270};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        struct outcome o = with_field(kept[i], 3);
        assert_int_equal(o.fault, REASON_NONE);
        assert_string_equal(o.first_value, "vvv");
    }
    assert_int_equal(with_field(65535, 1).fault, REASON_HEADERS_TOO_LARGE);
    assert_int_equal(with_field(65536, 1).fault, REASON_HEADERS_TOO_LARGE);
    assert_int_equal(with_field(1, 100000).fault, REASON_HEADERS_TOO_LARGE);
    assert_int_equal(with_field(1, 1000000).fault, REASON_HEADERS_TOO_LARGE);
}

static void test_too_many_fields_are_refused(void **state)
{
    char *text = malloc(5000 * 8 + 100);
    (void)state;
    size_t len = (size_t)snprintf(text, 100, "%s", G);
    for (unsigned i = 0; i < 5000; i++, len += 6)
        memcpy(text + len, "a: b\r\n", 6);
    memcpy(text + len, "\r\n", 2);
    assert_int_equal(read_all(H1_REQUEST, span_of(text, len + 2), SIZE_MAX).fault,
                     REASON_HEADERS_TOO_LARGE);
    free(text);
}

static void test_long_target_is_refused_before_its_end(void **state)
{
    char *text = malloc(65536);
    (void)state;
    memcpy(text, "GET /", 5);
    memset(text + 5, 'a', 65531);
    assert_int_equal(read_all(H1_REQUEST, span_of(text, 65536), SIZE_MAX).fault,
                     REASON_TARGET_TOO_LONG);
    memcpy(text + TARGET_BYTES_MAX + 10, " HTTP/1.1\r\nHost: a\r\n\r\n", 22);
    assert_int_equal(read_all(H1_REQUEST, span_of(text, TARGET_BYTES_MAX + 32), SIZE_MAX).fault,
                     REASON_TARGET_TOO_LONG);
    free(text);
}

static void test_head_of_a_request_is_understood(void **state)
{
    char text[] = "GET /a?b HTTP/1.1\r\nHOST: x\r\nConnection: keep-alive, Upgrade\r\n"
                  "Upgrade: websocket\r\nX-Empty:\r\n\r\n";
    struct h1 p;
    struct headers h;
    struct h1_head head = {.headers = &h};
    (void)state;
    assert_int_equal(h1_request(&p, text, sizeof text - 1, &head), ERR_OK);
    assert_true(p.done);
    assert_true(span_eq_str(head.method, "GET"));
    assert_true(span_eq_str(head.target, "/a?b"));
    assert_true(span_eq_str(head.host, "x"));
    assert_true(span_eq_str(head.upgrade, "websocket"));
    assert_true(head.keep_alive);
    assert_int_equal(head.version, H1_1_1);
    assert_int_equal(head.body_length, H1_LENGTH_NONE);
    assert_int_equal(h.count, 4);
    assert_true(span_eq_str(h.field[0].name, "host"));
    assert_int_equal(h.field[3].value.len, 0);
}

static void test_head_request_answers_have_no_body(void **state)
{
    char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
    struct h1 p;
    struct headers h;
    struct h1_head head = {.headers = &h};
    (void)state;
    assert_int_equal(h1_response(&p, text, sizeof text - 1, true, &head), ERR_OK);
    assert_true(p.done);
    assert_int_equal(head.body_length, H1_LENGTH_NONE);
    assert_int_equal(head.content_length, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_are_read_strictly),
        cmocka_unit_test(test_responses_are_read_strictly),
        cmocka_unit_test(test_bytes_behind_a_bodiless_response_are_left),
        cmocka_unit_test(test_forbidden_trailers_are_dropped),
        cmocka_unit_test(test_long_trailers_are_refused),
        cmocka_unit_test(test_chunk_extensions_are_bounded_over_the_message),
        cmocka_unit_test(test_long_names_are_kept_whole_or_refused),
        cmocka_unit_test(test_too_many_fields_are_refused),
        cmocka_unit_test(test_long_target_is_refused_before_its_end),
        cmocka_unit_test(test_head_of_a_request_is_understood),
        cmocka_unit_test(test_head_request_answers_have_no_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
