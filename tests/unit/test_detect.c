#include "proxy/net/detect.h"

#include "core/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SETTINGS_0 "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
#define SETTINGS_3 "\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00"

struct row {
    struct span seen;
    bool ended;
    enum detect_answer want;
};

#define ROW(text, ended, want)                                                                     \
    {                                                                                              \
        {text, sizeof(text) - 1}, ended, want                                                      \
    }

static const struct row rows[] = {
    ROW("", false, DETECT_MORE),
    ROW("", true, DETECT_NOTHING),
    ROW("HTTP/1.1 200", false, DETECT_HTTP1),
    ROW("HTTP/1.0 501", false, DETECT_HTTP1),
    ROW("HTTP/1.1 404", true, DETECT_HTTP1),
    ROW("HTTP/1.1 400", false, DETECT_REFUSED),
    ROW("HTTP/1.1 426", false, DETECT_REFUSED),
    ROW("HTTP/1.1 505", false, DETECT_REFUSED),
    ROW("HTTP/1.1", false, DETECT_MORE),
    ROW("HTTP/1.1", true, DETECT_BYTES),
    ROW("HT", false, DETECT_MORE),
    ROW("HTTX", false, DETECT_BYTES),
    ROW(SETTINGS_0, false, DETECT_H2),
    ROW(SETTINGS_3, false, DETECT_H2),
    ROW("\x00\x00", false, DETECT_MORE),
    ROW("\x00\x00", true, DETECT_BYTES),
    ROW("\x00\x00\x07\x04", false, DETECT_BYTES),                     /* no multiple of six */
    ROW("\x00\x00\x06\x01\x00\x00\x00\x00\x01", false, DETECT_BYTES), /* HEADERS */
    ROW("\x00\x00\x00\x04\x01\x00\x00\x00\x00", false, DETECT_BYTES), /* an ACK of nothing */
    ROW("-ERR unknown command", false, DETECT_BYTES),
    ROW("220 mail ESMTP\r\n", false, DETECT_BYTES),
    ROW("SSH-2.0-OpenSSH_9.2", false, DETECT_BYTES),
    ROW("J\x00\x00\x00\x0a"
        "8.0.36",
        false, DETECT_BYTES),                                 /* MySQL */
    ROW("\x15\x03\x03\x00\x02\x02\x46", false, DETECT_BYTES), /* a TLS alert */
    ROW("<!DOCTYPE HTML>", false, DETECT_BYTES),              /* HTTP/0.9 */
};

static void test_answers_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (detect_answer(rows[i].seen, rows[i].ended) != rows[i].want) fail_msg("row %zu", i);
}

/* Whatever comes in whichever pieces, it is not taken for one thing and then for another. */
static void test_no_judgement_is_taken_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum detect_answer last = DETECT_MORE;
        for (size_t len = 0; len <= rows[i].seen.len; len++) {
            enum detect_answer now = detect_answer(span_of(rows[i].seen.p, len), false);
            if (last != DETECT_MORE) assert_int_equal(now, last);
            last = now;
            assert_int_not_equal(detect_answer(span_of(rows[i].seen.p, len), true), DETECT_MORE);
        }
    }
}

static const struct {
    enum detect_answer h2, h1;
    enum detect_verdict want;
    enum service_protocol protocol;
} verdicts[] = {
    /* The first question alone. */
    {DETECT_HTTP1, DETECT_MORE, DETECT_KNOWN, PROTOCOL_HTTP},
    {DETECT_REFUSED, DETECT_MORE, DETECT_KNOWN, PROTOCOL_HTTP},
    {DETECT_H2, DETECT_MORE, DETECT_ASK_ON, 0},
    {DETECT_BYTES, DETECT_MORE, DETECT_ASK_ON, 0},
    {DETECT_NOTHING, DETECT_MORE, DETECT_ASK_ON, 0},
    /* HTTP/2 alone, however it says that HTTP/1.1 is nothing for it; or both. */
    {DETECT_H2, DETECT_H2, DETECT_KNOWN, PROTOCOL_H2},
    {DETECT_H2, DETECT_NOTHING, DETECT_KNOWN, PROTOCOL_H2},
    {DETECT_H2, DETECT_BYTES, DETECT_KNOWN, PROTOCOL_H2},
    {DETECT_H2, DETECT_REFUSED, DETECT_KNOWN, PROTOCOL_H2},
    {DETECT_H2, DETECT_HTTP1, DETECT_KNOWN, PROTOCOL_HTTP},
    /* Servers of HTTP/1.1 with odd manners: an error page of HTTP/0.9, a closed connection. */
    {DETECT_BYTES, DETECT_HTTP1, DETECT_KNOWN, PROTOCOL_HTTP},
    {DETECT_BYTES, DETECT_REFUSED, DETECT_KNOWN, PROTOCOL_HTTP},
    {DETECT_NOTHING, DETECT_HTTP1, DETECT_KNOWN, PROTOCOL_HTTP},
    /* TCP only by its own bytes, twice. */
    {DETECT_BYTES, DETECT_BYTES, DETECT_KNOWN, PROTOCOL_TCP},
    {DETECT_BYTES, DETECT_NOTHING, DETECT_UNKNOWN, 0},
    {DETECT_NOTHING, DETECT_BYTES, DETECT_UNKNOWN, 0},
    {DETECT_NOTHING, DETECT_NOTHING, DETECT_UNKNOWN, 0},
};

static void test_tcp_is_what_answers_twice_and_never_in_http(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
        enum service_protocol protocol = PROTOCOL_HTTP;
        enum detect_verdict got = detect_judge(verdicts[i].h2, verdicts[i].h1, &protocol);
        if (got != verdicts[i].want) fail_msg("row %zu: %d", i, got);
        if (got == DETECT_KNOWN) assert_int_equal(protocol, verdicts[i].protocol);
    }
}

static void test_questions_are_well_formed_or_none(void **state)
{
    char text[256];
    (void)state;
    struct span h2 =
        span_of(text, detect_question(DETECT_ASK_H2, SPAN_LIT("web"), text, sizeof text));
    assert_int_equal(h2.len, 24 + 9);
    assert_true(span_starts(h2, SPAN_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")));
    struct span h1 =
        span_of(text, detect_question(DETECT_ASK_H1, SPAN_LIT("web"), text, sizeof text));
    assert_true(span_starts(h1, SPAN_LIT("OPTIONS * HTTP/1.1\r\nhost: web\r\n")));
    assert_true(span_eq(span_skip(h1, h1.len - 4), SPAN_LIT("\r\n\r\n")));
    assert_int_equal(detect_question(DETECT_ASK_H1, SPAN_LIT("web"), text, 20), 0);
    assert_int_equal(detect_question(DETECT_ASK_H2, SPAN_LIT("web"), text, 20), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_are_told_apart),
        cmocka_unit_test(test_no_judgement_is_taken_back),
        cmocka_unit_test(test_tcp_is_what_answers_twice_and_never_in_http),
        cmocka_unit_test(test_questions_are_well_formed_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
