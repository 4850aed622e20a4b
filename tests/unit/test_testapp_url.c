#include "cmd/verbs/testapp_url.h"
#include "core/base/check.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_http_url_keeps_path_and_query(void **state)
{
    struct testapp_url url;
    const char *why = NULL;
    (void)state;
    assert_int_equal(testapp_url_parse("http://127.0.0.1:8080/a/b?c=d", &url, &why), ERR_OK);
    assert_int_equal(url.scheme, TESTAPP_URL_HTTP);
    assert_int_equal(url.to.addr.port, 8080);
    assert_string_equal(url.authority, "127.0.0.1:8080");
    assert_string_equal(url.path, "/a/b?c=d");
}

static void test_http_url_has_defaults(void **state)
{
    struct testapp_url url;
    const char *why = NULL;
    (void)state;
    assert_int_equal(testapp_url_parse("http://[::1]", &url, &why), ERR_OK);
    assert_int_equal(url.to.addr.family, ADDR_IP6);
    assert_int_equal(url.to.addr.port, 80);
    assert_string_equal(url.path, "/");
}

static void test_tcp_url_has_no_path(void **state)
{
    struct testapp_url url;
    const char *why = NULL;
    (void)state;
    assert_int_equal(testapp_url_parse("tcp://127.0.0.12:5432", &url, &why), ERR_OK);
    assert_int_equal(url.scheme, TESTAPP_URL_TCP);
    assert_int_equal(url.to.addr.port, 5432);
    assert_string_equal(url.path, "");
}

static void test_bad_url_is_refused_with_a_reason(void **state)
{
    static const char *const bad[] = {"",
                                      "127.0.0.1:8080",
                                      "https://127.0.0.1/",
                                      "http://",
                                      "http://localhost:8080/",
                                      "http://127.0.0.1:99999/",
                                      "http://127.0.0.1:80?q",
                                      "http://127.0.0.1:80/a b",
                                      "http://127.0.0.1:80/a\r\nx: y",
                                      "http://127.0.0.1:80/a#b",
                                      "tcp://127.0.0.1",
                                      "tcp://127.0.0.1:80/path"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct testapp_url url = {.path = "untouched"};
        const char *why = NULL;
        assert_int_equal(testapp_url_parse(bad[i], &url, &why), ERR_INVALID);
        assert_non_null(why);
        assert_string_equal(url.path, "untouched");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_url_keeps_path_and_query),
        cmocka_unit_test(test_http_url_has_defaults),
        cmocka_unit_test(test_tcp_url_has_no_path),
        cmocka_unit_test(test_bad_url_is_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
