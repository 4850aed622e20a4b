#include "tests/unit/support_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_request_without_a_rule_never_reaches_the_application(void **state)
{
    struct support_rig *r = *state;
    unsigned before = atomic_load(&r->requests);
    support_rig_rules(r, SUPPORT_RIG_PORT, "allow = [\"other\"]");
    support_rig_settle(r);
    support_rig_get(r, "/x", "");
    assert_non_null(strstr(r->buf, "HTTP/1.1 403 Forbidden\r\n"));
    assert_non_null(strstr(r->buf, "parley-reason: denied_default\r\n"));
    assert_non_null(strstr(r->buf, "content-type: application/json\r\n"));
    assert_non_null(strstr(r->buf, "{\"error\":\"denied by the mesh\",\"reason\":\"denied_default\""
                                   ",\"id\":\"01"));
    assert_int_equal(atomic_load(&r->requests), before);
    support_node_line(&r->web, r->line, sizeof r->line);
    assert_non_null(
        strstr(r->line, "\"code\":403,\"reason\":\"denied_default\",\"origin\":\"mesh\""));
    support_node_line(&r->api, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, "\"verdict\":\"deny\""));
    support_rig_rules(r, SUPPORT_RIG_PORT, NULL);
}

static void test_policy_takes_effect_on_a_live_connection(void **state)
{
    struct support_rig *r = *state;
    static const char get[] = "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";
    support_rig_rules(r, SUPPORT_RIG_PORT, "allow = [\"other\"]");
    int fd = support_dial(r->api_addr);
    support_send(fd, get);
    support_read(fd, r->buf, sizeof r->buf, "}\n", NULL);
    assert_non_null(strstr(r->buf, "HTTP/1.1 403 "));
    support_rig_rules(r, SUPPORT_RIG_PORT, NULL);
    support_send(fd, get);
    support_read(fd, r->buf, sizeof r->buf, "\r\n\r\nok", NULL);
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
    support_rig_rules(r, SUPPORT_RIG_PORT, "allow = [\"other\"]");
    support_send(fd, get);
    support_read(fd, r->buf, sizeof r->buf, "}\n", NULL);
    assert_non_null(strstr(r->buf, "HTTP/1.1 403 "));
    support_rig_rules(r, SUPPORT_RIG_PORT, NULL);
    close(fd);
}

static void test_judged_path_is_the_forwarded_path(void **state)
{
    struct support_rig *r = *state;
    static const char *const same[] = {"//admin",  "/./admin", "/x/../admin", "/%61dmin",
                                       "/admin?x", "/admin",   "/admin/",     "/admin;x"};
    static const char *const bad[] = {"/admin%2f", "/\\admin", "/admin#f", "/..", "/%00"};
    support_rig_rules(r, SUPPORT_RIG_PORT,
                      "allow = [\"web\"]\n[[service.api.rule]]\nname = \"no\"\naction = \"deny\"\n"
                      "path = [\"/admin\"]\n");
    unsigned before = atomic_load(&r->requests);
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        support_rig_get(r, same[i], "");
        assert_non_null(strstr(r->buf, "parley-reason: denied_rule\r\n"));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        support_rig_get(r, bad[i], "");
        assert_non_null(strstr(r->buf, "HTTP/1.1 400 "));
        assert_non_null(strstr(r->buf, "parley-reason: bad_request\r\n"));
    }
    assert_int_equal(atomic_load(&r->requests), before);
    support_rig_get(r, "/x/..//%7euser/./b?q=%41", "");
    assert_non_null(strstr(r->buf, "GET /~user/b?q=%41 HTTP/1.1\r\n"));
    support_rig_rules(r, SUPPORT_RIG_PORT, NULL);
}

static void test_spoofed_identity_never_crosses(void **state)
{
    struct support_rig *r = *state;
    support_rig_get(r, "/echo",
                    "Parley-Peer: spiffe://shop/service/root\r\nparley_peer: evil\r\n"
                    "Parley-Request-Id: evil\r\nParley-Anything: evil\r\nX-Forwarded-For: evil\r\n"
                    "X-Forwarded-Client-Cert: evil\r\nForwarded: for=evil\r\n"
                    "Connection: x-secret\r\nX-Secret: evil\r\n");
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 OK\r\n"));
    assert_null(strstr(r->buf, "evil"));
    assert_null(strstr(r->buf, "service/root"));
    assert_non_null(strstr(r->buf, "parley-peer: spiffe://shop/service/web\r\n"));
    assert_non_null(strstr(r->buf, "x-forwarded-for: 127.0.0.1\r\n"));
}

static void test_reason_of_the_application_is_its_own(void **state)
{
    struct support_rig *r = *state;
    support_rig_settle(r);
    support_rig_get(r, "/500", "");
    assert_non_null(strstr(r->buf, "HTTP/1.1 500 "));
    assert_non_null(strstr(r->buf, "\r\n\r\noops"));
    assert_null(strstr(r->buf, "parley-reason"));
    support_node_line(&r->web, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, "\"code\":500,\"reason\":\"app\",\"origin\":\"app\""));
}

static void test_host_of_another_service_is_misdirected(void **state)
{
    struct support_rig *r = *state;
    static const char *const other[] = {"db", "db.shop", "web.shop:443", "DB.shop.", "log"};
    static const char *const fine[] = {"api",         "api.shop",       "Api.Shop.:80",
                                       "example.com", "127.0.0.1:9001", "[::1]"};
    char text[200];
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        snprintf(text, sizeof text, "GET / HTTP/1.1\r\nConnection: close\r\nHost: %s\r\n\r\n",
                 other[i]);
        support_exchange(r->api_addr, text, r->buf, sizeof r->buf);
        /* log lives on the calling host alone: the called one has never heard of it. */
        bool known = strcmp(other[i], "log") != 0;
        assert_non_null(strstr(r->buf, known ? "HTTP/1.1 421 " : "HTTP/1.1 200 "));
    }
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        snprintf(text, sizeof text, "GET / HTTP/1.1\r\nConnection: close\r\nHost: %s\r\n\r\n",
                 fine[i]);
        support_exchange(r->api_addr, text, r->buf, sizeof r->buf);
        assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
    }
}

static void test_circle_of_requests_is_cut(void **state)
{
    struct support_rig *r = *state;
    support_rig_get(r, "/x", "Parley-Hops: 15\r\n");
    assert_non_null(strstr(r->buf, "parley-reason: loop_detected\r\n"));
    support_rig_get(r, "/x", "Parley-Hops: 3\r\n");
    assert_non_null(strstr(r->buf, "parley-hops: 4\r\n"));
}

static void test_call_within_the_host_has_the_same_records(void **state)
{
    struct support_rig *r = *state;
    support_rig_settle(r);
    support_exchange(r->log_addr,
                     "POST /echo HTTP/1.1\r\nHost: log\r\nConnection: close\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n",
                     r->buf, sizeof r->buf);
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(r->buf, "parley-peer: spiffe://shop/service/web\r\n"));
    assert_non_null(strstr(r->buf, "x-sum: 3\r\n"));
    support_node_line(&r->web, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, "\"dir\":\"inbound\",\"service\":\"log\",\"peer\":\"web\""));
    assert_non_null(strstr(r->line, "\"verdict\":\"allow\""));
    support_node_line(&r->web, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, "\"dir\":\"outbound\",\"service\":\"web\",\"peer\":\"log\""));
    support_node_quiet(&r->web);
}

static void test_call_within_the_host_streams_and_upgrades(void **state)
{
    struct support_rig *r = *state;
    int fd = support_dial(r->log_addr);
    support_send(fd, "GET /big?5000000 HTTP/1.1\r\nHost: log\r\n\r\n");
    support_read(fd, r->buf, sizeof r->buf, "\r\n\r\n", NULL);
    for (size_t total = 0; total < 5000000;) {
        size_t want = 5000000 - total < sizeof r->buf ? 5000000 - total + 1 : sizeof r->buf;
        size_t n = support_read(fd, r->buf, want, NULL, NULL);
        assert_true(n > 0);
        total += n;
    }
    support_send(fd, "GET /ws HTTP/1.1\r\nHost: log\r\nConnection: upgrade\r\n"
                     "Upgrade: websocket\r\n\r\n");
    support_read(fd, r->buf, sizeof r->buf, "\r\n\r\n", NULL);
    assert_non_null(strstr(r->buf, "HTTP/1.1 101 "));
    support_send(fd, "frame");
    support_read(fd, r->buf, sizeof r->buf, "frame", NULL);
    assert_string_equal(r->buf, "frame");
    close(fd);
    support_node_quiet(&r->web);
    support_exchange(r->log_addr, "GET /die HTTP/1.1\r\nHost: log\r\nConnection: close\r\n\r\n",
                     r->buf, sizeof r->buf);
    assert_non_null(strstr(r->buf, "HTTP/1.1 502 "));
    assert_non_null(strstr(r->buf, "parley-reason: upstream_reset\r\n"));
    support_node_quiet(&r->web);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_without_a_rule_never_reaches_the_application),
        cmocka_unit_test(test_policy_takes_effect_on_a_live_connection),
        cmocka_unit_test(test_judged_path_is_the_forwarded_path),
        cmocka_unit_test(test_spoofed_identity_never_crosses),
        cmocka_unit_test(test_reason_of_the_application_is_its_own),
        cmocka_unit_test(test_host_of_another_service_is_misdirected),
        cmocka_unit_test(test_circle_of_requests_is_cut),
        cmocka_unit_test(test_call_within_the_host_has_the_same_records),
        cmocka_unit_test(test_call_within_the_host_streams_and_upgrades),
    };
    return cmocka_run_group_tests(tests, support_rig_setup, support_rig_teardown);
}
