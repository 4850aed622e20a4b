#include "tests/unit/support_rig.h"

#include "core/io/sock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define OTHER "@23"

/* The rig and a second host, h3, that serves api too. */
struct pair {
    struct support_rig *rig;
    struct support_node other;
    struct support_app *other_app;
    bool other_runs;
};

static void other_start(struct pair *p)
{
    char text[1024];
    snprintf(text, sizeof text,
             "[node]\nname = \"h3\"\nmesh = \"shop\"\naddr = \"" OTHER "\"\nport = %u\n"
             "[service.api]\nlocal = \"" OTHER ":%u\"\nallow = [\"web\"]\n",
             SUPPORT_RIG_PORT, SUPPORT_RIG_PORT + 10);
    support_node_init(&p->other, &p->rig->mesh, 3, text);
    support_node_publish(&p->other);
    p->other_runs = true;
}

static int setup(void **state)
{
    struct pair *p = calloc(1, sizeof *p);
    p->rig = support_rig_new(SUPPORT_RIG_PORT, NULL);
    other_start(p);
    support_node_endpoint(&p->rig->web, "api", &p->other, PROTOCOL_HTTP);
    p->other_app = support_app_start("@23:17410", support_rig_http, p->rig);
    support_node_publish(&p->rig->web);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct pair *p = *state;
    support_rig_free(p->rig);
    if (p->other_runs) support_node_fini(&p->other);
    if (p->other_app != NULL) support_app_stop(p->other_app);
    free(p);
    return 0;
}

static void send_request(struct support_rig *r, const char *text)
{
    support_exchange(r->api_addr, text, r->buf, sizeof r->buf);
}

static const char post[] = "POST /length HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                           "Content-Length: 5\r\n\r\nhello";
static const char get[] = "GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

static void test_both_endpoints_are_used(void **state)
{
    struct pair *p = *state;
    bool h2 = false, h3 = false;
    support_rig_settle(p->rig);
    for (unsigned i = 0; i < 40; i++) {
        send_request(p->rig, get);
        assert_non_null(strstr(p->rig->buf, "HTTP/1.1 200 "));
        support_node_line(&p->rig->web, p->rig->line, sizeof p->rig->line);
        h2 |= strstr(p->rig->line, "\"endpoint\":\"h2\"") != NULL;
        h3 |= strstr(p->rig->line, "\"endpoint\":\"h3\"") != NULL;
    }
    assert_true(h2 && h3);
}

/* A client that keeps its connection is served by an endpoint that came after it. */
static void test_a_new_endpoint_is_reached_over_an_old_connection(void **state)
{
    struct pair *p = *state;
    struct support_rig *r = p->rig;
    static const char keep[] = "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";
    size_t last = r->web.endpoint_count - 1;
    unsigned there[2] = {0};
    r->web.endpoint[last].status = ENDPOINT_DOWN;
    support_node_publish(&r->web);
    support_rig_settle(r);
    int fd = support_dial(r->api_addr);
    for (unsigned i = 0; i < 80; i++) {
        if (i == 40) {
            r->web.endpoint[last].status = ENDPOINT_UP;
            support_node_publish(&r->web);
        }
        support_send(fd, keep);
        support_read(fd, r->buf, sizeof r->buf, "\r\n\r\nok", NULL);
        support_node_line(&r->web, r->line, sizeof r->line);
        there[i / 40] += strstr(r->line, "\"endpoint\":\"h3\"") != NULL;
    }
    close(fd);
    assert_int_equal(there[0], 0);
    assert_true(there[1] > 0);
}

static void test_refused_application_sends_any_method_elsewhere(void **state)
{
    struct pair *p = *state;
    unsigned twice = 0;
    support_app_stop(p->other_app);
    p->other_app = NULL;
    support_rig_settle(p->rig);
    for (unsigned i = 0; i < 20; i++) {
        send_request(p->rig, i % 2 == 0 ? get : post);
        assert_non_null(strstr(p->rig->buf, "HTTP/1.1 200 "));
        if (i % 2 == 1) assert_non_null(strstr(p->rig->buf, "0000000005"));
        support_node_line(&p->rig->web, p->rig->line, sizeof p->rig->line);
        assert_non_null(strstr(p->rig->line, "\"endpoint\":\"h2\""));
        twice += strstr(p->rig->line, "\"tries\":2") != NULL;
    }
    assert_true(twice > 0);
    p->other_app = support_app_start("@23:17410", support_rig_http, p->rig);
}

static void test_no_application_anywhere_says_why(void **state)
{
    struct pair *p = *state;
    struct support_rig *r = p->rig;
    support_app_stop(p->other_app);
    support_app_stop(r->api_app);
    p->other_app = r->api_app = NULL;
    send_request(r, post);
    assert_non_null(strstr(r->buf, "HTTP/1.1 503 Service Unavailable\r\n"));
    assert_non_null(strstr(r->buf, "parley-reason: conn_refused\r\n"));
    p->other_app = support_app_start("@23:17410", support_rig_http, r);
    r->api_app = support_app_start(r->api_local, support_rig_http, r);
    send_request(r, post);
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
}

/* Dials until a request hangs at the host that is to die. */
static int hang_at(struct pair *p, const char *method, struct support_node *victim)
{
    struct support_rig *r = p->rig;
    for (unsigned i = 0; i < 100; i++) {
        char text[200];
        unsigned before = atomic_load(&r->requests);
        int fd = support_dial(r->api_addr);
        snprintf(text, sizeof text,
                 "%s /hang HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                 method);
        support_send(fd, text);
        support_rig_await(r, before + 1);
        if (worker_in_flight(victim->worker) > 0) return fd;
        close(fd);
        support_node_quiet(&r->web);
        support_node_quiet(&r->api);
    }
    return -1;
}

static void test_get_whose_host_dies_is_replayed_once(void **state)
{
    struct pair *p = *state;
    struct support_rig *r = p->rig;
    int fd = hang_at(p, "GET", &p->other);
    assert_true(fd >= 0);
    unsigned before = atomic_load(&r->requests);
    support_node_fini(&p->other);
    p->other_runs = false;
    /* It hangs again, at the survivor now. */
    support_rig_await(r, before + 1);
    assert_true(worker_in_flight(r->api.worker) > 0);
    close(fd);
    /* Its line is the last of those that the search for the host has left. */
    do {
        support_node_line(&r->web, r->line, sizeof r->line);
        assert_true(r->line[0] != '\0');
    } while (strstr(r->line, "\"endpoint\":\"h2\",\"tries\":2") == NULL);
    other_start(p);
}

static void test_post_whose_host_dies_is_not_replayed(void **state)
{
    struct pair *p = *state;
    struct support_rig *r = p->rig;
    struct timespec ms = {.tv_nsec = 20000000};
    int fd = -1;
    for (unsigned i = 0; i < 1500 && fd < 0; i++) {
        /* The host may still be avoided after its death in the test before. */
        fd = hang_at(p, "POST", &p->other);
        if (fd < 0) nanosleep(&ms, NULL);
    }
    assert_true(fd >= 0);
    unsigned before = atomic_load(&r->requests);
    support_node_fini(&p->other);
    p->other_runs = false;
    support_read(fd, r->buf, sizeof r->buf, NULL, NULL);
    assert_non_null(strstr(r->buf, "HTTP/1.1 502 Bad Gateway\r\n"));
    assert_non_null(strstr(r->buf, "parley-reason: upstream_reset\r\n"));
    assert_int_equal(atomic_load(&r->requests), before);
    close(fd);
    other_start(p);
}

static void test_dead_host_is_avoided_and_told(void **state)
{
    struct pair *p = *state;
    struct support_rig *r = p->rig;
    struct worker_message *m;
    bool told = false;
    support_node_fini(&p->other);
    p->other_runs = false;
    for (unsigned i = 0; i < 40; i++) {
        send_request(r, i % 2 == 0 ? get : post);
        assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
    }
    while ((m = worker_receive(r->web.worker)) != NULL) {
        told |= m->kind == WORKER_DEAD_LINK && m->peer.ip[3] == 23;
        free(m);
    }
    assert_true(told);
    other_start(p);
}

static void test_snapshots_under_load_fail_nothing(void **state)
{
    struct pair *p = *state;
    struct support_rig *r = p->rig;
    static const char keep[] = "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";
    int fd = support_dial(r->api_addr);
    for (unsigned i = 0; i < 100; i++) {
        support_send(fd, keep);
        support_node_publish(i % 2 == 0 ? &r->web : &r->api);
        support_read(fd, r->buf, sizeof r->buf, "\r\n\r\nok", NULL);
        assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
    }
    close(fd);
    support_node_quiet(&r->web);
    support_node_publish(&r->web);
    assert_int_equal(r->web.snapshots, 1);
}

static void test_replaced_identity_moves_to_new_links(void **state)
{
    struct pair *p = *state;
    struct support_rig *r = p->rig;
    send_request(r, get);
    uint64_t links = metrics_count_get(r->web.metrics, METRICS_LINKS_OPENED);
    for (size_t i = 0; i < r->web.identity_count; i++) {
        const struct spiffe_id *id = identity_spiffe(r->web.identity[i]);
        struct identity *fresh = support_mesh_identity(&r->mesh, id->kind, id->name.text);
        identity_unref(r->web.identity[i]);
        r->web.identity[i] = fresh;
    }
    support_node_publish(&r->web);
    for (unsigned i = 0; i < 10; i++) {
        send_request(r, post);
        assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
    }
    assert_true(metrics_count_get(r->web.metrics, METRICS_LINKS_OPENED) > links);
}

static void test_draining_cuts_nothing_and_says_close(void **state)
{
    struct pair *p = *state;
    struct support_rig *r = p->rig;
    static const char keep[] = "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";
    int fd = support_dial(r->api_addr), big = support_dial(r->api_addr);
    support_send(fd, keep);
    support_read(fd, r->buf, sizeof r->buf, "\r\n\r\nok", NULL);
    support_send(big, "GET /big?30000000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    support_read(big, r->buf, sizeof r->buf, "\r\n\r\n", NULL);
    r->web.draining = r->api.draining = p->other.draining = true;
    support_node_publish(&r->api);
    support_node_publish(&p->other);
    support_node_publish(&r->web);
    for (unsigned i = 0; i < 20; i++) {
        send_request(r, i % 2 == 0 ? get : post);
        assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
    }
    support_send(fd, keep);
    support_read(fd, r->buf, sizeof r->buf, NULL, NULL);
    assert_non_null(strstr(r->buf, "connection: close\r\n"));
    size_t total = 0;
    for (bool ended = false; !ended;)
        total += support_read(big, r->buf, sizeof r->buf, NULL, &ended);
    assert_int_equal(total, 30000000);
    close(fd);
    close(big);
    r->web.draining = r->api.draining = p->other.draining = false;
    support_node_publish(&r->api);
    support_node_publish(&p->other);
    support_node_publish(&r->web);
}

static void test_many_streams_open_another_link(void **state)
{
    struct pair *p = *state;
    struct support_rig *r = p->rig;
    enum { CLIENTS = 240 };
    int fd[CLIENTS];
    uint64_t links = metrics_count_get(r->web.metrics, METRICS_LINKS_OPENED);
    unsigned before = atomic_load(&r->requests);
    for (unsigned i = 0; i < CLIENTS; i++) {
        fd[i] = support_dial(r->api_addr);
        support_send(fd[i], "GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    support_rig_await(r, before + CLIENTS);
    assert_true(metrics_count_get(r->web.metrics, METRICS_LINKS_OPENED) > links);
    for (unsigned i = 0; i < CLIENTS; i++)
        close(fd[i]);
    support_node_quiet(&r->web);
    support_node_quiet(&r->api);
}

/* Circuits that other tests have opened are closed: an endpoint that comes up is as new. */
static void clean_sheet(struct support_rig *r)
{
    static const enum endpoint_status life[] = {ENDPOINT_DOWN, ENDPOINT_UP};
    for (size_t s = 0; s < ARRAY_LEN(life); s++) {
        for (size_t i = 0; i < r->web.endpoint_count; i++)
            r->web.endpoint[i].status = life[s];
        support_node_publish(&r->web);
    }
}

/* Good requests bring what a caller may repeat later, whatever other tests have left it to pay. */
static void earn_retries(struct support_rig *r)
{
    for (unsigned i = 0; i < 150; i++) {
        send_request(r, get);
        assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
    }
}

/* The application of every endpoint answers 503: the client gets its answer, few requests are made
 * twice, and both circuits open. */
static void test_503_everywhere_is_passed_on_and_makes_no_storm(void **state)
{
    struct pair *p = *state;
    struct support_rig *r = p->rig;
    struct worker_message *m;
    unsigned opened = 0, extra = 0;
    static const char busy[] = "GET /503 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    support_rig_web(r, "retry = { on = [\"connect\", \"503\"] }\neject = { after = 3 }\n");
    clean_sheet(r);
    while ((m = worker_receive(r->web.worker)) != NULL)
        free(m);
    support_rig_settle(r);
    unsigned before = atomic_load(&r->requests);
    for (unsigned i = 0; i < 100; i++) {
        send_request(r, busy);
        assert_non_null(strstr(r->buf, "HTTP/1.1 503 "));
        assert_non_null(strstr(r->buf, "busy"));
        support_node_line(&r->web, r->line, sizeof r->line);
        const char *tries = strstr(r->line, "\"tries\":");
        assert_non_null(tries);
        extra += (unsigned)strtoul(tries + 8, NULL, 10) - 1;
    }
    unsigned asked = atomic_load(&r->requests) - before;
    assert_int_equal(asked, 100 + extra);
    assert_in_range(extra, 0, 20);
    while ((m = worker_receive(r->web.worker)) != NULL) {
        opened += m->kind == WORKER_CIRCUIT && m->open && m->cause == CIRCUIT_CONSECUTIVE;
        free(m);
    }
    assert_int_equal(opened, 2);
    /* A POST is never repeated, and the first success closes a circuit that is held. */
    send_request(r, post);
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
    support_rig_web(r, "");
    for (unsigned i = 0; i < 20; i++) {
        send_request(r, get);
        assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
    }
}

/* One of two endpoints answers 503: the client never sees it. */
static void test_503_of_one_endpoint_is_had_elsewhere(void **state)
{
    struct pair *p = *state;
    struct support_rig *r = p->rig;
    unsigned twice = 0;
    support_rig_web(r, "retry = { on = [\"503\"], backoff = \"1ms..2ms\" }\n");
    clean_sheet(r);
    earn_retries(r);
    support_app_stop(p->other_app);
    p->other_app = support_app_start("@23:17410", support_rig_sick, r);
    support_rig_settle(r);
    for (unsigned i = 0; i < 20; i++) {
        send_request(r, get);
        assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
        support_node_line(&r->web, r->line, sizeof r->line);
        twice += strstr(r->line, "\"tries\":2") != NULL;
    }
    assert_in_range(twice, 1, 8);
    support_app_stop(p->other_app);
    p->other_app = support_app_start("@23:17410", support_rig_http, r);
    support_rig_web(r, "");
    clean_sheet(r);
}

/* An answer whose head is its end is as bad as any, and leaves nothing behind in the next one. */
static void serve_empty_503(int fd, void *arg)
{
    char head[4096];
    bool ended = false;
    (void)arg;
    while (support_read(fd, head, sizeof head, "\r\n\r\n", &ended) > 0 && !ended)
        support_send(fd, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
}

static void test_503_without_a_body_is_had_elsewhere(void **state)
{
    struct pair *p = *state;
    struct support_rig *r = p->rig;
    unsigned twice = 0;
    support_rig_web(r, "retry = { on = [\"503\"], backoff = \"1ms..2ms\" }\n");
    clean_sheet(r);
    earn_retries(r);
    support_app_stop(p->other_app);
    p->other_app = support_app_start("@23:17410", serve_empty_503, r);
    support_rig_settle(r);
    for (unsigned i = 0; i < 20; i++) {
        send_request(r, get);
        assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
        assert_non_null(strstr(r->buf, "\r\n\r\nok"));
        support_node_line(&r->web, r->line, sizeof r->line);
        twice += strstr(r->line, "\"tries\":2") != NULL;
    }
    assert_in_range(twice, 1, 8);
    support_app_stop(p->other_app);
    p->other_app = support_app_start("@23:17410", support_rig_http, r);
    support_rig_web(r, "");
    clean_sheet(r);
}

/* --- a client that speaks HTTP/2 --- */

static const char h2_post[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                              "\0\0\0\x4\0\0\0\0\0"    /* SETTINGS */
                              "\0\0\xe\x1\x4\0\0\0\x1" /* HEADERS, END_HEADERS */
                              "\x83\x86\x4\x7/length\x1\x1"
                              "a"                           /* POST, http, :path, :authority */
                              "\0\0\x5\0\x1\0\0\0\x1hello"; /* DATA, END_STREAM */

/* The same over one HTTP/2 connection that is never made anew, as gRPC callers hold theirs: its
 * streams are balanced one by one, so the first snapshot that names the newcomer brings it some. */
static void test_a_new_endpoint_is_reached_over_an_old_http2_connection(void **state)
{
    struct pair *p = *state;
    struct support_rig *r = p->rig;
    static const char begin[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x4\0\0\0\0\0";
    char get_stream[] = "\0\0\xd\x1\x5\0\0\0\x1" /* HEADERS, END_HEADERS, END_STREAM */
                        "\x82\x86\x4\x6/plain\x1\x1"
                        "a"; /* GET, http, :path, :authority: literals, the same each time */
    size_t last = r->web.endpoint_count - 1;
    unsigned there[2] = {0};
    clean_sheet(r);
    r->web.endpoint[last].status = ENDPOINT_DOWN;
    support_node_publish(&r->web);
    support_rig_settle(r);
    int fd = support_dial(r->api_addr);
    assert_int_equal(send(fd, begin, sizeof begin - 1, MSG_NOSIGNAL), sizeof begin - 1);
    for (unsigned i = 0; i < 80; i++) {
        if (i == 40) {
            r->web.endpoint[last].status = ENDPOINT_UP;
            support_node_publish(&r->web);
        }
        get_stream[7] = (char)((2 * i + 1) >> 8);
        get_stream[8] = (char)((2 * i + 1) & 0xff);
        size_t len = sizeof get_stream - 1;
        assert_int_equal(send(fd, get_stream, len, MSG_NOSIGNAL), len);
        support_node_line(&r->web, r->line, sizeof r->line);
        assert_non_null(strstr(r->line, "\"code\":200"));
        there[i / 40] += strstr(r->line, "\"endpoint\":\"h3\"") != NULL;
    }
    close(fd);
    assert_int_equal(there[0], 0);
    assert_true(there[1] > 0);
}

/* Reads until the application's count of the request's bytes is there. */
static bool counts_five(int fd)
{
    static const char wanted[] = "0000000005";
    char bytes[4096];
    size_t len = 0;
    while (len < sizeof bytes) {
        ssize_t n = recv(fd, bytes + len, sizeof bytes - len, 0);
        if (n <= 0) return false;
        len += (size_t)n;
        for (size_t at = 0; at + sizeof wanted - 1 <= len; at++)
            if (memcmp(bytes + at, wanted, sizeof wanted - 1) == 0) return true;
    }
    return false;
}

/* A body that one endpoint took and another takes again opens the client's window once. */
static void test_refused_body_of_an_http2_client_goes_elsewhere(void **state)
{
    struct pair *p = *state;
    struct support_rig *r = p->rig;
    unsigned twice = 0;
    support_app_stop(p->other_app);
    p->other_app = NULL;
    clean_sheet(r);
    support_rig_settle(r);
    for (unsigned i = 0; i < 20; i++) {
        int fd = support_dial(r->api_addr);
        assert_int_equal(send(fd, h2_post, sizeof h2_post - 1, MSG_NOSIGNAL), sizeof h2_post - 1);
        assert_true(counts_five(fd));
        support_node_line(&r->web, r->line, sizeof r->line);
        twice += strstr(r->line, "\"tries\":2") != NULL;
        close(fd);
    }
    assert_true(twice > 0);
    p->other_app = support_app_start("@23:17410", support_rig_http, r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_endpoints_are_used),
        cmocka_unit_test(test_a_new_endpoint_is_reached_over_an_old_connection),
        cmocka_unit_test(test_refused_application_sends_any_method_elsewhere),
        cmocka_unit_test(test_no_application_anywhere_says_why),
        cmocka_unit_test(test_snapshots_under_load_fail_nothing),
        cmocka_unit_test(test_replaced_identity_moves_to_new_links),
        cmocka_unit_test(test_draining_cuts_nothing_and_says_close),
        cmocka_unit_test(test_many_streams_open_another_link),
        cmocka_unit_test(test_503_everywhere_is_passed_on_and_makes_no_storm),
        cmocka_unit_test(test_503_of_one_endpoint_is_had_elsewhere),
        cmocka_unit_test(test_503_without_a_body_is_had_elsewhere),
        cmocka_unit_test(test_a_new_endpoint_is_reached_over_an_old_http2_connection),
        cmocka_unit_test(test_refused_body_of_an_http2_client_goes_elsewhere),
        cmocka_unit_test(test_get_whose_host_dies_is_replayed_once),
        cmocka_unit_test(test_post_whose_host_dies_is_not_replayed),
        cmocka_unit_test(test_dead_host_is_avoided_and_told),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
