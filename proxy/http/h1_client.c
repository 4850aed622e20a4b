#include "proxy/http/h1_client.h"

#include "core/base/check.h"
#include "core/io/conn.h"
#include "core/wire/h1.h"
#include "core/wire/h1_emit.h"
#include "proxy/http/grpc.h"
#include "proxy/http/translate.h"
#include "proxy/net/introduce.h"
#include "proxy/net/pressure.h"

enum client_state { CLIENT_HEAD, CLIENT_BODY, CLIENT_TUNNEL };

struct h1_client {
    struct list node; /* ctx->apps */
    struct list idle; /* state->apps while idle */
    struct context *ctx;
    struct conn *conn;
    struct endpoint_state *state; /* of the service; kept alive while this is idle */
    struct target target;
    enum client_state client_state;
    struct exchange *ex; /* served, or NULL: idle */
    struct h1_scan scan;
    struct h1 parser;
    struct iobuf head;
    bool open, keep_alive, chunked, paused, request_sent, gone;
    uint64_t idle_since_ms;
    uint64_t rested_ms; /* before the request it serves; 0: it is the first */
    struct loop_timer timer;
    struct loop_flush free;
};

static void on_free(struct loop_flush *f)
{
    struct h1_client *c = CONTAINER_OF(f, struct h1_client, free);
    slab_put(loop_slab(c->ctx->loop, sizeof *c), c);
}

static void h1_client_close(struct h1_client *c, bool abort)
{
    if (c->gone) return;
    c->gone = true;
    bool idle = list_linked(&c->idle);
    list_remove(&c->idle);
    loop_timer_clear(c->ctx->loop, &c->timer);
    if (idle) endpoint_state_settle(&c->ctx->endpoints, c->state);
    list_remove(&c->node);
    iobuf_clear(&c->head);
    conn_close(c->conn, abort);
    loop_flush_mark(c->ctx->loop, &c->free, LOOP_FLUSH_FREE);
}

static struct exchange *detach(struct h1_client *c)
{
    struct exchange *ex = c->ex;
    c->ex = NULL;
    ex->up_ops = NULL;
    ex->up = NULL;
    return ex;
}

/* --- requests --- */

static void emit_added(struct exchange *ex, struct strbuf *out)
{
    char hops[8];
    struct strbuf number;
    strbuf_init_fixed(&number, hops, sizeof hops);
    strbuf_u64(&number, ex->hops);
    h1_emit_field(out, SPAN_LIT("parley-hops"), strbuf_view(&number));
    if (ex->req.expect_continue) h1_emit_field(out, SPAN_LIT("expect"), SPAN_LIT("100-continue"));
    uint64_t left_ms = grpc_left_ms(ex);
    if (left_ms > 0) {
        char text[GRPC_TIMEOUT_BYTES_MAX];
        h1_emit_field(out, SPAN_LIT("grpc-timeout"),
                      span_of(text, grpc_timeout_format(left_ms, text)));
    }
    if (ex->req.upgrade && !ex->req.tunnel) {
        h1_emit_field(out, SPAN_LIT("connection"), SPAN_LIT("upgrade"));
        h1_emit_field(out, SPAN_LIT("upgrade"), ex->req.upgrade_protocol);
    } else if (headers_find(ex->req.headers, "te") != NULL) {
        /* RFC 9110 10.1.4: "trailers", all that is left of it, is for the next hop. */
        h1_emit_field(out, SPAN_LIT("connection"), SPAN_LIT("te"));
    }
}

static enum reason up_send(struct exchange *ex)
{
    struct h1_client *c = ex->up;
    const struct request *req = &ex->req;
    struct strbuf out;
    struct span host = req->authority.len > 0 ? req->authority : span_str(ex->service->name.text);
    struct span path = req->tunnel ? req->authority : req->target.path;
    size_t cap = h1_emit_head_bytes(req->headers,
                                    req->method.len + path.len + req->target.query.len + host.len);
    char *text = arena_alloc(&ex->arena, cap);
    if (text == NULL) return REASON_INTERNAL;
    strbuf_init_fixed(&out, text, cap);
    h1_emit_request_line(&out, req->method, path, req->target.query);
    h1_emit_field(&out, SPAN_LIT("host"), host);
    h1_emit_headers(&out, req->headers);
    emit_added(ex, &out);
    c->chunked = req->body_length == BODY_LENGTH_UNKNOWN && !req->upgrade;
    if (c->chunked)
        h1_emit_chunked(&out);
    else if (req->body_length >= 0)
        h1_emit_length(&out, (uint64_t)req->body_length);
    h1_emit_end(&out);
    if (!strbuf_ok(&out)) return REASON_INTERNAL;
    c->client_state = CLIENT_HEAD;
    c->scan = (struct h1_scan){.bytes = 0};
    c->keep_alive = c->request_sent = false;
    bool written = conn_write(c->conn, strbuf_view(&out)) == ERR_OK;
    return written ? REASON_NONE : REASON_UPSTREAM_RESET;
}

/* The first run of `body`; its bytes are in `*len`. ERR_PROTOCOL: a chunk has begun and cannot go
 * on, so nothing can follow it. */
static enum err write_part(struct h1_client *c, struct iobuf *body, size_t *len)
{
    char line[H1_EMIT_CHUNK_BYTES];
    if (!c->chunked) return conn_write_front(c->conn, body, len);
    size_t line_len = h1_emit_chunk_line(line, iobuf_front(body).len);
    enum err err = conn_write(c->conn, span_of(line, line_len));
    if (err != ERR_OK) return err;
    err = conn_write_front(c->conn, body, len);
    if (err == ERR_OK) err = conn_write(c->conn, SPAN_LIT("\r\n"));
    return err == ERR_OK || err == ERR_EOF ? err : ERR_PROTOCOL;
}

static void request_end(struct h1_client *c, struct exchange *ex)
{
    const struct headers *trailers = ex->req_body.trailers;
    struct strbuf out;
    c->request_sent = true;
    if (c->client_state == CLIENT_TUNNEL) {
        conn_shutdown(c->conn);
        exchange_request_sent(ex);
        return;
    }
    if (!c->chunked) return;
    size_t cap = trailers != NULL ? h1_emit_head_bytes(trailers, 0) : 8;
    char *text = arena_alloc(&ex->arena, cap);
    if (text == NULL) {
        exchange_cut(ex, REASON_INTERNAL);
        return;
    }
    strbuf_init_fixed(&out, text, cap);
    h1_emit_last_chunk(&out, trailers);
    /* As in up_flush: a connection that takes nothing any more says why by itself. */
    if (conn_write(c->conn, strbuf_view(&out)) != ERR_OK) c->keep_alive = false;
}

static void up_flush(struct exchange *ex)
{
    struct h1_client *c = ex->up;
    struct body *body = &ex->req_body;
    /* The bytes behind an upgrade request are the tunnel's, if there will be one. */
    if (c->request_sent || (ex->req.upgrade && c->client_state != CLIENT_TUNNEL)) return;
    while (body->buf.len > 0 && conn_queued(c->conn) <= conn_low_water(c->conn)) {
        size_t len;
        enum err err = write_part(c, &body->buf, &len);
        if (err == ERR_PROTOCOL) exchange_cut(ex, REASON_INTERNAL);
        /* It no longer takes bytes: on_error or on_eof follows what it had still said (C11). */
        if (err != ERR_OK) return;
        exchange_request_taken(ex, len);
        if (c->ex != ex) return;
    }
    if (body->ended && body->buf.len == 0) request_end(c, ex);
}

static void up_consumed(struct exchange *ex, size_t bytes)
{
    struct h1_client *c = ex->up;
    (void)bytes;
    if (!c->paused || ex->resp_body.buf.len > pressure_low_water(ex->ctx)) return;
    c->paused = false;
    conn_resume(c->conn);
}

static void up_cancel(struct exchange *ex)
{
    struct h1_client *c = ex->up;
    bool tunnel_over = c->client_state == CLIENT_TUNNEL && ex->response_done;
    c->ex = NULL;
    h1_client_close(c, !tunnel_over);
}

static const struct upstream_ops up_ops = {
    .send = up_send, .flush = up_flush, .consumed = up_consumed, .cancel = up_cancel};

/* --- responses --- */

static uint64_t rest_most_ms(const struct h1_client *c)
{
    return keepalive_limit_ms(&c->state->keepalive, true, loop_now_ms(c->ctx->loop));
}

/* The application closed it while it rested, or just as it was used again. */
static void learn_closed(struct h1_client *c, uint64_t rest_ms)
{
    keepalive_closed(&c->state->keepalive, rest_ms, loop_now_ms(c->ctx->loop));
}

static void go_idle(struct h1_client *c)
{
    c->idle_since_ms = loop_now_ms(c->ctx->loop);
    c->scan = (struct h1_scan){.bytes = 0};
    list_push_front(&c->state->apps, &c->idle);
    /* One that runs since an earlier rest looks again when it fires. */
    if (c->timer.node.pos == 0)
        loop_timer_set(c->ctx->loop, &c->timer, c->idle_since_ms + rest_most_ms(c));
    if (c->paused) conn_resume(c->conn);
    c->paused = false;
}

static void complete(struct h1_client *c, bool clean)
{
    struct headers *trailers = c->parser.trailers;
    bool again = clean && c->keep_alive && !c->ctx->stopping &&
                 (c->request_sent || c->ex->req_body.bytes_total == 0) &&
                 exchange_request_ended(c->ex);
    struct exchange *ex = detach(c);
    if (again)
        go_idle(c);
    else
        h1_client_close(c, false);
    exchange_response_end(ex, trailers);
}

static void fail(struct h1_client *c, enum reason reason, bool reached)
{
    struct exchange *ex = detach(c);
    h1_client_close(c, true);
    exchange_failed(ex, reason, reached);
}

/* The bytes of the head as one run in the exchange's arena; NULL: no room. */
static char *gather(struct h1_client *c, struct span last, size_t *len)
{
    size_t before = c->head.len;
    char *text = arena_alloc(&c->ex->arena, before + last.len);
    if (text == NULL) return NULL;
    size_t copied = iobuf_peek(&c->head, text, before);
    CHECK(copied == before);
    iobuf_clear(&c->head);
    memcpy(text + before, last.p, last.len);
    *len = before + last.len;
    return text;
}

/* A final head; `rest` bytes of this read stand behind it. */
static void final_head(struct h1_client *c, const struct h1_head *head, size_t rest)
{
    struct exchange *ex = c->ex;
    const struct header *keep = headers_find(head->headers, "keep-alive");
    if (keep != NULL) keepalive_said(&c->state->keepalive, keep->value, loop_now_ms(c->ctx->loop));
    if (translate_response_h1(head, &ex->req, &ex->resp) != REASON_NONE) {
        fail(c, REASON_PROTOCOL_ERROR, true);
        return;
    }
    c->keep_alive = head->keep_alive;
    if (ex->resp.upgrade)
        c->client_state = CLIENT_TUNNEL;
    else if (!c->parser.done)
        c->client_state = CLIENT_BODY;
    exchange_response_head(ex);
    if (c->ex == ex && c->client_state == CLIENT_HEAD) complete(c, rest == 0);
}

static size_t take_head(struct h1_client *c, struct span data)
{
    struct exchange *ex = c->ex;
    size_t used = 0, len = 0;
    enum err err = h1_scan(&c->scan, H1_RESPONSE, data, &used);
    if (err == ERR_MORE) err = iobuf_append_span(&c->head, data) == ERR_OK ? ERR_MORE : ERR_NOMEM;
    if (err == ERR_MORE) return data.len;
    char *text = err == ERR_OK ? gather(c, span_of(data.p, used), &len) : NULL;
    struct h1_head head = {.headers = &ex->resp_headers};
    bool to_head = span_eq(ex->req.method, SPAN_LIT("HEAD"));
    if (text == NULL || h1_response(&c->parser, text, len, to_head, &head) != ERR_OK) {
        fail(c, REASON_PROTOCOL_ERROR, true);
        return data.len;
    }
    c->scan = (struct h1_scan){.bytes = 0};
    if (head.status >= 200 || head.status == 101) {
        final_head(c, &head, data.len - used);
        return used;
    }
    headers_strip_hop(head.headers);
    headers_remove(head.headers, "content-length");
    headers_remove_prefix(head.headers, "parley-");
    exchange_interim(ex, head.status, head.headers);
    return used;
}

static void on_body(void *owner, struct span data)
{
    struct h1_client *c = owner;
    if (c->ex != NULL) exchange_response_data(c->ex, data);
}

static void pause_when_full(struct h1_client *c)
{
    if (c->ex->resp_body.buf.len <= pressure_high_water(c->ctx)) return;
    c->paused = true;
    conn_pause(c->conn);
}

static size_t take_body(struct h1_client *c, struct span data)
{
    struct h1_sink sink = {on_body, c};
    struct exchange *ex = c->ex;
    size_t used = 0;
    enum err err = h1_body(&c->parser, &ex->arena, data, &sink, &used);
    if (c->gone || c->ex != ex) return data.len;
    if (err != ERR_OK) {
        fail(c, REASON_PROTOCOL_ERROR, true);
        return data.len;
    }
    if (c->parser.done)
        complete(c, used == data.len);
    else
        pause_when_full(c);
    return used;
}

static size_t on_data(struct conn *conn, void *owner, struct span data)
{
    struct h1_client *c = owner;
    size_t at = 0;
    (void)conn;
    while (at < data.len && !c->gone) {
        struct span rest = span_skip(data, at);
        if (c->ex == NULL) {
            /* C05: nobody asked. */
            h1_client_close(c, true);
        } else if (c->client_state == CLIENT_HEAD) {
            at += take_head(c, rest);
        } else if (c->client_state == CLIENT_BODY) {
            at += take_body(c, rest);
        } else {
            exchange_response_data(c->ex, rest);
            if (c->ex != NULL) pause_when_full(c);
            at = data.len;
        }
    }
    return data.len;
}

/* In the middle of a request; before a byte of its response that was the keep-alive race. */
static void lost(struct h1_client *c)
{
    bool silent = c->client_state == CLIENT_HEAD && c->head.len == 0;
    if (silent && c->ex->attempt.reused) learn_closed(c, c->rested_ms);
    fail(c, REASON_UPSTREAM_RESET, true);
}

static void on_eof(struct conn *conn, void *owner)
{
    struct h1_client *c = owner;
    (void)conn;
    if (c->ex == NULL) {
        learn_closed(c, loop_now_ms(c->ctx->loop) - c->idle_since_ms);
        h1_client_close(c, false);
    } else if (c->client_state == CLIENT_TUNNEL) {
        exchange_response_end(c->ex, NULL);
    } else if (c->client_state == CLIENT_BODY && h1_finish(&c->parser) == ERR_OK) {
        complete(c, false);
    } else {
        lost(c);
    }
}

static void on_error(struct conn *conn, void *owner, enum err err)
{
    struct h1_client *c = owner;
    (void)conn;
    if (c->ex == NULL) {
        learn_closed(c, loop_now_ms(c->ctx->loop) - c->idle_since_ms);
        h1_client_close(c, true);
    } else if (!c->open) {
        fail(c, err == ERR_TIMEOUT ? REASON_CONN_TIMEOUT : REASON_CONN_REFUSED, false);
    } else {
        lost(c);
    }
}

static void on_open(struct conn *conn, void *owner)
{
    struct h1_client *c = owner;
    (void)conn;
    c->open = true;
    if (c->ex != NULL) exchange_connected(c->ex);
}

static void on_drain(struct conn *conn, void *owner)
{
    struct h1_client *c = owner;
    (void)conn;
    if (c->ex != NULL && c->ex->attempt.sent) up_flush(c->ex);
}

static const struct conn_events events = {.on_open = on_open,
                                          .on_data = on_data,
                                          .on_eof = on_eof,
                                          .on_error = on_error,
                                          .on_drain = on_drain};

/* --- finding and opening --- */

static void on_expire(struct loop_timer *t)
{
    struct h1_client *c = CONTAINER_OF(t, struct h1_client, timer);
    if (c->ex != NULL) return;
    uint64_t deadline_ms = c->idle_since_ms + rest_most_ms(c);
    if (deadline_ms > loop_now_ms(c->ctx->loop))
        loop_timer_set(c->ctx->loop, t, deadline_ms);
    else
        h1_client_close(c, false);
}

static struct h1_client *find_idle(const struct exchange *ex)
{
    const struct endpoint_state *state = ex->attempt.state;
    bool safe = ex->req.replay_safe;
    uint64_t now = loop_now_ms(ex->ctx->loop);
    struct list *node = list_first(&state->apps);
    if (ex->attempt.fresh || node == NULL) return NULL;
    /* The most recent is first; when it will not do, none will. */
    struct h1_client *c = LIST_ENTRY(node, struct h1_client, idle);
    uint64_t most_ms = keepalive_limit_ms(&state->keepalive, safe, now);
    if (now - c->idle_since_ms >= most_ms) return NULL;
    if (!addr_target_eq(&c->target, &ex->service->local)) return NULL;
    /* What may not be repeated goes into no connection whose end came in this very turn. */
    return safe || conn_still(c->conn) ? c : NULL;
}

enum err h1_client_open(struct exchange *ex)
{
    struct context *ctx = ex->ctx;
    struct h1_client *c = find_idle(ex);
    ex->up_ops = &up_ops;
    if (c != NULL) {
        list_remove(&c->idle);
        c->ex = ex;
        c->rested_ms = loop_now_ms(ctx->loop) - c->idle_since_ms;
        ex->up = c;
        ex->attempt.reused = true;
        return ERR_OK;
    }
    struct slab *slab = loop_slab(ctx->loop, sizeof *c);
    c = slab_get(slab);
    if (c == NULL) goto fail;
    *c = (struct h1_client){.ctx = ctx, .ex = ex, .state = ex->attempt.state};
    c->target = ex->service->local;
    c->timer.on_expire = on_expire;
    c->free.on_flush = on_free;
    iobuf_init(&c->head, loop_pool(ctx->loop));
    struct conn_options o = {
        .loop = ctx->loop, .events = &events, .owner = c, .phase = LOOP_FLUSH_PLAIN};
    if (conn_connect(&o, &c->target, NULL, &c->conn) != ERR_OK) goto fail_slab;
    introduce_nobody(c->conn, ex->service);
    list_push_back(&ctx->apps, &c->node);
    ex->up = c;
    return ERR_AGAIN;

fail_slab:
    slab_put(slab, c);
fail:
    ex->up_ops = NULL;
    return ERR_FULL;
}

void h1_client_close_all(struct context *ctx)
{
    struct list *node;
    while ((node = list_first(&ctx->apps)) != NULL) {
        struct h1_client *c = LIST_ENTRY(node, struct h1_client, node);
        if (c->ex != NULL)
            exchange_cut(c->ex, REASON_DRAINING);
        else
            h1_client_close(c, true);
    }
}
