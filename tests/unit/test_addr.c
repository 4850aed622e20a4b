#include "core/model/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct addr parsed(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(span_str(text), 1, &a), ERR_OK);
    return a;
}

static void test_every_form_parses_and_prints_back(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint16_t default_port;
        const char *printed;
    } row[] = {
        {"10.0.0.1", 7400, "10.0.0.1:7400"},
        {"10.0.0.1:81", 7400, "10.0.0.1:81"},
        {"255.255.255.255:65535", 0, "255.255.255.255:65535"},
        {"fd00::1", 7400, "[fd00::1]:7400"},
        {"[fd00::1]", 7400, "[fd00::1]:7400"},
        {"[fd00::1]:81", 0, "[fd00::1]:81"},
        {"[FD00:0:0::0001]:81", 0, "[fd00::1]:81"},
        {"::1", 9, "[::1]:9"},
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct addr a;
        char text[ADDR_TEXT_MAX];
        assert_int_equal(addr_parse(span_str(row[i].text), row[i].default_port, &a), ERR_OK);
        assert_string_equal(addr_format(&a, text), row[i].printed);
        struct addr again;
        assert_int_equal(addr_parse(span_str(text), 0, &again), ERR_OK);
        assert_true(addr_eq(&a, &again));
    }
}

static void test_what_is_no_address_is_refused_and_leaves_the_result(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ":",
        "10.0.0.1:",
        "10.0.0.1:0",
        "10.0.0.1:65536",
        "10.0.0.1:+1",
        "10.0.0.1:01",
        "10.0.0.1: 1",
        "10.0.0.1:1 ",
        "10.0.0.1:x",
        "10.0.0",
        "10.0.0.256",
        "010.0.0.1",
        "10.0.0.1.",
        "0x0a.0.0.1",
        "localhost",
        " 10.0.0.1",
        "[10.0.0.1]:1",
        "[::1",
        "[::1]1",
        "[::1]:",
        "::1]:1",
        "fe80::1%eth0",
        "[]:1",
        "1:2:3:4:5:6:7:8:9",
        "::ffff:127.0.0.1",
        "[::ffff:10.0.0.1]:80",
        "unix:/x",
        "10.0.0.1:123456",
        ":7400",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct addr a = {.port = 77};
        if (addr_parse(span_str(bad[i]), 7400, &a) != ERR_INVALID) fail_msg("%s", bad[i]);
        assert_int_equal(a.port, 77);
    }
    struct addr a;
    assert_int_equal(addr_parse(span_of("10.0.0.1\0:80", 12), 7400, &a), ERR_INVALID);
    assert_int_equal(addr_parse(SPAN_LIT("10.0.0.1"), 0, &a), ERR_INVALID);
    assert_int_equal(addr_parse(SPAN_LIT("[::1]"), 0, &a), ERR_INVALID);
}

static void test_equality_counts_ports_and_families(void **state)
{
    (void)state;
    struct addr a = parsed("10.0.0.1:80"), b = parsed("10.0.0.1:81"), c = parsed("[a00:1::]:80");
    assert_true(addr_same_ip(&a, &b));
    assert_false(addr_eq(&a, &b));
    assert_false(addr_same_ip(&a, &c));
}

static void test_addresses_no_mesh_may_dial_are_forbidden(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "0.0.0.0",         "0.1.2.3",   "224.0.0.1",       "239.255.255.255",
        "255.255.255.255", "240.0.0.1", "169.254.169.254", "::",
        "ff02::1",         "fe80::1",   "febf::1",         "::2",
        "::a00:1",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct addr a = parsed(bad[i]);
        if (!addr_is_forbidden(&a)) fail_msg("%s", bad[i]);
    }
    static const char *const good[] = {"10.0.0.1", "127.0.0.1",       "::1",
                                       "fd00::1",  "fec0::1",         "169.253.255.255",
                                       "2a00::1",  "223.255.255.255", "192.168.0.1"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct addr a = parsed(good[i]);
        if (addr_is_forbidden(&a)) fail_msg("%s", good[i]);
    }
}

static void test_an_ipv4_address_mapped_into_ipv6_does_not_slip_through(void **state)
{
    (void)state;
    struct addr a = {.family = ADDR_IP6, .port = 1, .ip = {[10] = 0xff, 0xff, 169, 254, 169, 254}};
    assert_true(addr_is_forbidden(&a));
    struct addr loop = {.family = ADDR_IP6, .ip = {[10] = 0xff, 0xff, 127, 0, 0, 1}};
    assert_true(addr_is_loopback(&loop));
    assert_true(addr_is_forbidden(&loop));
    struct addr any = {.family = ADDR_IP6, .ip = {[10] = 0xff, 0xff}};
    assert_true(addr_is_any(&any));
    struct addr none = {.family = ADDR_NONE};
    assert_true(addr_is_forbidden(&none));
    assert_false(addr_is_any(&none));
    assert_false(addr_is_loopback(&none));
}

static void test_loopback_and_any_are_told_apart(void **state)
{
    (void)state;
    struct addr a = parsed("127.8.9.1"), b = parsed("::1"), c = parsed("0.0.0.0"), d = parsed("::"),
                e = parsed("126.0.0.1");
    assert_true(addr_is_loopback(&a) && addr_is_loopback(&b));
    assert_true(!addr_is_loopback(&c) && !addr_is_loopback(&d) && !addr_is_loopback(&e));
    assert_true(addr_is_any(&c) && addr_is_any(&d));
    assert_true(!addr_is_any(&a) && !addr_is_any(&b) && !addr_is_any(&e));
}

static void test_a_target_is_an_address_or_an_absolute_path(void **state)
{
    (void)state;
    struct target t, u;
    char text[ADDR_TEXT_MAX];
    assert_int_equal(addr_target_parse(SPAN_LIT("127.0.0.1:8080"), &t), ERR_OK);
    assert_string_equal(addr_target_format(&t, text), "127.0.0.1:8080");
    assert_int_equal(addr_target_parse(SPAN_LIT("unix:/run/web.sock"), &u), ERR_OK);
    assert_string_equal(u.path, "/run/web.sock");
    assert_string_equal(addr_target_format(&u, text), "unix:/run/web.sock");
    assert_false(addr_target_eq(&t, &u));
    assert_true(addr_target_eq(&u, &u) && addr_target_eq(&t, &t));
    static const char *const bad[] = {"unix:",      "unix:x",    "unix:/",   "unix:/a/",
                                      "unix:/a\nb", "127.0.0.1", "/run/web", ""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (addr_target_parse(span_str(bad[i]), &t) != ERR_INVALID) fail_msg("%s", bad[i]);
    char longest[5 + ADDR_UNIX_PATH_MAX + 2];
    memset(longest, 'a', sizeof(longest));
    memcpy(longest, "unix:/", 6);
    assert_int_equal(addr_target_parse(span_of(longest, 5 + ADDR_UNIX_PATH_MAX), &t), ERR_OK);
    assert_int_equal(addr_target_parse(span_of(longest, 6 + ADDR_UNIX_PATH_MAX), &t), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_form_parses_and_prints_back),
        cmocka_unit_test(test_what_is_no_address_is_refused_and_leaves_the_result),
        cmocka_unit_test(test_equality_counts_ports_and_families),
        cmocka_unit_test(test_addresses_no_mesh_may_dial_are_forbidden),
        cmocka_unit_test(test_an_ipv4_address_mapped_into_ipv6_does_not_slip_through),
        cmocka_unit_test(test_loopback_and_any_are_told_apart),
        cmocka_unit_test(test_a_target_is_an_address_or_an_absolute_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
