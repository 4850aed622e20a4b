#include "core/wire/tls_peek.h"

#include <stdio.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define CORPUS    "tests/fuzz/corpus/tls_peek/"
#define BYTES_MAX 32768u

/* A hello written by hand, so that one thing in it can be wrong. */
struct draft {
    char p[BYTES_MAX];
    size_t len;
};

static void add(struct draft *d, const char *bytes, size_t len)
{
    assert_true(len <= sizeof(d->p) - d->len);
    if (len > 0) memcpy(d->p + d->len, bytes, len);
    d->len += len;
}

static void add_u16(struct draft *d, size_t v)
{
    const char bytes[2] = {(char)(v >> 8), (char)v};
    add(d, bytes, 2);
}

static void add_extension(struct draft *d, unsigned type, struct span body)
{
    add_u16(d, type);
    add_u16(d, body.len);
    add(d, body.p, body.len);
}

/* One host_name entry. */
static void add_sni(struct draft *d, struct span name)
{
    struct draft body = {.len = 0};
    add_u16(&body, name.len + 3);
    add(&body, "\0", 1);
    add_u16(&body, name.len);
    add(&body, name.p, name.len);
    add_extension(d, 0, span_of(body.p, body.len));
}

static void add_alpn(struct draft *d, const char *const *names, size_t count)
{
    struct draft list = {.len = 0}, body = {.len = 0};
    for (size_t i = 0; i < count; i++) {
        const char len = (char)strlen(names[i]);
        add(&list, &len, 1);
        add(&list, names[i], strlen(names[i]));
    }
    add_u16(&body, list.len);
    add(&body, list.p, list.len);
    add_extension(d, 16, span_of(body.p, body.len));
}

/* Puts the extensions into a hello in one record. */
static void wrap(const struct draft *extensions, struct draft *out)
{
    static const char zeroes[32];
    struct draft body = {.len = 0};
    add(&body, "\x03\x03", 2);
    add(&body, zeroes, 32);
    add(&body, "\0", 1);
    add(&body, "\0\x02\xc0\x2b", 4);
    add(&body, "\x01\0", 2);
    add_u16(&body, extensions->len);
    add(&body, extensions->p, extensions->len);
    out->len = 0;
    add(out, "\x16\x03\x01", 3);
    add_u16(out, body.len + 4);
    add(out, "\x01\0", 2);
    add_u16(out, body.len);
    add(out, body.p, body.len);
}

static enum err peek(const struct draft *extensions, struct tls_peek *out)
{
    struct draft d;
    wrap(extensions, &d);
    return tls_peek_hello(span_of(d.p, d.len), out);
}

static struct span load(const char *name)
{
    static char bytes[BYTES_MAX];
    char path[256];
    snprintf(path, sizeof(path), CORPUS "%s", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    return span_of(bytes, len);
}

static void test_hellos_of_openssl_and_curl_are_read(void **state)
{
    (void)state;
    struct tls_peek p;
    assert_int_equal(tls_peek_hello(load("openssl_tls13"), &p), ERR_OK);
    assert_string_equal(p.sni, "api.demo");
    assert_int_equal(p.alpn_count, 1);
    assert_true(tls_peek_offers(&p, "h2"));
    assert_false(tls_peek_offers(&p, "parley-join/1"));
    assert_int_equal(tls_peek_hello(load("openssl_tls12_two_alpn"), &p), ERR_OK);
    assert_string_equal(p.sni, "api.demo"); /* sent as API.Demo */
    assert_string_equal(p.alpn[0], "parley-sync/1");
    assert_string_equal(p.alpn[1], "h2");
    assert_int_equal(tls_peek_hello(load("openssl_no_sni_no_alpn"), &p), ERR_OK);
    assert_string_equal(p.sni, "");
    assert_int_equal(p.alpn_count, 0);
    assert_int_equal(tls_peek_hello(load("openssl_join"), &p), ERR_OK);
    assert_true(tls_peek_offers(&p, "parley-join/1"));
    assert_int_equal(tls_peek_hello(load("curl_h2"), &p), ERR_OK);
    assert_string_equal(p.sni, "n1.node.demo");
    assert_true(tls_peek_offers(&p, "h2") && tls_peek_offers(&p, "http/1.1"));
    assert_int_equal(tls_peek_hello(load("openssl_split"), &p), ERR_OK);
    assert_int_equal(p.alpn_count, 0); /* six names of 200 bytes: none is one of ours */
}

static void test_every_prefix_asks_for_more(void **state)
{
    (void)state;
    static const char *const names[] = {"openssl_tls13", "curl_h2", "three_records"};
    struct tls_peek p;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct span whole = load(names[i]);
        for (size_t n = 0; n < whole.len; n++)
            assert_int_equal(tls_peek_hello(span_of(whole.p, n), &p), ERR_MORE);
        assert_int_equal(tls_peek_hello(whole, &p), ERR_OK);
    }
}

static void test_a_hello_may_span_records_but_not_many(void **state)
{
    (void)state;
    struct tls_peek p;
    assert_int_equal(tls_peek_hello(load("three_records"), &p), ERR_OK);
    assert_string_equal(p.sni, "api.demo");
    assert_int_equal(tls_peek_hello(load("five_records"), &p), ERR_TOO_LARGE);
}

static void test_bytes_behind_the_hello_do_not_matter(void **state)
{
    (void)state;
    static char bytes[BYTES_MAX];
    struct tls_peek p;
    struct span whole = load("openssl_tls13");
    memcpy(bytes, whole.p, whole.len);
    assert_int_equal(tls_peek_hello(span_of(bytes, sizeof(bytes)), &p), ERR_OK);
    assert_string_equal(p.sni, "api.demo");
}

static void test_what_is_no_hello_is_refused_at_its_first_wrong_byte(void **state)
{
    (void)state;
    struct tls_peek p;
    assert_int_equal(tls_peek_hello(SPAN_LIT("G"), &p), ERR_PROTOCOL);
    assert_int_equal(tls_peek_hello(SPAN_LIT("\x16\x02"), &p), ERR_PROTOCOL);
    assert_int_equal(tls_peek_hello(SPAN_LIT("\x16\x03\x01\x00\x10\x02"), &p), ERR_PROTOCOL);
    assert_int_equal(tls_peek_hello(load("alert"), &p), ERR_PROTOCOL);
    assert_int_equal(tls_peek_hello(load("empty_record"), &p), ERR_PROTOCOL);
    assert_int_equal(tls_peek_hello(load("http_request"), &p), ERR_PROTOCOL);
    assert_int_equal(tls_peek_hello(SPAN_LIT("\x16\x03\x01\x40\x01"), &p), ERR_PROTOCOL);
}

static void test_lengths_over_the_bound_are_refused_when_announced(void **state)
{
    (void)state;
    struct tls_peek p;
    assert_int_equal(tls_peek_hello(load("huge_hello"), &p), ERR_TOO_LARGE);
    /* 8188 is the longest body that fits with its header. */
    assert_int_equal(tls_peek_hello(SPAN_LIT("\x16\x03\x01\x3f\xff\x01\0\x1f\xfc"), &p), ERR_MORE);
    assert_int_equal(tls_peek_hello(SPAN_LIT("\x16\x03\x01\x3f\xff\x01\0\x1f\xfd"), &p),
                     ERR_TOO_LARGE);
}

static void test_a_hello_that_never_ends_is_too_large(void **state)
{
    (void)state;
    static char bytes[TLS_PEEK_BYTES_MAX] = "\x16\x03\x01\x3f\xff\x01\0\x1f\xfc\x03\x03";
    struct tls_peek p;
    assert_int_equal(tls_peek_hello(span_of(bytes, sizeof(bytes) - 1), &p), ERR_MORE);
    assert_int_equal(tls_peek_hello(span_of(bytes, sizeof(bytes)), &p), ERR_TOO_LARGE);
}

static void test_sni_is_one_plain_host_name(void **state)
{
    (void)state;
    static const char longest[] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    static char name[512];
    struct draft e = {.len = 0};
    struct tls_peek p;
    add_sni(&e, SPAN_LIT("Api.DEMO"));
    assert_int_equal(peek(&e, &p), ERR_OK);
    assert_string_equal(p.sni, "api.demo");
    add_sni(&e, SPAN_LIT("api.demo"));
    assert_int_equal(peek(&e, &p), ERR_PROTOCOL);
    static const struct span bad[] = {
        {"", 0}, {"a\0b", 3}, {"a b", 3}, {"a\n", 2}, {"\xc3\xa4", 2}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        e.len = 0;
        add_sni(&e, bad[i]);
        assert_int_equal(peek(&e, &p), ERR_PROTOCOL);
    }
    for (size_t i = 0; i < 256; i += 64)
        memcpy(name + i, longest, 64);
    e.len = 0;
    add_sni(&e, span_of(name, 255));
    assert_int_equal(peek(&e, &p), ERR_OK);
    assert_int_equal(strlen(p.sni), 255);
    e.len = 0;
    add_sni(&e, span_of(name, 256));
    assert_int_equal(peek(&e, &p), ERR_PROTOCOL);
}

static void test_alpn_keeps_eight_short_names(void **state)
{
    (void)state;
    static const char *const names[] = {"a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9"};
    static const char *const mixed[] = {"0123456789012345678901234567890",
                                        "01234567890123456789012345678901", "h2"};
    struct draft e = {.len = 0};
    struct tls_peek p;
    add_alpn(&e, names, 9);
    assert_int_equal(peek(&e, &p), ERR_OK);
    assert_int_equal(p.alpn_count, TLS_PEEK_ALPN_MAX);
    assert_true(tls_peek_offers(&p, "a8"));
    assert_false(tls_peek_offers(&p, "a9"));
    add_alpn(&e, names, 1);
    assert_int_equal(peek(&e, &p), ERR_PROTOCOL);
    e.len = 0;
    add_alpn(&e, mixed, 3);
    assert_int_equal(peek(&e, &p), ERR_OK);
    assert_int_equal(p.alpn_count, 2);
    assert_string_equal(p.alpn[0], mixed[0]);
    assert_string_equal(p.alpn[1], "h2");
    e.len = 0;
    add_extension(&e, 16, SPAN_LIT("\0\x01\0"));
    assert_int_equal(peek(&e, &p), ERR_PROTOCOL);
    e.len = 0;
    add_extension(&e, 16, SPAN_LIT("\0\0"));
    assert_int_equal(peek(&e, &p), ERR_PROTOCOL);
}

static void test_extensions_are_bounded_in_number(void **state)
{
    (void)state;
    struct draft e = {.len = 0};
    struct tls_peek p;
    for (unsigned i = 0; i < 64; i++)
        add_extension(&e, 1000 + i, SPAN_LIT("xyz"));
    assert_int_equal(peek(&e, &p), ERR_OK);
    add_extension(&e, 2000, SPAN_LIT(""));
    assert_int_equal(peek(&e, &p), ERR_PROTOCOL);
    e.len = 0;
    add(&e, "\0\x17\0\x05", 4); /* longer than what is there */
    assert_int_equal(peek(&e, &p), ERR_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hellos_of_openssl_and_curl_are_read),
        cmocka_unit_test(test_every_prefix_asks_for_more),
        cmocka_unit_test(test_a_hello_may_span_records_but_not_many),
        cmocka_unit_test(test_bytes_behind_the_hello_do_not_matter),
        cmocka_unit_test(test_what_is_no_hello_is_refused_at_its_first_wrong_byte),
        cmocka_unit_test(test_lengths_over_the_bound_are_refused_when_announced),
        cmocka_unit_test(test_a_hello_that_never_ends_is_too_large),
        cmocka_unit_test(test_sni_is_one_plain_host_name),
        cmocka_unit_test(test_alpn_keeps_eight_short_names),
        cmocka_unit_test(test_extensions_are_bounded_in_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
