#include "core/wire/uri.h"

#include "core/base/check.h"
#include "core/base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect_target(const char *in, const char *path, const char *query)
{
    char out[512];
    struct uri_target t;
    enum err err = uri_canonical(span_str(in), false, out, sizeof(out), &t);
    if (err != ERR_OK) fail_msg("%s refused: %s", in, err_text(err));
    if (!span_eq_str(t.path, path) || !span_eq_str(t.query, query))
        fail_msg("%s became %.*s and %.*s", in, SPAN_ARG(t.path), SPAN_ARG(t.query));
    /* Canonical twice is canonical once, and path and query stand side by side. */
    char again[512];
    struct uri_target u;
    struct span whole = span_of(out, t.path.len + t.query.len);
    assert_int_equal(uri_canonical(whole, false, again, sizeof(again), &u), ERR_OK);
    assert_true(span_eq(span_of(again, u.path.len + u.query.len), whole));
}

static void expect_refused(struct span in)
{
    char out[512];
    struct uri_target t;
    enum err err = uri_canonical(in, false, out, sizeof(out), &t);
    if (err != ERR_INVALID) fail_msg("%.*s gave %s", SPAN_ARG(in), err_name(err));
}

static void test_ordinary_targets_stay_as_they_are(void **state)
{
    (void)state;
    static const char *const target[] = {"/",        "/a",
                                         "/a/",      "/a/b.c/d-e_f~g",
                                         "/a;v=1/b", "/a:b@c!$&'()*+,=",
                                         "/%C3%A9",  "/.well-known/x",
                                         "/...",     "/a..b/..c",
                                         "/.a;b"};
    for (size_t i = 0; i < ARRAY_LEN(target); i++)
        expect_target(target[i], target[i], "");
}

/* security.md G01: every spelling of /admin is judged and forwarded as one. */
static void test_spellings_of_a_path_become_one(void **state)
{
    (void)state;
    static const char *const admin[] = {"/admin",           "//admin",     "/./admin",
                                        "/x/../admin",      "/%61dmin",    "/%61%64%6D%69n",
                                        "/x/%2e%2e/admin",  "/%2E/admin",  "///.//admin",
                                        "/x/y/../../admin", "/x//../admin"};
    for (size_t i = 0; i < ARRAY_LEN(admin); i++)
        expect_target(admin[i], "/admin", "");
    expect_target("/admin/", "/admin/", "");
    expect_target("/admin;x", "/admin;x", "");
    expect_target("/x/../admin/.", "/admin/", "");
    expect_target("/admin/..", "/", "");
    expect_target("/a/b/..", "/a/", "");
}

static void test_escapes_are_normalised_and_never_decoded_twice(void **state)
{
    (void)state;
    expect_target("/%7euser", "/~user", "");
    expect_target("/%c3%a9%3a", "/%C3%A9%3A", "");
    expect_target("/%2561dmin", "/%2561dmin", "");
    expect_target("/a%20b%0d%0a", "/a%20b%0D%0A", "");
    expect_target("/a%23b%3fc", "/a%23b%3Fc", "");
}

static void test_ambiguous_paths_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "/admin%2f", "/admin%2Fx", "/%5cadmin", "/\\admin",   "/a%00b",     "/a%",
        "/a%4",      "/a%zz",      "/a%-1",     "/..",        "/a/../..",   "/%2e%2e/a",
        "/a/..;/b",  "/a/..;x/b",  "/./.;p/b",  "/%2e%2e;/b", "/a/..%3b/b", "/../a"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_refused(span_str(bad[i]));
}

/* security.md G03: the query is no part of the path, a fragment is no part of a target. */
static void test_query_is_kept_apart_byte_for_byte(void **state)
{
    (void)state;
    expect_target("/admin?x", "/admin", "?x");
    expect_target("/%61dmin?%61=/../%2f\\;%zz", "/admin", "?%61=/../%2f\\;%zz");
    expect_target("/a?", "/a", "?");
    expect_target("/a/..?/../..", "/", "?/../..");
    expect_refused(SPAN_LIT("/admin#f"));
    expect_refused(SPAN_LIT("/admin?x#f"));
}

/* security.md B16. */
static void test_only_origin_form_is_a_target(void **state)
{
    (void)state;
    static const char *const bad[] = {"*", "admin", "a:80", "*/x", "?x", "http://a/", ".", ""};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_refused(span_str(bad[i]));
}

static void test_asterisk_is_for_options_alone(void **state)
{
    (void)state;
    char out[8];
    struct uri_target t;
    assert_int_equal(uri_canonical(SPAN_LIT("*"), true, out, sizeof(out), &t), ERR_OK);
    assert_true(span_eq_str(t.path, "*"));
    assert_int_equal(t.query.len, 0);
    assert_int_equal(uri_canonical(SPAN_LIT("*/x"), true, out, sizeof(out), &t), ERR_INVALID);
    assert_int_equal(uri_canonical(SPAN_LIT("*?x"), true, out, sizeof(out), &t), ERR_INVALID);
}

/* security.md B18, in the path and in the query. */
static void test_raw_bytes_outside_ascii_graphics_are_refused(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        char path[] = "/aXb", query[] = "/a?X";
        path[2] = query[3] = (char)byte;
        if (byte > 0x20 && byte < 0x7f) continue;
        expect_refused(span_of(path, 4));
        expect_refused(span_of(query, 4));
    }
}

static void test_target_length_is_bounded(void **state)
{
    (void)state;
    static char in[TARGET_BYTES_MAX + 1], out[TARGET_BYTES_MAX + 1];
    struct uri_target t;
    memset(in, 'a', sizeof(in));
    in[0] = '/';
    assert_int_equal(uri_canonical(span_of(in, TARGET_BYTES_MAX), false, out, sizeof(out), &t),
                     ERR_OK);
    assert_int_equal(t.path.len, TARGET_BYTES_MAX);
    assert_int_equal(uri_canonical(span_of(in, sizeof(in)), false, out, sizeof(out), &t),
                     ERR_TOO_LARGE);
    assert_int_equal(uri_canonical(span_of(in, 9), false, out, 8, &t), ERR_TOO_LARGE);
}

static void test_output_never_needs_more_room_than_input(void **state)
{
    (void)state;
    static const char *const in[] = {"/a/../b/./c//%41?q", "/a/.", "/a/..", "/%c3", "//", "/.//."};
    for (size_t i = 0; i < ARRAY_LEN(in); i++) {
        struct uri_target t;
        size_t len = strlen(in[i]);
        char *out = malloc(len); /* the sanitizer watches its end */
        assert_non_null(out);
        assert_int_equal(uri_canonical(span_str(in[i]), false, out, len, &t), ERR_OK);
        free(out);
    }
}

static void test_absolute_form_is_split(void **state)
{
    (void)state;
    struct span authority, rest;
    assert_int_equal(uri_absolute(SPAN_LIT("http://a.b:80/c?d"), &authority, &rest), ERR_OK);
    assert_true(span_eq_str(authority, "a.b:80"));
    assert_true(span_eq_str(rest, "/c?d"));
    assert_int_equal(uri_absolute(SPAN_LIT("HTTP://a"), &authority, &rest), ERR_OK);
    assert_true(span_eq_str(authority, "a"));
    assert_true(span_eq_str(rest, "/"));
    static const char *const bad[] = {
        "https://a/", "http:/a", "http://", "http:///a", "http://u@a/",  "http://a?b",
        "http://a#",  "/a",      "",        "ftp://a/",  "http://u:p@a/"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(uri_absolute(span_str(bad[i]), &authority, &rest), ERR_INVALID);
    /* '@' behind the authority is only a path. */
    assert_int_equal(uri_absolute(SPAN_LIT("http://a/b@c"), &authority, &rest), ERR_OK);
}

static void expect_host(const char *in, const char *want, uint16_t want_port)
{
    char out[300];
    struct span host;
    uint16_t port = 9;
    enum err err = uri_authority(span_str(in), out, sizeof(out), &host, &port);
    if (err != ERR_OK) fail_msg("%s refused: %s", in, err_text(err));
    if (!span_eq_str(host, want)) fail_msg("%s became %.*s", in, SPAN_ARG(host));
    assert_int_equal(port, want_port);
}

/* security.md G04. */
static void test_hosts_have_one_form(void **state)
{
    (void)state;
    expect_host("admin.mesh", "admin.mesh", 0);
    expect_host("Admin.Mesh", "admin.mesh", 0);
    expect_host("admin.mesh.", "admin.mesh", 0);
    expect_host("admin.mesh:443", "admin.mesh", 0);
    expect_host("admin.mesh.:80", "admin.mesh", 0);
    expect_host("admin.mesh:0080", "admin.mesh", 0);
    expect_host("admin.mesh:8080", "admin.mesh", 8080);
    expect_host("[::1]", "[::1]", 0);
    expect_host("[FD00::1]:65535", "[fd00::1]", 65535);
    expect_host("[::ffff:10.0.0.1]", "[::ffff:10.0.0.1]", 0);
    expect_host("127.0.0.1:9001", "127.0.0.1", 9001);
    expect_host("a_b-c", "a_b-c", 0);
}

/* security.md B14. */
static void test_doubtful_hosts_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",        "a,b",     "a/b",          "u@a",    "a b",
                                      "a:99999", "a:65536", "a:0",          "a:",     "a:+1",
                                      "a:1x",    "a:1:2",   "a:000080",     ".",      "..",
                                      "a..",     ".a",      "a..b",         "[::1",   "::1",
                                      "[]",      "[:]",     "[::1]x",       "[::1]:", "[::g]",
                                      "[a]",     "a]",      "a%2eb",        "a\\b",   "a?b",
                                      "a#b",     "a;b",     "[::1%25eth0]", ":80",    "[::1]]",
                                      "[[::1]"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char out[64];
        struct span host;
        uint16_t port;
        enum err err = uri_authority(span_str(bad[i]), out, sizeof(out), &host, &port);
        if (err != ERR_INVALID) fail_msg("%s gave %s", bad[i], err_name(err));
    }
    char out[600], name[300];
    struct span host;
    uint16_t port;
    memset(name, 'a', sizeof(name));
    assert_int_equal(uri_authority(span_of(name, 255), out, sizeof(out), &host, &port), ERR_OK);
    assert_int_equal(uri_authority(span_of(name, 256), out, sizeof(out), &host, &port),
                     ERR_INVALID);
    assert_int_equal(uri_authority(span_of(name, 9), out, 8, &host, &port), ERR_TOO_LARGE);
    assert_int_equal(uri_authority(span_of("a\0b", 3), out, sizeof(out), &host, &port),
                     ERR_INVALID);
}

/* RFC 9112 3.2.3; the port has no default that a proxy could know. */
static void test_tunnels_need_a_port(void **state)
{
    (void)state;
    static const char *const good[] = {"a:80", "a:443", "A.b.:8080", "[::1]:22", "1.2.3.4:1"};
    static const char *const bad[] = {"",      "a",    "a:", "a:0", "a:65536",     "[::1]",
                                      "u@a:1", "a:1/", "/",  "*",   "http://a:1/", ":1",
                                      "a:1:2", "::1:2"};
    char out[64];
    struct span host;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_int_equal(uri_tunnel(span_str(good[i]), out, sizeof(out), &host), ERR_OK);
    assert_true(span_eq_str(host, "1.2.3.4"));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        enum err err = uri_tunnel(span_str(bad[i]), out, sizeof(out), &host);
        if (err != ERR_INVALID) fail_msg("%s gave %s", bad[i], err_name(err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ordinary_targets_stay_as_they_are),
        cmocka_unit_test(test_spellings_of_a_path_become_one),
        cmocka_unit_test(test_escapes_are_normalised_and_never_decoded_twice),
        cmocka_unit_test(test_ambiguous_paths_are_refused),
        cmocka_unit_test(test_query_is_kept_apart_byte_for_byte),
        cmocka_unit_test(test_only_origin_form_is_a_target),
        cmocka_unit_test(test_asterisk_is_for_options_alone),
        cmocka_unit_test(test_raw_bytes_outside_ascii_graphics_are_refused),
        cmocka_unit_test(test_target_length_is_bounded),
        cmocka_unit_test(test_output_never_needs_more_room_than_input),
        cmocka_unit_test(test_absolute_form_is_split),
        cmocka_unit_test(test_hosts_have_one_form),
        cmocka_unit_test(test_doubtful_hosts_are_refused),
        cmocka_unit_test(test_tunnels_need_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
