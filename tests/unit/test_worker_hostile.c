#include "tests/unit/support_peer.h"
#include "tests/unit/support_rig.h"

#include "core/base/check.h"
#include "core/io/sock.h"

#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PORT       17520u
#define CACHE      "@21:17524" /* a TCP service on the caller's own host */
#define CACHE_APP  "@21:17533"
#define MESH       "@22:17520"
#define NOWHERE    "@21:17525" /* an upstream without endpoints */
#define TAIL_BYTES 300000u

static void web_config(struct support_rig *r, unsigned port)
{
    char text[2048];
    snprintf(text, sizeof text,
             "[node]\nname = \"h1\"\nmesh = \"shop\"\naddr = \"@21\"\nport = %u\n"
             "[service.web]\nlocal = \"@21:%u\"\n"
             "[service.log]\nlocal = \"@21:%u\"\nallow = [\"web\"]\n"
             "[service.cache]\nlocal = \"" CACHE_APP "\"\nprotocol = \"tcp\"\nallow = [\"web\"]\n"
             "[upstream.api]\nlisten = \"@21:%u\"\nas = \"web\"\n"
             "[upstream.db]\nlisten = \"@21:%u\"\nas = \"web\"\nprotocol = \"tcp\"\n"
             "[upstream.log]\nlisten = \"@21:%u\"\nas = \"web\"\n"
             "[upstream.cache]\nlisten = \"" CACHE "\"\nas = \"web\"\nprotocol = \"tcp\"\n"
             "[upstream.nowhere]\nlisten = \"" NOWHERE "\"\nas = \"web\"\n",
             port, port + 19, port + 12, port + 1, port + 2, port + 3);
    support_node_config(&r->web, text);
    support_node_publish(&r->web);
}

static int setup(void **state)
{
    struct support_rig *r = support_rig_new(PORT, NULL);
    support_node_endpoint(&r->web, "cache", &r->web, PROTOCOL_TCP);
    web_config(r, PORT);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    support_rig_free(*state);
    return 0;
}

static void nap(unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

static void reset(int fd)
{
    struct linger now = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

/* --- answers that one side cannot take --- */

/* As many fields as a head may have: ours find no room. */
static void serve_full_head(int fd, void *arg)
{
    static const char end[] = "\r\nbody";
    char head[8192];
    size_t len = (size_t)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\n");
    bool ended;
    support_read(fd, head + 4096, 4096, "\r\n\r\n", &ended);
    for (unsigned i = 0; i < HEADER_FIELDS_MAX; i++)
        len += (size_t)snprintf(head + len, 32, "X-%u: 1\r\n", i);
    memcpy(head + len, end, sizeof end);
    if (!ended) support_send(fd, head);
    (void)arg;
}

static void test_answer_that_the_caller_cannot_take_ends_both_sides(void **state)
{
    struct support_rig *r = *state;
    support_app_stop(r->log_app);
    r->log_app = support_app_start(r->log_local, serve_full_head, r);
    support_exchange(r->log_addr, "GET / HTTP/1.1\r\nHost: log\r\nConnection: close\r\n\r\n",
                     r->buf, sizeof r->buf);
    assert_non_null(strstr(r->buf, "HTTP/1.1 502 "));
    assert_non_null(strstr(r->buf, "parley-reason: protocol_error\r\n"));
    support_node_quiet(&r->web);
    support_app_stop(r->log_app);
    r->log_app = support_app_start(r->log_local, support_rig_http, r);
}

static void test_call_within_the_host_that_went_well_has_no_reason(void **state)
{
    struct support_rig *r = *state;
    support_rig_settle(r);
    support_exchange(r->log_addr, "GET /plain HTTP/1.1\r\nHost: log\r\nConnection: close\r\n\r\n",
                     r->buf, sizeof r->buf);
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 OK\r\n"));
    for (unsigned i = 0; i < 2; i++) {
        support_node_line(&r->web, r->line, sizeof r->line);
        assert_non_null(strstr(r->line, "\"code\":200"));
        assert_null(strstr(r->line, "\"reason\""));
    }
}

/* --- refusals in a row --- */

/* A client with next to no room for answers. */
static int dial_narrow(const char *text)
{
    struct addr a;
    struct sockaddr_storage sys;
    struct timeval limit = {.tv_sec = 30};
    char full[ADDR_TEXT_MAX];
    int fd = socket(AF_INET, SOCK_STREAM, 0), small = 4096;
    support_expand(text, full, sizeof full);
    assert_int_equal(addr_parse(span_str(full), 0, &a), ERR_OK);
    socklen_t len = sock_to_sys(&a, &sys);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&sys, len), 0);
    return fd;
}

static void test_pipelined_refusals_wait_for_their_reader(void **state)
{
    struct support_rig *r = *state;
    enum { COUNT = 40000 };
    static const char one[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    static const char mark[] = "\"reason\":\"no_endpoint\"";
    size_t len = COUNT * (sizeof one - 1), sent = 0, kept = 0;
    unsigned answers = 0;
    char *text = malloc(len);
    int fd = dial_narrow(NOWHERE);
    for (size_t i = 0; i < COUNT; i++)
        memcpy(text + i * (sizeof one - 1), one, sizeof one - 1);
    /* Nothing is read for a while: the answers must wait, or the requests. */
    for (unsigned i = 0; i < 100 && sent < len; i++) {
        ssize_t n = send(fd, text + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        nap(3);
    }
    while (answers < COUNT) {
        if (sent < len) {
            ssize_t n = send(fd, text + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n > 0) sent += (size_t)n;
        }
        ssize_t n = recv(fd, r->buf + kept, sizeof r->buf - kept - 1, 0);
        assert_true(n > 0);
        r->buf[kept + (size_t)n] = '\0';
        const char *at = r->buf, *next;
        while ((next = strstr(at, mark)) != NULL) {
            answers++;
            at = next + sizeof mark - 1;
        }
        kept = strlen(at);
        memmove(r->buf, at, kept + 1);
    }
    free(text);
    close(fd);
    support_node_quiet(&r->web);
}

static size_t peak_kib(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (size_t)use.ru_maxrss;
}

static void test_many_pipelines_take_little_memory(void **state)
{
    enum { CLIENTS = 60, COUNT = 2400 };
    struct support_rig *r = *state;
    static const char one[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    static char text[COUNT * (sizeof one - 1) + 1];
    int fd[CLIENTS];
    for (size_t i = 0; i < COUNT; i++)
        memcpy(text + i * (sizeof one - 1), one, sizeof one - 1);
    for (size_t i = 0; i < CLIENTS; i++)
        fd[i] = support_dial(NOWHERE);
    size_t before = peak_kib();
    for (size_t i = 0; i < CLIENTS; i++)
        (void)!send(fd[i], text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    for (size_t i = 0; i < CLIENTS; i++)
        support_read(fd[i], r->buf, sizeof r->buf, "no_endpoint", NULL);
    support_node_quiet(&r->web);
#if defined(__SANITIZE_ADDRESS__) ||                                                               \
    defined(__SANITIZE_THREAD__) /* they keep memory of their own */
    size_t grown_max = SIZE_MAX;
#else
    size_t grown_max = 40000;
#endif
    assert_true(peak_kib() - before < grown_max);
    for (size_t i = 0; i < CLIENTS; i++)
        close(fd[i]);
}

/* --- limits of a link --- */

static void serve_ok(int fd, void *arg)
{
    static char head[1 << 17];
    (void)arg;
    if (support_read(fd, head, sizeof head, "\r\n\r\n", NULL) > 0)
        support_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

static void test_the_largest_head_crosses_a_link(void **state)
{
    struct support_rig *r = *state;
    static char text[HEADER_BYTES_MAX + 1];
    size_t len =
        (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
    for (unsigned i = 0; i < 120; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "x-%03u: %0530u\r\n", i, i);
    snprintf(text + len, sizeof text - len, "\r\n");
    support_app_stop(r->api_app);
    r->api_app = support_app_start(r->api_local, serve_ok, r);
    support_exchange(r->api_addr, text, r->buf, sizeof r->buf);
    support_app_stop(r->api_app);
    r->api_app = support_app_start(r->api_local, support_rig_http, r);
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
}

static void test_full_links_are_an_answer_and_no_more_links(void **state)
{
    struct support_rig *r = *state;
    enum { CLIENTS = 4 * LINK_STREAMS_MAX + 50 };
    struct rlimit limit;
    struct addr a;
    char full[ADDR_TEXT_MAX];
    struct pollfd fd[CLIENTS];
    int app;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < 6000) skip();
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    uint64_t links = metrics_count_get(r->web.metrics, METRICS_LINKS_OPENED);
    /* Its connections are made and never accepted. */
    support_app_stop(r->api_app);
    assert_int_equal(addr_parse(span_str(support_expand(r->api_local, full, sizeof full)), 0, &a),
                     ERR_OK);
    assert_int_equal(sock_listen(&a, 0, &app), ERR_OK);
    for (unsigned i = 0; i < CLIENTS; i++) {
        fd[i] = (struct pollfd){.fd = support_dial(r->api_addr), .events = POLLIN};
        support_send(fd[i].fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    /* Whoever came too late. */
    assert_true(poll(fd, CLIENTS, 30000) > 0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (fd[i].revents != 0) support_read(fd[i].fd, r->buf, sizeof r->buf, "\r\n\r\n", NULL);
        reset(fd[i].fd);
    }
    close(app);
    support_node_quiet(&r->web);
    support_node_quiet(&r->api);
    r->api_app = support_app_start(r->api_local, support_rig_http, r);
    assert_non_null(strstr(r->buf, "parley-reason: pool_full\r\n"));
    assert_true(metrics_count_get(r->web.metrics, METRICS_LINKS_OPENED) - links <= 4);
    support_rig_marker(r);
}

static const struct mux_head plain = {.method = {"GET", 3},
                                      .scheme = {"http", 4},
                                      .authority = {"a", 1},
                                      .path = {"/echo", 5},
                                      .content_length = -1};

static void test_link_made_while_draining_is_told_to_go(void **state)
{
    struct support_rig *r = *state;
    struct support_peer p;
    r->api.draining = true;
    support_node_publish(&r->api);
    assert_true(support_peer_open(&p, &r->mesh, "web", MESH, "api.shop", "h2"));
    for (unsigned i = 0; i < 1500 && !p.goaway; i++) {
        support_peer_request(&p, &plain, NULL);
        assert_int_equal(p.status, 200);
        nap(20);
    }
    assert_true(p.goaway);
    support_peer_close(&p);
    r->api.draining = false;
    support_node_publish(&r->api);
    support_rig_marker(r);
}

static void test_framing_fields_in_disguise_stay_behind(void **state)
{
    struct support_rig *r = *state;
    struct support_peer p;
    struct headers h = {.count = 0};
    struct mux_head head = plain;
    head.headers = &h;
    assert_int_equal(headers_add(&h, SPAN_LIT("transfer_encoding"), SPAN_LIT("chunked")), ERR_OK);
    assert_int_equal(headers_add(&h, SPAN_LIT("content_length"), SPAN_LIT("3")), ERR_OK);
    assert_true(support_peer_open(&p, &r->mesh, "web", MESH, "api.shop", "h2"));
    support_peer_request(&p, &head, NULL);
    assert_int_equal(p.status, 200);
    assert_null(strstr(p.body, "_encoding"));
    assert_null(strstr(p.body, "_length"));
    support_peer_close(&p);
}

static void test_upgrade_that_nobody_answers_is_the_upstreams_timeout(void **state)
{
    struct support_rig *r = *state;
    char text[1024];
    snprintf(text, sizeof text,
             "[node]\nname = \"h1\"\nmesh = \"shop\"\naddr = \"@21\"\nport = %u\n"
             "[service.web]\nlocal = \"@21:%u\"\n"
             "[upstream.api]\nlisten = \"@21:%u\"\nas = \"web\"\nrequest_timeout = \"200ms\"\n",
             PORT, PORT + 19, PORT + 1);
    support_node_config(&r->web, text);
    support_node_publish(&r->web);
    int fd = support_dial(r->api_addr);
    support_send(fd, "GET /hang HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
                     "Upgrade: websocket\r\n\r\n");
    support_read(fd, r->buf, sizeof r->buf, "\r\n\r\n", NULL);
    close(fd);
    web_config(r, PORT);
    assert_non_null(strstr(r->buf, "HTTP/1.1 504 "));
    assert_non_null(strstr(r->buf, "parley-reason: upstream_timeout\r\n"));
}

/* --- TCP sessions whose server ends first --- */

struct sink {
    _Atomic size_t bytes;
    _Atomic int end;   /* 1: clean, -1: reset */
    _Atomic bool hold; /* reads nothing while it is set */
};

static void serve_sink(int fd, void *arg)
{
    struct sink *sink = arg;
    char bytes[16384];
    ssize_t n;
    support_send(fd, "bye\n");
    shutdown(fd, SHUT_WR);
    for (unsigned i = 0; i < 30000 && atomic_load(&sink->hold); i++)
        nap(1);
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
        atomic_fetch_add(&sink->bytes, (size_t)n);
    atomic_store(&sink->end, n == 0 ? 1 : -1);
}

/* The client goes on for a while after the server has ended, then ends too. */
static void send_tail(struct support_rig *r, const char *addr, size_t bytes)
{
    static char block[10000];
    bool ended;
    int fd = support_dial(addr);
    support_read(fd, r->buf, sizeof r->buf, NULL, &ended);
    assert_string_equal(r->buf, "bye\n");
    assert_true(ended);
    memset(block, 'z', sizeof block - 1);
    for (size_t sent = 0; sent < bytes; sent += sizeof block - 1)
        support_send(fd, block);
    nap(20);
    shutdown(fd, SHUT_WR);
    close(fd);
}

static void check_tail(struct support_rig *r, const char *addr, struct sink *sink)
{
    for (unsigned i = 0; i < 20; i++) {
        atomic_store(&sink->bytes, 0);
        atomic_store(&sink->end, 0);
        atomic_store(&sink->hold, i % 2 == 0);
        send_tail(r, addr, i < 10 ? 1 : TAIL_BYTES);
        nap(5);
        atomic_store(&sink->hold, false);
        for (unsigned ms = 0; ms < 30000 && atomic_load(&sink->end) == 0; ms++)
            nap(1);
        assert_int_equal(atomic_load(&sink->end), 1);
        assert_true(atomic_load(&sink->bytes) >= (i < 10 ? 1 : TAIL_BYTES));
        support_node_quiet(&r->web);
        support_node_quiet(&r->api);
    }
}

static void test_what_a_client_sends_after_the_servers_end_arrives(void **state)
{
    struct support_rig *r = *state;
    struct sink sink = {.bytes = 0};
    support_app_stop(r->db_app);
    r->db_app = support_app_start(r->db_local, serve_sink, &sink);
    check_tail(r, r->db_addr, &sink);
    support_app_stop(r->db_app);
    r->db_app = support_app_start(r->db_local, support_rig_tcp, r);
}

static void test_what_a_client_sends_after_the_end_arrives_within_the_host(void **state)
{
    struct support_rig *r = *state;
    struct sink sink = {.bytes = 0};
    struct support_app *app = support_app_start(CACHE_APP, serve_sink, &sink);
    check_tail(r, CACHE, &sink);
    support_app_stop(app);
}

static void test_worker_ends_while_an_application_still_has_to_read(void **state)
{
    struct support_rig *r = support_rig_new(PORT + 40, NULL);
    struct sink sink = {.hold = true};
    (void)state;
    support_app_stop(r->db_app);
    r->db_app = support_app_start(r->db_local, serve_sink, &sink);
    send_tail(r, r->db_addr, 10 * TAIL_BYTES);
    nap(100);
    support_node_fini(&r->api);
    support_node_fini(&r->web);
    atomic_store(&sink.hold, false);
    support_app_stop(r->api_app);
    support_app_stop(r->db_app);
    support_app_stop(r->log_app);
    support_mesh_fini(&r->mesh);
    free(r);
}

/* --- policy and tunnels --- */

static void test_websocket_ends_when_the_policy_no_longer_allows_it(void **state)
{
    struct support_rig *r = *state;
    support_rig_settle(r);
    int fd = support_dial(r->api_addr);
    support_send(fd, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                     "Upgrade: websocket\r\n\r\n");
    support_read(fd, r->buf, sizeof r->buf, "\r\n\r\n", NULL);
    assert_non_null(strstr(r->buf, "HTTP/1.1 101 "));
    support_rig_rules(r, PORT, "allow = [\"web\", \"other\"]");
    support_send(fd, "still");
    support_read(fd, r->buf, sizeof r->buf, "still", NULL);
    assert_string_equal(r->buf, "still");
    support_rig_rules(r, PORT, "allow = [\"other\"]");
    assert_true(recv(fd, r->buf, 1, 0) <= 0);
    close(fd);
    support_node_line(&r->api, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, "\"reason\":\"policy_changed\""));
    support_rig_rules(r, PORT, NULL);
    support_rig_marker(r);
}

/* --- nothing is left behind --- */

static size_t descriptors(void)
{
    size_t count = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d) != NULL)
        count++;
    closedir(d);
    return count;
}

/* Ours hold the descriptors of their connections until they stop. */
static void restart_apps(struct support_rig *r)
{
    support_app_stop(r->api_app);
    support_app_stop(r->db_app);
    support_app_stop(r->log_app);
    r->api_app = support_app_start(r->api_local, support_rig_http, r);
    r->db_app = support_app_start(r->db_local, support_rig_tcp, r);
    r->log_app = support_app_start(r->log_local, support_rig_http, r);
}

static void abuse(struct support_rig *r)
{
    static const char *const request[] = {
        "GET /hang HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /big?5000000 HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123",
        "POST /length HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12",
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nxyz",
        "GET /plain HTTP/1.1\r\nHost: a\r\n\r\nGET /hang HTTP/1.1\r\nHost: a\r\n\r\nGET",
        "GET /short HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /short-chunk HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /die HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123",
        "GET /many-interim HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /twice HTTP/1.1\r\nHost: a\r\n\r\n",
        "G",
        "",
        "\r\n\r\n\r\n",
    };
    const char *const to[] = {r->api_addr, r->log_addr, r->db_addr, CACHE, NOWHERE};
    int fd[ARRAY_LEN(request) * ARRAY_LEN(to)];
    for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
        fd[i] = support_dial(to[i % ARRAY_LEN(to)]);
        support_send(fd[i], request[i / ARRAY_LEN(to)]);
        /* Some leave before anything could have happened. */
        if (i % 3 != 0) continue;
        reset(fd[i]);
        fd[i] = -1;
    }
    nap(50);
    for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
        if (fd[i] < 0) continue;
        if (i % 2 == 0) shutdown(fd[i], SHUT_WR);
        if (i % 4 == 0) (void)!recv(fd[i], r->buf, 100, MSG_DONTWAIT);
        reset(fd[i]);
    }
}

static unsigned in_flight(const struct support_node *n)
{
    static char text[1 << 18];
    struct metrics_shard *shard = n->metrics;
    struct strbuf out;
    unsigned sum = 0;
    strbuf_init_fixed(&out, text, sizeof text - 1);
    metrics_render(&shard, 1, &out);
    assert_true(strbuf_ok(&out));
    text[strbuf_view(&out).len] = '\0';
    static const char gauge[] = "\nparley_requests_in_flight{";
    const char *at = text;
    assert_non_null(strstr(text, gauge));
    while ((at = strstr(at, gauge)) != NULL) {
        at = strchr(at, '}');
        sum += (unsigned)strtoul(at + 2, NULL, 10);
    }
    return sum;
}

static long cpu_us(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 + use.ru_utime.tv_usec +
           use.ru_stime.tv_usec;
}

static void test_nothing_is_left_of_a_mixed_load(void **state)
{
    struct support_rig *r = *state;
    size_t before = 0;
    for (unsigned times = 0; times < 10; times++) {
        struct support_app *app = support_app_start(CACHE_APP, support_rig_tcp, r);
        abuse(r);
        support_node_quiet(&r->web);
        support_node_quiet(&r->api);
        for (unsigned ms = 0; ms < 30000 && worker_sessions(r->web.worker) > 0; ms++)
            nap(1);
        assert_int_equal(worker_sessions(r->web.worker), 0);
        assert_int_equal(in_flight(&r->web), 0);
        assert_int_equal(in_flight(&r->api), 0);
        support_app_stop(app);
        restart_apps(r);
        if (times == 0) before = descriptors();
    }
    for (unsigned ms = 0; ms < 30000 && descriptors() > before; ms++)
        nap(1);
    assert_true(descriptors() <= before);
    /* And nobody is kept awake by it. */
    long cpu = cpu_us();
    nap(500);
    assert_true(cpu_us() - cpu < 50000);
    support_rig_marker(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_that_the_caller_cannot_take_ends_both_sides),
        cmocka_unit_test(test_call_within_the_host_that_went_well_has_no_reason),
        cmocka_unit_test(test_pipelined_refusals_wait_for_their_reader),
        cmocka_unit_test(test_many_pipelines_take_little_memory),
        cmocka_unit_test(test_the_largest_head_crosses_a_link),
        cmocka_unit_test(test_full_links_are_an_answer_and_no_more_links),
        cmocka_unit_test(test_link_made_while_draining_is_told_to_go),
        cmocka_unit_test(test_framing_fields_in_disguise_stay_behind),
        cmocka_unit_test(test_upgrade_that_nobody_answers_is_the_upstreams_timeout),
        cmocka_unit_test(test_what_a_client_sends_after_the_servers_end_arrives),
        cmocka_unit_test(test_what_a_client_sends_after_the_end_arrives_within_the_host),
        cmocka_unit_test(test_worker_ends_while_an_application_still_has_to_read),
        cmocka_unit_test(test_websocket_ends_when_the_policy_no_longer_allows_it),
        cmocka_unit_test(test_nothing_is_left_of_a_mixed_load),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
