/* CONNECT through two hosts to an application that is a proxy (RFC 9110 9.3.6). */
#include "core/base/check.h"
#include "core/wire/link.h"
#include "tests/unit/support_peer.h"
#include "tests/unit/support_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define CONNECT(target) "CONNECT " target " HTTP/1.1\r\nHost: a\r\n"
#define ALLOW           "connect = true\nallow = [\"web\"]"

static void rules(struct support_rig *r, const char *api_rules)
{
    support_rig_rules(r, SUPPORT_RIG_PORT, api_rules);
}

static int setup(void **state)
{
    support_rig_setup(state);
    rules(*state, ALLOW);
    support_rig_web(*state, "connect = true");
    return 0;
}

/* All that comes back for `request` is in r->buf. */
static void ask(struct support_rig *r, const char *request)
{
    support_exchange(r->api_addr, request, r->buf, sizeof r->buf);
}

/* A tunnel that has echoed `first`, which was sent right behind the request. */
static int open_tunnel(struct support_rig *r)
{
    int fd = support_dial(r->api_addr);
    support_send(fd, CONNECT("open.example:443") "Proxy-Authorization: Basic x\r\n\r\nfirst");
    support_read(fd, r->buf, sizeof r->buf, "\r\n\r\n", NULL);
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(r->buf, "via: 1.1 p\r\n"));
    static const char *const none[] = {"content-length", "transfer-encoding", "connection",
                                       "upgrade"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        assert_null(strstr(r->buf, none[i]));
    support_read(fd, r->buf, sizeof r->buf, "first", NULL);
    assert_string_equal(r->buf, "first");
    return fd;
}

static void test_tunnel_carries_bytes_and_both_ends(void **state)
{
    struct support_rig *r = *state;
    support_rig_settle(r);
    int fd = open_tunnel(r);
    support_send(fd, "GET / HTTP/1.1\r\n\r\n");
    support_read(fd, r->buf, sizeof r->buf, "\r\n\r\n", NULL);
    assert_string_equal(r->buf, "GET / HTTP/1.1\r\n\r\n");
    shutdown(fd, SHUT_WR);
    bool ended;
    support_read(fd, r->buf, sizeof r->buf, NULL, &ended);
    assert_string_equal(r->buf, "bye");
    assert_true(ended);
    close(fd);
    support_node_line(&r->api, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, "\"method\":\"CONNECT\""));
    assert_non_null(strstr(r->line, "\"code\":200"));
    support_node_quiet(&r->web);
    support_rig_marker(r);
}

/* Another host may speak either. */
static void test_tunnel_comes_in_both_frames(void **state)
{
    struct support_rig *r = *state;
    static const char *const alpn[] = {"h2", LINK_ALPN};
    for (size_t i = 0; i < ARRAY_LEN(alpn); i++) {
        struct support_peer p;
        struct mux_head head = {.method = SPAN_LIT("CONNECT"),
                                .scheme = SPAN_LIT("http"),
                                .authority = SPAN_LIT("open.example:443"),
                                .path = SPAN_LIT("/"),
                                .protocol = SPAN_LIT("parley-tunnel"),
                                .content_length = -1};
        assert_true(support_peer_open(&p, &r->mesh, "web", "@22:17400", "api.shop", alpn[i]));
        support_peer_request(&p, &head, "first");
        assert_int_equal(p.status, 200);
        assert_string_equal(p.body, "firstbye");
        assert_true(p.ended);
        /* By itself it would be a TCP session, of a service that is none. */
        head.protocol = head.scheme = head.path = SPAN_LIT("");
        support_peer_request(&p, &head, NULL);
        assert_int_equal(p.status, 405);
        support_peer_close(&p);
    }
    support_rig_marker(r);
}

static void test_both_hosts_must_be_willing(void **state)
{
    struct support_rig *r = *state;
    unsigned before = atomic_load(&r->requests);
    rules(r, NULL);
    for (unsigned i = 0; i < 2; i++) {
        ask(r, CONNECT("open.example:443") "\r\n");
        assert_non_null(strstr(r->buf, "HTTP/1.1 405 "));
        assert_non_null(strstr(r->buf, "parley-reason: method_not_allowed\r\n"));
        rules(r, ALLOW);
        support_rig_web(r, "");
    }
    assert_int_equal(atomic_load(&r->requests), before);
    support_rig_web(r, "connect = true");
    close(open_tunnel(r));
    support_rig_marker(r);
}

/* The client may have sent what is meant for who is behind the proxy. */
static void test_another_answer_is_passed_on_and_nothing_is_read_behind_it(void **state)
{
    struct support_rig *r = *state;
    unsigned before = atomic_load(&r->requests);
    ask(r, CONNECT("closed.example:443") "\r\nGET /plain HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(strstr(r->buf, "HTTP/1.1 407 "));
    assert_non_null(strstr(r->buf, "proxy-authenticate: Basic\r\n"));
    assert_non_null(strstr(r->buf, "connection: close\r\n"));
    assert_non_null(strstr(r->buf, "\r\n\r\nauth"));
    assert_null(strstr(r->buf, "HTTP/1.1 200 "));
    assert_int_equal(atomic_load(&r->requests), before + 1);
    ask(r, CONNECT("odd.example:443") "\r\n");
    assert_non_null(strstr(r->buf, "HTTP/1.1 502 "));
    assert_non_null(strstr(r->buf, "parley-reason: protocol_error\r\n"));
    support_rig_marker(r);
}

static void test_target_is_a_host_and_a_port(void **state)
{
    struct support_rig *r = *state;
    static const char *const odd[] = {CONNECT("a"),
                                      CONNECT("a:0"),
                                      CONNECT("/"),
                                      CONNECT("*"),
                                      CONNECT("u@a:1"),
                                      CONNECT("http://a:1/"),
                                      CONNECT("open.example:443") "Content-Length: 1\r\n",
                                      CONNECT("open.example:443") "Transfer-Encoding: chunked\r\n"};
    unsigned before = atomic_load(&r->requests);
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        char text[200];
        snprintf(text, sizeof text, "%s\r\n", odd[i]);
        ask(r, text);
        if (strstr(r->buf, "HTTP/1.1 400 ") == NULL) fail_msg("%s: %s", odd[i], r->buf);
    }
    assert_int_equal(atomic_load(&r->requests), before);
    support_rig_marker(r);
}

/* Whatever may be sent twice otherwise. */
static void test_what_was_sent_is_never_sent_again(void **state)
{
    struct support_rig *r = *state;
    support_rig_web(r, "connect = true\n"
                       "retry = { on = [\"reset\", \"5xx\"], tries = 3, idempotent_only = false }");
    unsigned before = atomic_load(&r->requests);
    ask(r, CONNECT("die.example:443") "\r\n");
    assert_non_null(strstr(r->buf, "parley-reason: upstream_reset\r\n"));
    assert_int_equal(atomic_load(&r->requests), before + 1);
    ask(r, CONNECT("busy.example:443") "\r\n");
    assert_non_null(strstr(r->buf, "HTTP/1.1 503 "));
    assert_int_equal(atomic_load(&r->requests), before + 2);
    support_rig_web(r, "connect = true");
    support_rig_marker(r);
}

/* A proxy's 503 is about the target: it is no reason to leave the proxy for others. */
static void test_answer_about_the_target_opens_no_circuit(void **state)
{
    struct support_rig *r = *state;
    struct worker_message *m;
    unsigned opened = 0;
    support_rig_web(r, "connect = true\neject = { after = 3 }");
    while ((m = worker_receive(r->web.worker)) != NULL)
        free(m);
    for (unsigned i = 0; i < 10; i++) {
        ask(r, CONNECT("busy.example:443") "\r\n");
        assert_non_null(strstr(r->buf, "HTTP/1.1 503 "));
    }
    while ((m = worker_receive(r->web.worker)) != NULL) {
        opened += m->kind == WORKER_CIRCUIT && m->open;
        free(m);
    }
    assert_int_equal(opened, 0);
    for (unsigned i = 0; i < 3; i++)
        ask(r, CONNECT("die.example:443") "\r\n");
    while ((m = worker_receive(r->web.worker)) != NULL) {
        opened += m->kind == WORKER_CIRCUIT && m->open;
        free(m);
    }
    assert_int_equal(opened, 1);
    support_rig_web(r, "connect = true");
    close(open_tunnel(r));
    support_rig_marker(r);
}

#define RULE "connect = true\n[[service.api.rule]]\nname = \"r\"\nfrom = [\"web\"]\n"

static void test_rules_see_the_method_and_no_path(void **state)
{
    struct support_rig *r = *state;
    rules(r, RULE "path = [\"/*\"]");
    support_rig_marker(r);
    ask(r, CONNECT("closed.example:443") "\r\n");
    assert_non_null(strstr(r->buf, "HTTP/1.1 403 "));
    assert_non_null(strstr(r->buf, "parley-reason: denied_default\r\n"));
    rules(r, RULE "method = [\"CONNECT\"]");
    ask(r, CONNECT("closed.example:443") "\r\n");
    assert_non_null(strstr(r->buf, "HTTP/1.1 407 "));
    rules(r, ALLOW);
    support_rig_marker(r);
}

static void test_tunnel_ends_when_its_host_is_no_longer_willing(void **state)
{
    struct support_rig *r = *state;
    support_rig_settle(r);
    int fd = open_tunnel(r);
    rules(r, NULL);
    assert_true(recv(fd, r->buf, 1, 0) <= 0);
    close(fd);
    support_node_line(&r->api, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, "\"reason\":\"policy_changed\""));
    rules(r, ALLOW);
    support_rig_marker(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tunnel_carries_bytes_and_both_ends),
        cmocka_unit_test(test_tunnel_comes_in_both_frames),
        cmocka_unit_test(test_both_hosts_must_be_willing),
        cmocka_unit_test(test_another_answer_is_passed_on_and_nothing_is_read_behind_it),
        cmocka_unit_test(test_target_is_a_host_and_a_port),
        cmocka_unit_test(test_what_was_sent_is_never_sent_again),
        cmocka_unit_test(test_answer_about_the_target_opens_no_circuit),
        cmocka_unit_test(test_rules_see_the_method_and_no_path),
        cmocka_unit_test(test_tunnel_ends_when_its_host_is_no_longer_willing),
    };
    return cmocka_run_group_tests(tests, setup, support_rig_teardown);
}
