#include "cmd/verbs/testapp_call.h"

#include "cmd/verbs/testapp_client.h"
#include "core/base/check.h"
#include "core/io/conn.h"

#include <stdlib.h>

static const char question[] = "how are you?\n";

/* What carries one call at a time: a client (HTTP) or a connection for each call (TCP). */
struct testapp_call_line {
    struct list node; /* of the pool's `idle` or `used` */
    struct testapp_call_pool *pool;
    struct testapp_call *call;     /* borrowed; NULL: idle, or cancelled */
    struct testapp_client *client; /* HTTP */
    struct conn *conn;             /* TCP */
    struct loop_timer timer;       /* TCP */
    size_t matched;                /* bytes of the answer that are as they should be */
    bool open;
};

struct testapp_call_pool {
    struct loop *loop;
    const struct testapp_url *url;
    struct list idle, used;
    size_t count;
};

static void line_free(struct testapp_call_line *line)
{
    list_remove(&line->node);
    loop_timer_clear(line->pool->loop, &line->timer);
    if (line->conn) conn_close(line->conn, true);
    testapp_client_free(line->client);
    line->pool->count--;
    free(line);
}

static void line_done(struct testapp_call_line *line, const struct testapp_call_end *end)
{
    struct testapp_call *call = line->call;
    line->call = NULL;
    list_remove(&line->node);
    list_push_back(&line->pool->idle, &line->node);
    if (!call) return;
    call->line = NULL;
    call->on_done(call, end);
}

/* --- HTTP --- */

static void on_result(void *owner, const struct testapp_client_result *result)
{
    bool answered = result->end == TESTAPP_CLIENT_ANSWERED;
    struct testapp_call_end end = {.failed =
                                       !answered || result->status < 200 || result->status > 299,
                                   .how = answered ? "status" : testapp_client_word(result->end),
                                   .reason = result->reason};
    line_done(owner, &end);
}

/* --- TCP --- */

static void tcp_done(struct testapp_call_line *line, enum testapp_client_end how)
{
    struct testapp_call_end end = {.failed = how != TESTAPP_CLIENT_ANSWERED,
                                   .how = testapp_client_word(how),
                                   .reason = SPAN_LIT("")};
    loop_timer_clear(line->pool->loop, &line->timer);
    if (line->conn) conn_close(line->conn, end.failed);
    line->conn = NULL;
    line_done(line, &end);
}

static void tcp_on_open(struct conn *c, void *owner)
{
    struct testapp_call_line *line = owner;
    (void)c;
    line->open = true;
}

static size_t tcp_on_data(struct conn *c, void *owner, struct span data)
{
    struct testapp_call_line *line = owner;
    size_t wanted = sizeof question - 1 - line->matched;
    (void)c;
    if (data.len > wanted || memcmp(data.p, question + line->matched, data.len) != 0) {
        tcp_done(line, TESTAPP_CLIENT_PROTOCOL);
        return data.len;
    }
    line->matched += data.len;
    if (data.len == wanted) tcp_done(line, TESTAPP_CLIENT_ANSWERED);
    return data.len;
}

static void tcp_on_eof(struct conn *c, void *owner)
{
    (void)c;
    tcp_done(owner, TESTAPP_CLIENT_RESET);
}

static void tcp_on_error(struct conn *c, void *owner, enum err err)
{
    struct testapp_call_line *line = owner;
    (void)c;
    (void)err;
    tcp_done(line, line->open ? TESTAPP_CLIENT_RESET : TESTAPP_CLIENT_CONNECT);
}

static void tcp_on_time(struct loop_timer *t)
{
    struct testapp_call_line *line = CONTAINER_OF(t, struct testapp_call_line, timer);
    tcp_done(line, line->conn ? TESTAPP_CLIENT_TIMEOUT : TESTAPP_CLIENT_CONNECT);
}

static const struct conn_events tcp_events = {
    .on_open = tcp_on_open, .on_data = tcp_on_data, .on_eof = tcp_on_eof, .on_error = tcp_on_error};

static void tcp_start(struct testapp_call_line *line)
{
    struct loop *l = line->pool->loop;
    struct conn_options o = {
        .loop = l, .events = &tcp_events, .owner = line, .phase = LOOP_FLUSH_PLAIN};
    uint64_t wait_ms = TESTAPP_CALL_TIMEOUT_MS;
    line->matched = 0;
    line->open = false;
    if (conn_connect(&o, &line->pool->url->to, NULL, &line->conn) != ERR_OK) {
        line->conn = NULL;
        wait_ms = 0;
    } else {
        /* A connection that has failed already says so by on_error. */
        (void)!conn_write(line->conn, span_of(question, sizeof question - 1));
    }
    loop_timer_set(l, &line->timer, loop_now_ms(l) + wait_ms);
}

/* --- the pool --- */

static enum err line_new(struct testapp_call_pool *pool, struct testapp_call_line **out)
{
    if (pool->count == TESTAPP_CALL_AT_ONCE_MAX) return ERR_FULL;
    struct testapp_call_line *line = calloc(1, sizeof *line);
    if (!line) return ERR_NOMEM;
    struct testapp_client_options o = {.loop = pool->loop,
                                       .to = pool->url->to,
                                       .authority = pool->url->authority,
                                       .on_result = on_result,
                                       .owner = line};
    line->pool = pool;
    line->timer.on_expire = tcp_on_time;
    if (pool->url->scheme == TESTAPP_URL_HTTP && testapp_client_new(&o, &line->client) != ERR_OK) {
        free(line);
        return ERR_NOMEM;
    }
    pool->count++;
    *out = line;
    return ERR_OK;
}

enum err testapp_call_start(struct testapp_call_pool *pool, struct testapp_call *call)
{
    CHECK(call->line == NULL);
    struct list *node = list_first(&pool->idle);
    struct testapp_call_line *line = NULL;
    if (node) {
        line = LIST_ENTRY(node, struct testapp_call_line, node);
    } else {
        enum err err = line_new(pool, &line);
        if (err != ERR_OK) return err;
    }
    list_remove(&line->node);
    list_push_back(&pool->used, &line->node);
    line->call = call;
    call->line = line;
    if (line->client) {
        struct testapp_client_request r = {
            .method = "GET", .path = pool->url->path, .timeout_ms = TESTAPP_CALL_TIMEOUT_MS};
        testapp_client_start(line->client, &r);
    } else {
        tcp_start(line);
    }
    return ERR_OK;
}

void testapp_call_cancel(struct testapp_call *call)
{
    if (call->line) call->line->call = NULL;
    call->line = NULL;
}

enum err testapp_call_pool_new(struct loop *l, const struct testapp_url *url,
                               struct testapp_call_pool **out)
{
    struct testapp_call_pool *pool = calloc(1, sizeof *pool);
    if (!pool) return ERR_NOMEM;
    pool->loop = l;
    pool->url = url;
    list_init(&pool->idle);
    list_init(&pool->used);
    *out = pool;
    return ERR_OK;
}

void testapp_call_pool_free(struct testapp_call_pool *pool)
{
    if (!pool) return;
    /* What is used here was cancelled and has not ended yet. */
    LIST_EACH(node, next, &pool->used)
    {
        struct testapp_call_line *line = LIST_ENTRY(node, struct testapp_call_line, node);
        CHECK(line->call == NULL);
        line_free(line);
    }
    LIST_EACH(idle, after, &pool->idle)
    line_free(LIST_ENTRY(idle, struct testapp_call_line, node));
    free(pool);
}
