#include "core/wire/proxy_proto.h"

#include "core/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SIGNATURE      "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(literal) span_of(literal, sizeof(literal) - 1)

static struct addr addr(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(span_str(text), 0, &a), ERR_OK);
    return a;
}

static void check(struct span bytes, const char *from, const char *to, size_t header)
{
    struct proxy_proto p;
    char text[ADDR_TEXT_MAX];
    assert_int_equal(proxy_proto_parse(bytes, &p), ERR_OK);
    assert_string_equal(addr_format(&p.from, text), from);
    assert_string_equal(addr_format(&p.to, text), to);
    assert_int_equal(p.bytes, header);
    for (size_t len = 0; len < header; len++)
        assert_int_equal(proxy_proto_parse(span_of(bytes.p, len), &p), ERR_MORE);
}

static void refuse(struct span bytes)
{
    struct proxy_proto p;
    assert_int_equal(proxy_proto_parse(bytes, &p), ERR_PROTOCOL);
}

static void test_text_names_both_ends(void **state)
{
    (void)state;
    check(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nGET / HTTP/1.1\r\n"),
          "192.0.2.1:56324", "198.51.100.2:443", 45);
    check(BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n"), "[2001:db8::1]:1",
          "[2001:db8::2]:65535", 44);
    check(BYTES("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n"), "192.0.2.1:1",
          "192.0.2.2:2", 50);
    check(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 0 0\r\n"), "192.0.2.1:0", "198.51.100.2:0", 39);
}

static void test_unknown_and_local_name_nobody(void **state)
{
    (void)state;
    check(BYTES("PROXY UNKNOWN\r\nx"), "none", "none", 15);
    check(BYTES("PROXY UNKNOWN ffff:f...f:ffff what ever 65535\r\n"), "none", "none", 47);
    check(BYTES(SIGNATURE "\x20\x00\x00\x00"), "none", "none", 16);
    check(BYTES(SIGNATURE "\x20\x11\x00\x03xyz"), "none", "none", 19);
    check(BYTES(SIGNATURE "\x21\x00\x00\x02xy"), "none", "none", 18);
}

static void test_binary_names_both_ends(void **state)
{
    (void)state;
    check(BYTES(SIGNATURE "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb"
                          "GET"),
          "192.0.2.1:56324", "198.51.100.2:443", 28);
    char ip6[52] = SIGNATURE "\x21\x21\x00\x24";
    ip6[16] = ip6[32] = 0x20;
    ip6[31] = 1;
    ip6[47] = 2;
    ip6[49] = 80;
    ip6[51] = 81;
    check(span_of(ip6, sizeof ip6), "[2000::1]:80", "[2000::2]:81", 52);
}

static void test_unix_sockets_have_no_address(void **state)
{
    (void)state;
    char text[16 + 216] = SIGNATURE "\x21\x31\x00\xd8";
    check(span_of(text, sizeof text), "none", "none", sizeof text);
    text[15] = (char)0xd7;
    refuse(span_of(text, sizeof text));
}

static void test_text_that_may_be_read_two_ways_is_refused(void **state)
{
    static const char *const bad[] = {
        "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 \r\n",
        "PROXY TCP4 192.0.2.1  198.51.100.2 56324 443\r\n",
        "PROXY  TCP4 192.0.2.1 198.51.100.2 56324 443\r\n",
        "PROXY\tTCP4 192.0.2.1 198.51.100.2 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 056324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.2 56324 443\r\n",
        "PROXY TCP4 192.0.2 198.51.100.2 56324 443\r\n",
        "PROXY TCP4 192.0.2.1:1 198.51.100.2 56324 443\r\n",
        "PROXY TCP4 ::1 ::1 56324 443\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.2 56324 443\r\n",
        "PROXY TCP6 [::1] [::1] 56324 443\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.2 56324 443\r\n",
        "PROXY tcp4 192.0.2.1 198.51.100.2 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\rx",
        "PROXY \r\n",
        "proxy UNKNOWN\r\n",
        "GET / HTTP/1.1\r\n",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        refuse(span_str(bad[i]));
    refuse(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 1\0 443\r\n"));
}

static void test_line_is_at_most_107_bytes(void **state)
{
    (void)state;
    struct proxy_proto p;
    char line[200];
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    assert_int_equal(proxy_proto_parse(span_of(line, 106), &p), ERR_MORE);
    refuse(span_of(line, 107));
    memcpy(line + 105, "\r\n", 2);
    assert_int_equal(proxy_proto_parse(span_of(line, sizeof line), &p), ERR_OK);
    assert_int_equal(p.bytes, 107);
    memcpy(line + 105, "x\r\n", 3);
    refuse(span_of(line, sizeof line));
}

static void test_binary_of_another_kind_is_refused(void **state)
{
    (void)state;
    static const char ip4[] = SIGNATURE "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04"
                                        "\x01\xbb";
    static const struct {
        size_t at;
        char byte;
    } bad[] = {{0, 'x'},   {11, 'x'},  {12, 0x11}, {12, 0x22}, {12, 0x2f}, {13, 0x12},
               {13, 0x10}, {13, 0x13}, {13, 0x41}, {13, 0x21}, {15, 11}};
    char copy[sizeof ip4];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        memcpy(copy, ip4, sizeof ip4);
        copy[bad[i].at] = bad[i].byte;
        refuse(span_of(copy, sizeof ip4 - 1));
    }
}

static void test_binary_over_the_bound_is_too_large(void **state)
{
    (void)state;
    struct proxy_proto p;
    assert_int_equal(proxy_proto_parse(BYTES(SIGNATURE "\x21\x11\xff\xff"), &p), ERR_TOO_LARGE);
    assert_int_equal(proxy_proto_parse(BYTES(SIGNATURE "\x20\x00\x08\x00"), &p), ERR_TOO_LARGE);
    assert_int_equal(proxy_proto_parse(BYTES(SIGNATURE "\x20\x00\x07\xf0"), &p), ERR_MORE);
}

static void test_tlvs_fill_their_room_and_a_checksum_is_checked(void **state)
{
    (void)state;
    struct proxy_proto p;
    /* The CRC32c is that of a bitwise one that gives e3069283 for "123456789" (RFC 3720 B.4). */
    char text[16 + 12 + 7] = SIGNATURE "\x21\x11\x00\x13\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04"
                                       "\x01\xbb\x03\x00\x04";
    struct span all = span_of(text, sizeof text);
    refuse(all);
    memcpy(text + 31, "\x20\xec\x95\x49", 4);
    assert_int_equal(proxy_proto_parse(all, &p), ERR_OK);
    text[16] ^= 1;
    refuse(all);
    text[16] ^= 1;
    text[30] = 3;
    refuse(all);
    text[30] = 5;
    refuse(all);
    /* One that nobody knows is skipped. */
    text[30] = 4;
    text[28] = (char)0xe4;
    text[31] ^= 1;
    assert_int_equal(proxy_proto_parse(all, &p), ERR_OK);
    assert_int_equal(p.bytes, sizeof text);
}

static void test_what_is_emitted_is_read_again(void **state)
{
    static const char *const pair[][2] = {{"127.0.0.1:1", "10.0.0.1:65535"},
                                          {"127.0.0.1:1", "[fd00::1]:443"},
                                          {"[fd00::1]:443", "127.0.0.1:1"},
                                          {"[::1]:80", "[fd00::1]:443"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pair); i++) {
        for (int version = PROXY_PROTO_V1; version <= PROXY_PROTO_V2; version++) {
            char text[PROXY_PROTO_EMIT_MAX];
            struct addr from = addr(pair[i][0]), to = addr(pair[i][1]);
            size_t len = proxy_proto_emit((enum proxy_proto_version)version, &from, &to, text);
            check(span_of(text, len), pair[i][0], pair[i][1], len);
        }
    }
}

static void test_nobody_is_told_as_unknown(void **state)
{
    (void)state;
    char text[PROXY_PROTO_EMIT_MAX];
    struct addr from = addr("127.0.0.1:1"), none = {.family = ADDR_NONE};
    size_t len = proxy_proto_emit(PROXY_PROTO_V1, &none, &from, text);
    assert_int_equal(len, 15);
    assert_memory_equal(text, "PROXY UNKNOWN\r\n", 15);
    len = proxy_proto_emit(PROXY_PROTO_V2, &from, &none, text);
    check(span_of(text, len), "none", "none", 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_names_both_ends),
        cmocka_unit_test(test_unknown_and_local_name_nobody),
        cmocka_unit_test(test_binary_names_both_ends),
        cmocka_unit_test(test_unix_sockets_have_no_address),
        cmocka_unit_test(test_text_that_may_be_read_two_ways_is_refused),
        cmocka_unit_test(test_line_is_at_most_107_bytes),
        cmocka_unit_test(test_binary_of_another_kind_is_refused),
        cmocka_unit_test(test_binary_over_the_bound_is_too_large),
        cmocka_unit_test(test_tlvs_fill_their_room_and_a_checksum_is_checked),
        cmocka_unit_test(test_what_is_emitted_is_read_again),
        cmocka_unit_test(test_nobody_is_told_as_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
