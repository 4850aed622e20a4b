#include "core/base/check.h"
#include "core/wire/link.h"
#include "tests/unit/support_peer.h"
#include "tests/unit/support_rig.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MESH "@22:17400"

/* What a peer may say on a stream, and what comes of it; status 0: a reset. NULL: left out. */
static const struct row {
    const char *id, *method, *scheme, *authority, *path, *protocol;
    unsigned status;
    const char *reason;
} rows[] = {
    {"plain", "GET", "http", "api.shop", "/plain", NULL, 200, ""},
    {"E03 no slash", "GET", "http", "a", "hello", NULL, 0, ""},
    {"E03 request line", "GET", "http", "a", "/ HTTP/1.1\r\nHost: e", NULL, 0, ""},
    {"E03 space", "GET", "http", "a", "/a b", NULL, 0, ""},
    {"E03 fragment", "GET", "http", "a", "/a#b", NULL, 400, "bad_request"},
    {"E03 escape", "GET", "http", "a", "/%2f", NULL, 400, "bad_request"},
    {"E03 method", "GET?", "http", "a", "/", NULL, 0, ""},
    {"E03 scheme", "GET", "htTp", "a", "/", NULL, 400, "bad_request"},
    {"E03 authority", "GET", "http", "u@a", "/", NULL, 400, "bad_request"},
    {"G09", "GET", "http", "db.shop", "/", NULL, 421, "misdirected"},
    {"G09 bare", "GET", "http", "db", "/", NULL, 421, "misdirected"},
    {"CONNECT to http", "CONNECT", NULL, "api.shop", NULL, NULL, 405, "method_not_allowed"},
    {"no proxy", "CONNECT", "http", "a:1", "/", "parley-tunnel", 405, "method_not_allowed"},
    {"no port", "CONNECT", "http", "a", "/", "parley-tunnel", 400, "bad_request"},
    {"path", "CONNECT", "http", "a:1", "/x", "parley-tunnel", 400, "bad_request"},
    {"F06", "CONNECT", "http", "a", "/", "foo", 501, "not_implemented"},
};

static struct mux_head head_of(const struct row *row)
{
    return (struct mux_head){.method = span_str(row->method),
                             .scheme = span_str(row->scheme),
                             .authority = span_str(row->authority),
                             .path = span_str(row->path),
                             .protocol = span_str(row->protocol),
                             .content_length = -1};
}

static struct mux_head get(const char *path, const char *authority)
{
    struct row row = {.method = "GET", .scheme = "http", .authority = authority, .path = path};
    return head_of(&row);
}

/* A peer may speak either frame. */
static void over_both(struct support_rig *r, void (*test)(struct support_rig *r, const char *alpn))
{
    test(r, "h2");
    test(r, LINK_ALPN);
}

static void streams_are_judged_like_requests(struct support_rig *r, const char *alpn)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct support_peer p;
        assert_true(support_peer_open(&p, &r->mesh, "web", MESH, "api.shop", alpn));
        struct mux_head head = head_of(&rows[i]);
        support_peer_request(&p, &head, NULL);
        bool right = p.status == rows[i].status && strcmp(p.reason, rows[i].reason) == 0;
        if (!right) print_error("%s: %u %s\n", rows[i].id, p.status, p.reason);
        assert_true(right);
        struct mux_head marker = get("/plain", "api");
        support_peer_request(&p, &marker, NULL);
        assert_int_equal(p.status, 200);
        assert_string_equal(p.body, "ok");
        support_peer_close(&p);
    }
}

static void test_streams_are_judged_like_requests(void **state)
{
    over_both(*state, streams_are_judged_like_requests);
}

static const struct {
    const char *id, *name, *value;
    unsigned status;
} fields[] = {
    {"E01 crlf", "x-a", "x\r\nEvil: 1", 0},
    {"E02 space", "x a", "1", 0},
    {"E02 colon", "x:a", "1", 0},
    {"E05 lead", "x-a", " 1", 0},
    {"E06", "transfer-encoding", "chunked", 0},
    {"D24 connection", "connection", "close", 0},
    {"D24 upgrade", "upgrade", "x", 0},
    {"D24 te", "te", "gzip", 0},
    {"expect", "expect", "foo", 417},
    {"host differs", "host", "b", 400},
    {"fine", "x-a", "1", 200},
};

static void fields_that_break_http1_never_reach_it(struct support_rig *r, const char *alpn)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        struct support_peer p;
        struct headers h = {.count = 0};
        struct mux_head head = get("/plain", "a");
        head.headers = &h;
        assert_int_equal(headers_add(&h, span_str(fields[i].name), span_str(fields[i].value)),
                         ERR_OK);
        assert_true(support_peer_open(&p, &r->mesh, "web", MESH, "api.shop", alpn));
        support_peer_request(&p, &head, NULL);
        if (p.status != fields[i].status) print_error("%s: %u\n", fields[i].id, p.status);
        assert_int_equal(p.status, fields[i].status);
        support_peer_close(&p);
    }
    support_rig_marker(r);
}

static void test_fields_that_break_http1_never_reach_it(void **state)
{
    over_both(*state, fields_that_break_http1_never_reach_it);
}

static void head_over_the_limit_is_431_and_the_link_lives(struct support_rig *r, const char *alpn)
{
    static char big[HEADER_LINE_BYTES_MAX + 10];
    struct support_peer p;
    struct headers h = {.count = 0};
    struct mux_head head = get("/plain", "a");
    memset(big, 'v', sizeof big);
    assert_int_equal(headers_add(&h, SPAN_LIT("x-a"), span_of(big, sizeof big)), ERR_OK);
    assert_true(support_peer_open(&p, &r->mesh, "web", MESH, "api.shop", alpn));
    head.headers = &h;
    support_peer_request(&p, &head, NULL);
    assert_int_equal(p.status, 431);
    head.headers = NULL;
    support_peer_request(&p, &head, NULL);
    assert_int_equal(p.status, 200);
    support_peer_close(&p);
}

static void test_head_over_the_limit_is_431_and_the_link_lives(void **state)
{
    over_both(*state, head_over_the_limit_is_431_and_the_link_lives);
}

/* Its body would be taken for ever, and its stream keep the link from ever being idle. */
static void rejected_request_that_never_ends_is_ended(struct support_rig *r, const char *alpn)
{
    struct support_peer p;
    struct mux_head head = get("/%2f", "a");
    head.method = SPAN_LIT("POST");
    assert_true(support_peer_open(&p, &r->mesh, "web", MESH, "api.shop", alpn));
    p.endless = true;
    support_peer_request(&p, &head, "body");
    assert_int_equal(p.status, 400);
    assert_true(p.closed);
    assert_int_equal(p.how, MUX_CLOSED);
    support_peer_close(&p);
}

static void test_rejected_request_that_never_ends_is_ended(void **state)
{
    over_both(*state, rejected_request_that_never_ends_is_ended);
}

static void request_to_a_tcp_service_is_refused(struct support_rig *r, const char *alpn)
{
    struct support_peer p;
    struct mux_head head = get("/", "db.shop");
    assert_true(support_peer_open(&p, &r->mesh, "web", MESH, "db.shop", alpn));
    support_peer_request(&p, &head, NULL);
    assert_int_equal(p.status, 502);
    assert_string_equal(p.reason, "protocol_error");
    support_peer_close(&p);
}

static void test_request_to_a_tcp_service_is_refused(void **state)
{
    over_both(*state, request_to_a_tcp_service_is_refused);
}

/* The calling host learns how many requests wait for the application; its client does not. */
static void answers_carry_the_load_of_the_application(struct support_rig *r, const char *alpn)
{
    struct support_peer p;
    struct mux_head head = get("/plain", "a");
    int hanging[2];
    assert_true(support_peer_open(&p, &r->mesh, "web", MESH, "api.shop", alpn));
    support_peer_request(&p, &head, NULL);
    assert_string_equal(p.load, "1");
    for (size_t i = 0; i < ARRAY_LEN(hanging); i++) {
        unsigned before = atomic_load(&r->requests);
        hanging[i] = support_dial(r->api_addr);
        support_send(hanging[i], "GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
        support_rig_await(r, before + 1);
    }
    support_peer_request(&p, &head, NULL);
    assert_int_equal(p.status, 200);
    assert_string_equal(p.load, "3");
    support_rig_get(r, "/plain", "");
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
    assert_null(strstr(r->buf, "parley-load"));
    for (size_t i = 0; i < ARRAY_LEN(hanging); i++)
        close(hanging[i]);
    support_rig_settle(r);
    support_peer_request(&p, &head, NULL);
    assert_string_equal(p.load, "1");
    support_peer_close(&p);
}

static void test_answers_carry_the_load_of_the_application(void **state)
{
    over_both(*state, answers_carry_the_load_of_the_application);
}

static void caller_is_the_certificate_and_no_header(struct support_rig *r, const char *alpn)
{
    struct support_peer p;
    struct headers h = {.count = 0};
    struct mux_head head = get("/echo", "a");
    head.headers = &h;
    assert_int_equal(
        headers_add(&h, SPAN_LIT("parley-peer"), SPAN_LIT("spiffe://shop/service/web")), ERR_OK);
    assert_true(support_peer_open(&p, &r->mesh, "stranger", MESH, "api.shop", alpn));
    support_peer_request(&p, &head, NULL);
    assert_int_equal(p.status, 403);
    assert_string_equal(p.reason, "denied_default");
    support_peer_close(&p);
}

static void test_caller_is_the_certificate_and_no_header(void **state)
{
    over_both(*state, caller_is_the_certificate_and_no_header);
}

static void unknown_names_and_strangers_get_no_link(struct support_rig *r, const char *alpn)
{
    struct support_mesh other;
    struct support_peer p;
    uint64_t bad = metrics_count_get(r->api.metrics, METRICS_BAD_HELLO);
    assert_false(support_peer_open(&p, &r->mesh, "web", MESH, "nobody.shop", alpn));
    support_peer_close(&p);
    assert_int_equal(metrics_count_get(r->api.metrics, METRICS_BAD_HELLO), bad + 1);
    /* A certificate of another mesh with the same name. */
    support_mesh_init(&other);
    assert_false(support_peer_open(&p, &other, "web", MESH, "api.shop", alpn));
    support_peer_close(&p);
    support_mesh_fini(&other);
    support_rig_marker(r);
}

static void test_unknown_names_and_strangers_get_no_link(void **state)
{
    over_both(*state, unknown_names_and_strangers_get_no_link);
}

static void test_other_protocols_go_to_the_control_thread_untouched(void **state)
{
    struct support_rig *r = *state;
    struct timespec ms = {.tv_nsec = 1000000};
    struct worker_message *m = NULL;
    uint8_t hello[4096];
    char answer[8] = "";
    size_t len = support_peer_hello(&r->mesh, "h2.shop", "parley-sync/1", hello, sizeof hello);
    int fd = support_dial(MESH);
    /* In two pieces: the first is not enough to tell. */
    assert_int_equal(send(fd, hello, 20, MSG_NOSIGNAL), 20);
    nanosleep(&ms, NULL);
    assert_int_equal(send(fd, hello + 20, len - 20, MSG_NOSIGNAL), len - 20);
    for (unsigned i = 0; i < 30000 && m == NULL; i++) {
        m = worker_receive(r->api.worker);
        if (m == NULL) nanosleep(&ms, NULL);
    }
    assert_non_null(m);
    assert_int_equal(m->kind, WORKER_HANDOFF);
    assert_string_equal(m->alpn, "parley-sync/1");
    assert_int_equal(m->seen_len, len);
    assert_memory_equal(m->seen, hello, len);
    assert_int_equal(m->from.family, ADDR_IP4);
    assert_int_equal(send(m->fd, "mine", 4, MSG_NOSIGNAL), 4);
    assert_int_equal(recv(fd, answer, sizeof answer, 0), 4);
    assert_string_equal(answer, "mine");
    close(m->fd);
    free(m);
    close(fd);
}

static void test_server_of_another_mesh_is_not_trusted(void **state)
{
    struct support_rig *r = *state;
    struct support_mesh other;
    struct support_node impostor;
    char text[1024];
    support_mesh_init(&other);
    snprintf(text, sizeof text,
             "[node]\nname = \"h9\"\nmesh = \"shop\"\naddr = \"@24\"\nport = %u\n"
             "[service.api]\nlocal = \"@24:%u\"\nallow = [\"web\"]\n",
             SUPPORT_RIG_PORT, SUPPORT_RIG_PORT + 10);
    support_node_init(&impostor, &other, 9, text);
    support_node_publish(&impostor);
    r->web.endpoint[0].addr = impostor.config->node.addr;
    support_node_publish(&r->web);
    support_rig_get(r, "/plain", "");
    assert_non_null(strstr(r->buf, "HTTP/1.1 503 "));
    assert_non_null(strstr(r->buf, "parley-reason: peer_ca_unknown\r\n"));
    r->web.endpoint[0].addr = r->api.config->node.addr;
    support_node_publish(&r->web);
    support_node_fini(&impostor);
    support_mesh_fini(&other);
    support_rig_marker(r);
}

static void test_silence_ends_with_the_limit_that_was_passed(void **state)
{
    struct support_rig *r = *state;
    struct addr deaf;
    support_rig_web(r, "request_timeout = \"200ms\"\n");
    support_rig_get(r, "/hang", "");
    assert_non_null(strstr(r->buf, "HTTP/1.1 504 "));
    assert_non_null(strstr(r->buf, "parley-reason: upstream_timeout\r\n"));
    support_exchange(r->api_addr, "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab",
                     r->buf, sizeof r->buf);
    assert_non_null(strstr(r->buf, "HTTP/1.1 408 "));
    assert_non_null(strstr(r->buf, "parley-reason: client_timeout\r\n"));
    /* A port that accepts and says nothing. */
    char text[ADDR_TEXT_MAX];
    support_expand("@25:17400", text, sizeof text);
    assert_int_equal(addr_parse(span_str(text), 0, &deaf), ERR_OK);
    struct support_app *app = support_app_start("@25:17400", support_rig_deaf, NULL);
    r->web.endpoint[0].addr = deaf;
    support_rig_web(r, "connect_timeout = \"150ms\"\n");
    support_rig_get(r, "/plain", "");
    assert_non_null(strstr(r->buf, "HTTP/1.1 504 "));
    assert_non_null(strstr(r->buf, "parley-reason: conn_timeout\r\n"));
    r->web.endpoint[0].addr = r->api.config->node.addr;
    support_rig_web(r, "");
    support_rig_marker(r);
    support_app_stop(app);
}

static void test_host_that_falls_silent_is_given_up(void **state)
{
    struct support_rig *r = *state;
    struct worker_message *m;
    struct timeval patient = {.tv_sec = 60};
    struct addr mute;
    char text[ADDR_TEXT_MAX];
    bool told = false;
    support_expand("@26:17400", text, sizeof text);
    assert_int_equal(addr_parse(span_str(text), 0, &mute), ERR_OK);
    struct support_app *app = support_app_start(text, support_peer_mute, &r->mesh);
    r->web.endpoint[0].addr = mute;
    support_rig_web(r, "request_timeout = \"60s\"\n"); /* it is not that */
    int fd = support_dial(r->api_addr);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patient, sizeof patient);
    support_send(fd, "GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    support_read(fd, r->buf, sizeof r->buf, NULL, NULL);
    close(fd);
    assert_non_null(strstr(r->buf, "HTTP/1.1 502 "));
    assert_non_null(strstr(r->buf, "parley-reason: upstream_reset\r\n"));
    while ((m = worker_receive(r->web.worker)) != NULL) {
        told |= m->kind == WORKER_DEAD_LINK && addr_eq(&m->peer, &mute);
        free(m);
    }
    assert_true(told);
    r->web.endpoint[0].addr = r->api.config->node.addr;
    support_rig_web(r, "");
    support_rig_marker(r);
    support_app_stop(app);
}

/* No stream can be opened there: its callers end by their own limit, the link by its silence. */
static void test_host_that_never_says_hello_is_given_up(void **state)
{
    support_rig_given_up(*state, "@27:17400", support_peer_mute_link, "connect_timeout = \"1s\"\n",
                         "conn_timeout");
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* gossip.md 3.2 item 7: what the failure detector may count as an answer to its probe. */
static void test_an_answer_of_a_host_is_noted_for_the_control_thread(void **state)
{
    struct support_rig *r = *state;
    struct addr other = r->api.config->node.addr;
    const struct addr *api = &r->api.config->node.addr;
    other.port++;
    support_rig_marker(r);
    uint64_t after = now_ms();
    assert_true(worker_heard_since(r->web.worker, api, after - 5000, after));
    assert_false(worker_heard_since(r->web.worker, &other, after - 5000, after));
    assert_false(worker_heard_since(r->web.worker, api, after + 1000, after + 1000));
}

/* An idle worker's loop turns for the watchdog, and for nothing else. */
static void test_a_nudge_makes_an_idle_worker_turn(void **state)
{
    struct support_rig *r = *state;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t before = worker_ticks(r->web.worker);
        worker_nudge(r->web.worker);
        while (worker_ticks(r->web.worker) == before)
            (void)sched_yield();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_are_judged_like_requests),
        cmocka_unit_test(test_fields_that_break_http1_never_reach_it),
        cmocka_unit_test(test_head_over_the_limit_is_431_and_the_link_lives),
        cmocka_unit_test(test_rejected_request_that_never_ends_is_ended),
        cmocka_unit_test(test_request_to_a_tcp_service_is_refused),
        cmocka_unit_test(test_answers_carry_the_load_of_the_application),
        cmocka_unit_test(test_caller_is_the_certificate_and_no_header),
        cmocka_unit_test(test_unknown_names_and_strangers_get_no_link),
        cmocka_unit_test(test_other_protocols_go_to_the_control_thread_untouched),
        cmocka_unit_test(test_an_answer_of_a_host_is_noted_for_the_control_thread),
        cmocka_unit_test(test_a_nudge_makes_an_idle_worker_turn),
        cmocka_unit_test(test_server_of_another_mesh_is_not_trusted),
        cmocka_unit_test(test_host_that_falls_silent_is_given_up),
        cmocka_unit_test(test_host_that_never_says_hello_is_given_up),
        cmocka_unit_test(test_silence_ends_with_the_limit_that_was_passed),
    };
    return cmocka_run_group_tests(tests, support_rig_setup, support_rig_teardown);
}
