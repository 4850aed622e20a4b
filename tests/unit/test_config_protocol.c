#include "core/base/check.h"
#include "core/wire/config_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NODE    "[node]\nname = \"web-1\"\nmesh = \"shop\"\naddr = \"10.0.0.1\"\n"
#define API     "[upstream.api]\nlisten = \"127.0.0.1:9001\"\n"
#define SERVICE "[service.web]\nlocal = \"127.0.0.1:8080\"\n"

/* NULL: it does not load; then `d` says why. */
static struct config *load(const char *text, struct diag *d)
{
    struct config_text file = {.file = "parley.toml", .text = span_str(text)};
    struct config *c = NULL;
    diag_init(d);
    enum err err = config_load(&file, 1, d, &c);
    assert_int_equal(err == ERR_OK, c != NULL);
    return c;
}

static void test_a_protocol_that_is_not_said_is_learned(void **state)
{
    static const struct {
        const char *text;
        bool service, upstream; /* learned */
        enum service_protocol protocol;
    } rows[] = {
        {NODE SERVICE API, true, true, PROTOCOL_HTTP},
        {NODE SERVICE "protocol = \"http\"\n" API "protocol = \"http\"\n", false, false,
         PROTOCOL_HTTP},
        {NODE SERVICE "protocol = \"tcp\"\n" API "protocol = \"tcp\"\n", false, false,
         PROTOCOL_TCP},
        {NODE SERVICE "protocol = \"h2\"\n" API "protocol = \"h2\"\n", false, false, PROTOCOL_H2},
        /* Who is asked for a page speaks HTTP, and so does who is called over TLS. */
        {NODE SERVICE "health = { http = \"/up\" }\n" API "tls = { cert = \"/c\", key = \"/k\" }\n",
         false, false, PROTOCOL_HTTP},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct diag d;
        struct config *c = load(rows[i].text, &d);
        if (c == NULL) fail_msg("row %zu: %s", i, d.entry[0].message);
        assert_int_equal(c->service[0].learn, rows[i].service);
        assert_int_equal(c->upstream[0].learn, rows[i].upstream);
        assert_int_equal(c->service[0].protocol, rows[i].protocol);
        assert_int_equal(c->upstream[0].protocol, rows[i].protocol);
        diag_fini(&d);
        config_free(c);
    }
}

static void test_what_turns_out_as_tcp_has_the_idle_time_of_tcp(void **state)
{
    static const struct {
        const char *text;
        uint32_t idle, tcp_idle;
    } rows[] = {
        {NODE API, CONFIG_IDLE_TIMEOUT_MS, CONFIG_TCP_IDLE_TIMEOUT_MS},
        {NODE API "idle_timeout = \"7s\"\n", 7000, 7000},
        {NODE "[defaults]\nidle_timeout = \"9s\"\n" API, 9000, 9000},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct diag d;
        struct config *c = load(rows[i].text, &d);
        assert_non_null(c);
        assert_int_equal(c->upstream[0].idle_timeout_ms, rows[i].idle);
        assert_int_equal(c->upstream[0].tcp_idle_timeout_ms, rows[i].tcp_idle);
        diag_fini(&d);
        config_free(c);
    }
}

static void test_tls_of_callers_is_read_and_checked(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {NODE API "tls = true\n", "tls must be a table, not a boolean"},
        {NODE API "tls = { cert = \"/a\" }\n",
         "upstream.api.tls needs cert and key, as in { cert = \"/etc/parley/tls/api.crt\", "
         "key = \"/etc/parley/tls/api.key\" }"},
        {NODE API "tls = { cert = \"a.crt\", key = \"/a.key\" }\n",
         "upstream.api.tls.cert must be the whole path of a file"},
        {NODE API "tls = { cert = \"/a\", key = \"/b\", certs = 1 }\n",
         "unknown key \"certs\" in [upstream.api.tls]; did you mean \"cert\"?"},
        {NODE API "protocol = \"tcp\"\ntls = { cert = \"/a\", key = \"/b\" }\n",
         "tls is for http: bytes of tcp pass through as they are, TLS too"},
    };
    struct diag d;
    (void)state;
    struct config *c = load(NODE API "tls = { cert = \"/a\", key = \"/b\" }\n", &d);
    assert_non_null(c);
    assert_string_equal(c->upstream[0].tls_cert, "/a");
    assert_string_equal(c->upstream[0].tls_key, "/b");
    diag_fini(&d);
    config_free(c);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_null(load(rows[i].text, &d));
        assert_int_equal(d.errors, 1);
        assert_string_equal(d.entry[0].message, rows[i].want);
        assert_true(d.entry[0].line > 0);
        diag_fini(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_protocol_that_is_not_said_is_learned),
        cmocka_unit_test(test_what_turns_out_as_tcp_has_the_idle_time_of_tcp),
        cmocka_unit_test(test_tls_of_callers_is_read_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
