#include "tests/unit/support_rig.h"

#include "core/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* --- the HTTP application --- */

struct request_text {
    char head[32768];
    size_t body; /* bytes of content */
};

static long field_number(const char *head, const char *name)
{
    const char *at = strstr(head, name);
    return at != NULL ? strtol(at + strlen(name), NULL, 10) : -1;
}

/* Content of a chunked body, byte by byte; the trailer section goes behind the head. False: cut. */
static bool read_chunks(int fd, char *trailers, size_t cap, size_t *total)
{
    for (;;) {
        char line[256];
        bool ended;
        support_read(fd, line, sizeof line, "\r\n", &ended);
        size_t len = strtoul(line, NULL, 16);
        if (ended) return false;
        if (len == 0) break;
        for (size_t i = 0; i < len + 2; i++)
            if (recv(fd, line, 1, 0) != 1) return false;
        *total += len;
    }
    size_t used = 0;
    while (used + 2 < cap) {
        bool ended;
        size_t n = support_read(fd, trailers + used, cap - used, "\r\n", &ended);
        if (ended) return false;
        if (n <= 2) break;
        used += n;
    }
    return true;
}

/* False: cut short. */
static bool read_body(int fd, struct request_text *r)
{
    long length = field_number(r->head, "content-length: ");
    size_t used = strlen(r->head);
    r->body = 0;
    if (strstr(r->head, "transfer-encoding: chunked") != NULL)
        return read_chunks(fd, r->head + used, sizeof r->head - used, &r->body);
    for (char bytes[16384]; length > 0;) {
        size_t want = (size_t)length < sizeof bytes ? (size_t)length : sizeof bytes;
        ssize_t n = recv(fd, bytes, want, 0);
        if (n <= 0) return false;
        length -= n;
        r->body += (size_t)n;
    }
    return true;
}

static void send_many(int fd, size_t bytes)
{
    char block[16384];
    memset(block, 'x', sizeof block);
    while (bytes > 0) {
        size_t len = bytes < sizeof block ? bytes : sizeof block;
        ssize_t n = send(fd, block, len, MSG_NOSIGNAL);
        if (n <= 0) return;
        bytes -= (size_t)n;
    }
}

static void answer_echo(int fd, const struct request_text *r)
{
    char text[40000];
    snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(r->head),
             r->head);
    support_send(fd, text);
}

static void echo_raw(int fd)
{
    char bytes[4096];
    for (;;) {
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n <= 0) return;
        if (send(fd, bytes, (size_t)n, MSG_NOSIGNAL) != n) return;
    }
}

static const struct {
    const char *path, *answer;
    bool close; /* ends the connection behind it */
} canned[] = {
    {"/plain", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-App: y\r\n\r\nok", false},
    {"/chunks",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n3\r\nabc\r\n2\r\nde"
     "\r\n0\r\nX-Sum: 5\r\nContent-Length: 9\r\nParley-Reason: no_route\r\n\r\n",
     false},
    {"/until-close", "HTTP/1.1 200 OK\r\n\r\nall of it", true},
    {"/1.0", "HTTP/1.0 200 OK\r\n\r\nold", true},
    {"/500", "HTTP/1.1 500 No\r\nContent-Length: 4\r\nParley-Reason: no_route\r\n\r\noops", false},
    {"/503", "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", false},
    {"/interim",
     "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
     false},
    {"/204-body", "HTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", false},
    {"/twice",
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: "
     "4\r\n\r\nevil",
     false},
    {"/short", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", true},
    {"/short-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf", true},
    {"/both", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     true},
    {"/garbage", "\x01\x02\x03\x04", true},
    {"/ws-no",
     "HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
     "Content-Length: 2\r\n\r\nno",
     false},
    {"closed.example:443",
     "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 4\r\n\r\nauth", false},
    {"busy.example:443", "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", false},
    {"odd.example:443",
     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: parley-tunnel\r\nConnection: upgrade\r\n"
     "\r\n",
     false},
    {"/101",
     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
     "\r\n",
     false},
};

/* False: the connection is over. */
static bool answer(int fd, const struct request_text *r, struct support_rig *rig)
{
    const char *path = strchr(r->head, ' ') + 1;
    size_t path_len = strcspn(path, "? ");
    for (size_t i = 0; i < ARRAY_LEN(canned); i++) {
        if (strlen(canned[i].path) != path_len || strncmp(path, canned[i].path, path_len) != 0)
            continue;
        support_send(fd, canned[i].answer);
        return !canned[i].close;
    }
    if (strncmp(path, "/die", 4) == 0 || strncmp(path, "die.", 4) == 0) return false;
    if (strncmp(path, "open.", 5) == 0) {
        /* What it says of a length is to be ignored (RFC 9110 9.3.6). */
        bool known = strstr(r->head, "proxy-authorization: Basic x\r\n") != NULL;
        support_send(fd, "HTTP/1.1 204 Connected\r\nContent-Length: 3\r\n");
        support_send(fd, known ? "Via: 1.1 p\r\n\r\n" : "\r\n");
        echo_raw(fd);
        support_send(fd, "bye");
        return false;
    }
    if (strncmp(path, "/hang", 5) == 0) {
        char byte;
        return recv(fd, &byte, 1, 0) > 0 && false;
    }
    if (strncmp(path, "/held", 5) == 0 && rig != NULL)
        support_rig_await(rig, atomic_load(&rig->requests) + 1);
    if (strncmp(path, "/big", 4) == 0) {
        char head[100];
        size_t bytes = strtoul(path + path_len + 1, NULL, 10);
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", bytes);
        support_send(fd, head);
        if (strncmp(r->head, "HEAD", 4) != 0) send_many(fd, bytes);
        return true;
    }
    if (strncmp(path, "/many-interim", 13) == 0) {
        for (unsigned i = 0; i < 20; i++)
            support_send(fd, "HTTP/1.1 103 Early Hints\r\n\r\n");
        support_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        return true;
    }
    if (strncmp(path, "/ws", 3) == 0) {
        support_send(fd, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n");
        echo_raw(fd);
        return false;
    }
    if (strncmp(path, "/length", 7) == 0) {
        char text[100];
        snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n%010zu", r->body);
        support_send(fd, text);
        return true;
    }
    answer_echo(fd, r);
    return true;
}

void support_rig_http(int fd, void *arg)
{
    struct support_rig *rig = arg;
    struct request_text *r = calloc(1, sizeof *r);
    bool go_on = r != NULL;
    while (go_on) {
        bool ended;
        size_t len = support_read(fd, r->head, sizeof r->head, "\r\n\r\n", &ended);
        if (ended || len == 0) break;
        if (strstr(r->head, " /early") != NULL) {
            support_send(fd, "HTTP/1.1 413 No\r\nContent-Length: 3\r\n\r\nbig");
            break;
        }
        if (strstr(r->head, "expect: 100-continue") != NULL)
            support_send(fd, "HTTP/1.1 100 Continue\r\n\r\n");
        if (!read_body(fd, r)) break;
        if (rig != NULL) atomic_fetch_add(&rig->requests, 1);
        go_on = answer(fd, r, rig);
    }
    free(r);
}

void support_rig_sick(int fd, void *arg)
{
    char head[4096];
    bool ended = false;
    (void)arg;
    while (support_read(fd, head, sizeof head, "\r\n\r\n", &ended) > 0 && !ended)
        support_send(fd, "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nsick");
}

void support_rig_tcp(int fd, void *arg)
{
    (void)arg;
    support_send(fd, "hello\n");
    echo_raw(fd);
    support_send(fd, "bye\n");
}

void support_rig_deaf(int fd, void *arg)
{
    char bytes[256];
    (void)arg;
    while (recv(fd, bytes, sizeof bytes, 0) > 0)
        continue;
}

/* --- the hosts --- */

static void web_text(char *out, size_t cap, unsigned port)
{
    snprintf(out, cap,
             "[node]\nname = \"h1\"\nmesh = \"shop\"\naddr = \"@21\"\nport = %u\n"
             "[defaults]\nconnect_timeout = \"2s\"\n"
             "[service.web]\nlocal = \"@21:%u\"\n"
             "[service.log]\nlocal = \"@21:%u\"\nallow = [\"web\"]\n"
             "[upstream.api]\nlisten = \"@21:%u\"\nas = \"web\"\n"
             "[upstream.db]\nlisten = \"@21:%u\"\nas = \"web\"\nprotocol = \"tcp\"\n"
             "[upstream.log]\nlisten = \"@21:%u\"\nas = \"web\"\n",
             port, port + 19, port + 12, port + 1, port + 2, port + 3);
}

static void api_text(char *out, size_t cap, unsigned port, const char *rules)
{
    snprintf(out, cap,
             "[node]\nname = \"h2\"\nmesh = \"shop\"\naddr = \"@22\"\nport = %u\n"
             "[defaults]\nconnect_timeout = \"2s\"\n"
             "[service.db]\nlocal = \"@22:%u\"\nprotocol = \"tcp\"\nallow = [\"web\"]\n"
             "[service.api]\nlocal = \"@22:%u\"\n%s\n",
             port, port + 11, port + 10, rules != NULL ? rules : "allow = [\"web\"]");
}

struct support_rig *support_rig_new(unsigned port, const char *api_rules)
{
    struct support_rig *r = calloc(1, sizeof *r);
    char text[2048];
    assert_non_null(r);
    support_mesh_init(&r->mesh);
    web_text(text, sizeof text, port);
    support_node_init(&r->web, &r->mesh, 1, text);
    api_text(text, sizeof text, port, api_rules);
    support_node_init(&r->api, &r->mesh, 2, text);
    support_node_endpoint(&r->web, "api", &r->api, PROTOCOL_HTTP);
    support_node_endpoint(&r->web, "db", &r->api, PROTOCOL_TCP);
    support_node_endpoint(&r->web, "log", &r->web, PROTOCOL_HTTP);
    snprintf(r->api_addr, sizeof r->api_addr, "@21:%u", port + 1);
    snprintf(r->db_addr, sizeof r->db_addr, "@21:%u", port + 2);
    snprintf(r->log_addr, sizeof r->log_addr, "@21:%u", port + 3);
    snprintf(r->api_local, sizeof r->api_local, "@22:%u", port + 10);
    snprintf(r->db_local, sizeof r->db_local, "@22:%u", port + 11);
    snprintf(r->log_local, sizeof r->log_local, "@21:%u", port + 12);
    r->api_app = support_app_start(r->api_local, support_rig_http, r);
    r->db_app = support_app_start(r->db_local, support_rig_tcp, r);
    r->log_app = support_app_start(r->log_local, support_rig_http, r);
    support_node_publish(&r->api);
    support_node_publish(&r->web);
    return r;
}

void support_rig_free(struct support_rig *r)
{
    support_node_fini(&r->web);
    support_node_fini(&r->api);
    if (r->api_app != NULL) support_app_stop(r->api_app);
    if (r->db_app != NULL) support_app_stop(r->db_app);
    if (r->log_app != NULL) support_app_stop(r->log_app);
    support_mesh_fini(&r->mesh);
    free(r);
}

int support_rig_setup(void **state)
{
    *state = support_rig_new(SUPPORT_RIG_PORT, NULL);
    return 0;
}

int support_rig_teardown(void **state)
{
    support_rig_free(*state);
    return 0;
}

void support_rig_rules(struct support_rig *r, unsigned port, const char *api_rules)
{
    char text[2048];
    api_text(text, sizeof text, port, api_rules);
    support_node_config(&r->api, text);
    support_node_publish(&r->api);
}

void support_rig_web(struct support_rig *r, const char *upstream)
{
    char text[1024];
    snprintf(text, sizeof text,
             "[node]\nname = \"h1\"\nmesh = \"shop\"\naddr = \"@21\"\nport = %u\n"
             "[service.web]\nlocal = \"@21:%u\"\n"
             "[upstream.api]\nlisten = \"@21:%u\"\nas = \"web\"\n%s\n",
             SUPPORT_RIG_PORT, SUPPORT_RIG_PORT + 19, SUPPORT_RIG_PORT + 1, upstream);
    support_node_config(&r->web, text);
    support_node_publish(&r->web);
}

const char *support_rig_get(struct support_rig *r, const char *target, const char *fields)
{
    char request[4096];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: api\r\nConnection: close\r\n%s\r\n",
             target, fields);
    support_exchange(r->api_addr, request, r->buf, sizeof r->buf);
    return r->buf;
}

void support_rig_await(struct support_rig *r, unsigned count)
{
    struct timespec ms = {.tv_nsec = 1000000};
    for (unsigned i = 0; i < 30000 && atomic_load(&r->requests) < count; i++)
        nanosleep(&ms, NULL);
    assert_true(atomic_load(&r->requests) >= count);
}

void support_rig_settle(struct support_rig *r)
{
    support_node_forget_lines(&r->web);
    support_node_forget_lines(&r->api);
}

void support_rig_marker(struct support_rig *r)
{
    support_rig_get(r, "/marker", "X-Marker: 7\r\n");
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(r->buf, "GET /marker HTTP/1.1\r\n"));
    assert_non_null(strstr(r->buf, "x-marker: 7\r\n"));
}

void support_rig_given_up(struct support_rig *r, const char *at, void (*mute)(int fd, void *arg),
                          const char *upstream, const char *reason)
{
    struct worker_message *m;
    struct timespec ms = {.tv_nsec = 20000000};
    struct addr addr;
    char text[ADDR_TEXT_MAX], field[64];
    bool told = false;
    support_expand(at, text, sizeof text);
    snprintf(field, sizeof field, "parley-reason: %s\r\n", reason);
    assert_int_equal(addr_parse(span_str(text), 0, &addr), ERR_OK);
    struct support_app *app = support_app_start(text, mute, &r->mesh);
    r->web.endpoint[0].addr = addr;
    support_rig_web(r, upstream);
    support_rig_get(r, "/plain", "");
    assert_non_null(strstr(r->buf, field));
    for (unsigned i = 0; i < 3000 && !told; i++) {
        nanosleep(&ms, NULL);
        while ((m = worker_receive(r->web.worker)) != NULL) {
            told |= m->kind == WORKER_DEAD_LINK && addr_eq(&m->peer, &addr);
            free(m);
        }
    }
    assert_true(told);
    r->web.endpoint[0].addr = r->api.config->node.addr;
    support_rig_web(r, "");
    support_rig_marker(r);
    support_app_stop(app);
}
