#include "proxy/http/h2_client.h"

#include "core/base/check.h"
#include "core/base/strbuf.h"
#include "core/io/conn.h"
#include "proxy/http/translate.h"

#define HOPS_BYTES 16u

static void mark(struct h2_client *l)
{
    conn_mark(l->conn);
}

static void on_free(struct loop_flush *f)
{
    struct h2_client *l = CONTAINER_OF(f, struct h2_client, free);
    slab_put(loop_slab(l->ctx->loop, sizeof *l), l);
}

/* Nothing of it is in use any more. */
static void h2_client_close(struct h2_client *l, bool abort)
{
    struct context *ctx = l->ctx;
    if (l->gone) return;
    l->gone = true;
    if (l->h2 == NULL) ctx->handshake_count--;
    list_remove(&l->node);
    list_remove(&l->by_state);
    endpoint_state_settle(&ctx->endpoints, l->state);
    loop_timer_clear(ctx->loop, &l->timer);
    h2_free(l->h2);
    identity_unref(l->identity);
    identity_trust_unref(l->trust);
    conn_close(l->conn, abort);
    loop_flush_mark(ctx->loop, &l->free, LOOP_FLUSH_FREE);
}

/* Its exchanges fail; each may try another link at once, so it is out of the lists first. */
static void die(struct h2_client *l, enum reason waiting_reason)
{
    struct list *node;
    l->draining = true;
    while ((node = list_first(&l->waiting)) != NULL) {
        struct exchange *ex = LIST_ENTRY(node, struct exchange, on_link);
        list_remove(node);
        l->waiting_count--;
        exchange_failed(ex, waiting_reason, false);
    }
    if (l->h2 != NULL) h2_lost(l->h2);
    h2_client_close(l, true);
}

/* The host, or the way to it, is at fault. */
static void blame(struct h2_client *l)
{
    endpoint_state_failed(l->state, loop_now_ms(l->ctx->loop));
    context_dead_link(l->ctx, &l->addr);
}

/* --- the exchange's side --- */

static struct span path_and_query(struct exchange *ex)
{
    struct span path = ex->req.target.path, query = ex->req.target.query;
    if (query.len == 0) return path;
    char *text = arena_alloc(&ex->arena, path.len + query.len);
    if (text == NULL) return (struct span){NULL, 0};
    memcpy(text, path.p, path.len);
    memcpy(text + path.len, query.p, query.len);
    return span_of(text, path.len + query.len);
}

static bool add_hops(struct exchange *ex)
{
    struct strbuf number;
    char *text = arena_alloc(&ex->arena, HOPS_BYTES);
    if (text == NULL) return false;
    strbuf_init_fixed(&number, text, HOPS_BYTES);
    strbuf_u64(&number, ex->hops + 1);
    return headers_add(ex->req.headers, SPAN_LIT("parley-hops"), strbuf_view(&number)) == ERR_OK;
}

static bool request_head(struct exchange *ex, struct h2_head *head)
{
    char sni[SNI_BYTES_MAX + 1];
    size_t sni_len = name_sni_format(&ex->attempt.endpoint->expect, sni);
    *head = (struct h2_head){.method = ex->req.method,
                             .authority = ex->req.authority,
                             .headers = ex->req.headers,
                             .content_length = ex->req.body_length >= 0 ? ex->req.body_length : -1};
    headers_remove(ex->req.headers, "parley-hops");
    if (ex->tcp || head->authority.len == 0)
        head->authority = arena_span(&ex->arena, span_of(sni, sni_len));
    if (head->authority.p == NULL || !add_hops(ex)) return false;
    if (ex->tcp) {
        head->method = SPAN_LIT("CONNECT");
        return headers_add(ex->req.headers, SPAN_LIT("parley-request-id"), ex->req.id) == ERR_OK;
    }
    head->scheme = SPAN_LIT("http");
    head->path = path_and_query(ex);
    if (ex->req.upgrade) {
        head->method = SPAN_LIT("CONNECT");
        head->protocol = ex->req.upgrade_protocol;
    }
    if (ex->req.expect_continue &&
        headers_add(ex->req.headers, SPAN_LIT("expect"), SPAN_LIT("100-continue")) != ERR_OK)
        return false;
    return head->path.p != NULL;
}

static enum reason up_send(struct exchange *ex)
{
    struct h2_client *l = ex->up;
    struct h2_head head;
    size_t fields = ex->req.headers->count, bytes = ex->req.headers->bytes;
    bool body = ex->tcp || ex->req.upgrade || !exchange_request_ended(ex);
    bool made = request_head(ex, &head);
    struct h2_stream *s = &ex->up_stream;
    *s = (struct h2_stream){.arena = &ex->arena,
                            .fields = &ex->resp_headers,
                            .out = &ex->req_body.buf,
                            .out_ended = ex->req_body.ended,
                            .out_trailers = ex->req_body.trailers,
                            .owner = ex};
    enum err err = made ? h2_request(l->h2, s, &head, body) : ERR_NOMEM;
    /* What was added is for this link; another attempt adds its own. */
    ex->req.headers->count = fields < ex->req.headers->count ? fields : ex->req.headers->count;
    ex->req.headers->bytes = bytes < ex->req.headers->bytes ? bytes : ex->req.headers->bytes;
    mark(l);
    if (err == ERR_OK) return REASON_NONE;
    return err == ERR_FULL ? REASON_POOL_FULL : REASON_INTERNAL;
}

static void up_flush(struct exchange *ex)
{
    struct h2_client *l = ex->up;
    ex->up_stream.out_ended = ex->req_body.ended;
    ex->up_stream.out_trailers = ex->req_body.trailers;
    h2_resume(l->h2, &ex->up_stream);
    mark(l);
}

static void up_consumed(struct exchange *ex, size_t bytes)
{
    struct h2_client *l = ex->up;
    h2_consume(l->h2, &ex->up_stream, bytes);
    mark(l);
}

static void note_idle(struct h2_client *l)
{
    if (h2_client_load(l) > 0) return;
    l->idle_since_ms = loop_now_ms(l->ctx->loop);
    /* A draining link closes at the next tick at the latest; sooner is not needed. */
}

static void up_cancel(struct exchange *ex)
{
    struct h2_client *l = ex->up;
    if (list_linked(&ex->on_link)) {
        list_remove(&ex->on_link);
        l->waiting_count--;
    } else if (ex->up_stream.id != 0) {
        bool over = ex->response_done && exchange_request_ended(ex);
        if (over)
            h2_detach(l->h2, &ex->up_stream);
        else
            h2_reset(l->h2, &ex->up_stream, H2_CANCELLED);
        mark(l);
    }
    note_idle(l);
}

static const struct upstream_ops up_ops = {
    .send = up_send, .flush = up_flush, .consumed = up_consumed, .cancel = up_cancel};

/* --- streams --- */

static struct h2_stream *on_begin(void *owner)
{
    (void)owner;
    return NULL;
}

static void on_head(void *owner, struct h2_stream *s, bool ended)
{
    struct h2_client *l = owner;
    struct exchange *ex = s->owner;
    if (translate_response_h2(&s->head, ended, &ex->req, &ex->resp) != REASON_NONE) {
        h2_reset(l->h2, s, H2_RESET);
        exchange_failed(ex, REASON_PROTOCOL_ERROR, true);
        return;
    }
    exchange_response_head(ex);
    if (ended) exchange_response_end(ex, NULL);
}

static void on_interim(void *owner, struct h2_stream *s)
{
    (void)owner;
    headers_remove_prefix(s->head.headers, "parley-");
    exchange_interim(s->owner, s->head.status, s->head.headers);
}

static void on_stream_data(void *owner, struct h2_stream *s, struct span data)
{
    (void)owner;
    exchange_response_data(s->owner, data);
}

static void on_end(void *owner, struct h2_stream *s, struct headers *trailers)
{
    (void)owner;
    exchange_response_end(s->owner, translate_trailers(trailers));
}

static void on_sent(void *owner, struct h2_stream *s, size_t bytes)
{
    (void)owner;
    exchange_request_taken(s->owner, bytes);
}

static void on_sent_end(void *owner, struct h2_stream *s)
{
    (void)owner;
    exchange_request_sent(s->owner);
}

static void on_close(void *owner, struct h2_stream *s, enum h2_close how)
{
    struct h2_client *l = owner;
    struct exchange *ex = s->owner;
    note_idle(l);
    /* RFC 9113 8.1: a complete response, and no wish for the rest of the request. The exchange may
     * go on to its client long after this link has gone. */
    if (how == H2_CLOSED && ex->response_done && (!ex->tunnelled || exchange_request_ended(ex))) {
        ex->up_ops = NULL;
        ex->up = NULL;
        exchange_request_sent(ex);
        return;
    }
    if (how == H2_REFUSED)
        exchange_failed(ex, REASON_CONN_REFUSED, false);
    else
        exchange_failed(ex, REASON_UPSTREAM_RESET, true);
}

static void on_goaway(void *owner)
{
    struct h2_client *l = owner;
    l->draining = true;
}

static void on_write(void *owner, struct span bytes)
{
    struct h2_client *l = owner;
    if (conn_write(l->conn, bytes) != ERR_OK) l->failed = true;
}

static const struct h2_events h2_events = {.on_begin = on_begin,
                                           .on_head = on_head,
                                           .on_interim = on_interim,
                                           .on_data = on_stream_data,
                                           .on_end = on_end,
                                           .on_sent = on_sent,
                                           .on_sent_end = on_sent_end,
                                           .on_close = on_close,
                                           .on_goaway = on_goaway,
                                           .on_write = on_write};

/* --- the connection --- */

static void on_open(struct conn *c, void *owner)
{
    struct h2_client *l = owner;
    struct context *ctx = l->ctx;
    struct list *node;
    struct h2_options o = {.events = &h2_events,
                           .owner = l,
                           .alloc = &ctx->h2_alloc,
                           .streams_max = LINK_STREAMS_MAX,
                           .stream_window_bytes = LINK_STREAM_WINDOW_BYTES,
                           .connection_window_bytes = LINK_WINDOW_BYTES,
                           .now_ms = loop_now_ms(ctx->loop)};
    (void)c;
    metrics_handshake(ctx->metrics, false, "ok", loop_now_us(ctx->loop) - l->begun_us);
    if (h2_new(&o, &l->h2) != ERR_OK) {
        l->h2 = NULL;
        die(l, REASON_INTERNAL);
        return;
    }
    ctx->handshake_count--;
    l->heard_ms = loop_now_ms(ctx->loop);
    mark(l);
    while ((node = list_first(&l->waiting)) != NULL) {
        struct exchange *ex = LIST_ENTRY(node, struct exchange, on_link);
        list_remove(node);
        l->waiting_count--;
        exchange_connected(ex);
    }
}

static size_t on_data(struct conn *c, void *owner, struct span data)
{
    struct h2_client *l = owner;
    (void)c;
    l->heard_ms = loop_now_ms(l->ctx->loop);
    heard_note(&l->heard, l->heard_ms);
    if (h2_feed(l->h2, data, l->heard_ms) != ERR_OK) l->failed = true;
    mark(l);
    return data.len;
}

static void on_flush(struct conn *c, void *owner)
{
    struct h2_client *l = owner;
    size_t room;
    if (l->h2 == NULL) return;
    while ((room = conn_room(c)) > 0 && h2_wants_write(l->h2)) {
        size_t before = conn_queued(c);
        if (h2_pull(l->h2, room) != ERR_OK) l->failed = true;
        if (l->failed || conn_queued(c) == before) break;
    }
    metrics_count(l->ctx->metrics, METRICS_LINK_SENDS, 1);
    if (l->failed || h2_done(l->h2)) die(l, REASON_UPSTREAM_RESET);
}

static void on_eof(struct conn *c, void *owner)
{
    struct h2_client *l = owner;
    (void)c;
    if (l->h2 != NULL && h2_streams(l->h2) > 0 && !l->draining) blame(l);
    die(l, REASON_CONN_REFUSED);
}

static enum reason reason_of(enum err err, enum x509_fault fault)
{
    if (fault == X509_NO_CERTIFICATE) return REASON_PEER_NO_CERT;
    if (fault == X509_EXPIRED || fault == X509_NOT_YET_VALID) return REASON_PEER_CERT_EXPIRED;
    if (fault == X509_UNKNOWN_CA || fault == X509_BAD_SIGNATURE) return REASON_PEER_CA_UNKNOWN;
    if (fault != X509_OK) return REASON_PEER_IDENTITY_MISMATCH;
    return err == ERR_TIMEOUT ? REASON_CONN_TIMEOUT : REASON_CONN_REFUSED;
}

static void on_error(struct conn *c, void *owner, enum err err)
{
    struct h2_client *l = owner;
    struct context *ctx = l->ctx;
    enum reason reason = REASON_CONN_REFUSED;
    if (l->h2 == NULL) {
        enum x509_fault fault = tls_engine_fault(conn_engine(c));
        const char *word = fault != X509_OK ? x509_check_word(fault) : err_name(err);
        char to[ADDR_TEXT_MAX];
        reason = reason_of(err, fault);
        metrics_handshake(ctx->metrics, false, word, loop_now_us(ctx->loop) - l->begun_us);
        log_limited(ctx->log, LOG_LEVEL_WARN, l->state->id ^ (uint64_t)err, "handshake",
                    "side=client to=%s result=%s detail=%d", addr_format(&l->addr, to), word,
                    tls_engine_detail(conn_engine(c)));
    }
    blame(l);
    die(l, reason);
}

static const struct conn_events conn_events = {.on_open = on_open,
                                               .on_data = on_data,
                                               .on_eof = on_eof,
                                               .on_error = on_error,
                                               .on_flush = on_flush};

/* --- time --- */

/* A peer that says nothing while streams are open is asked, then given up. */
static bool is_silent(struct h2_client *l, uint64_t now)
{
    if (h2_streams(l->h2) == 0 || now - l->heard_ms < LINK_PING_MS) {
        l->pinged_ms = 0;
        return false;
    }
    if (l->pinged_ms == 0) {
        l->pinged_ms = now;
        h2_ping(l->h2);
        mark(l);
    }
    return now - l->pinged_ms >= LINK_DEAD_MS - LINK_PING_MS;
}

static void on_expire(struct loop_timer *t)
{
    struct h2_client *l = CONTAINER_OF(t, struct h2_client, timer);
    uint64_t now = loop_now_ms(l->ctx->loop);
    if (l->h2 != NULL && is_silent(l, now)) {
        blame(l);
        die(l, REASON_CONN_TIMEOUT);
        return;
    }
    bool unused = l->h2 != NULL && h2_client_load(l) == 0;
    if (unused && (l->draining || now - l->idle_since_ms >= LINK_IDLE_MS)) {
        h2_client_close(l, false);
        return;
    }
    loop_timer_set(l->ctx->loop, &l->timer, now + LINK_TICK_MS);
}

/* --- of the pool --- */

enum err h2_client_open(struct exchange *ex, struct h2_client **out)
{
    struct context *ctx = ex->ctx;
    const struct snapshot_endpoint *endpoint = ex->attempt.endpoint;
    char sni[SNI_BYTES_MAX + 1];
    struct tls_engine *engine;
    struct slab *slab = loop_slab(ctx->loop, sizeof(struct h2_client));
    struct target to = {.addr = endpoint->addr};
    struct tls_client_options tls = {.profile = ctx->profile,
                                     .self = ex->upstream->identity,
                                     .trust = ex->view->snapshot->trust,
                                     .expect = &endpoint->expect,
                                     .sni = sni,
                                     .alpn = "h2",
                                     .now_s = loop_wall_s(ctx->loop)};
    name_sni_format(&endpoint->expect, sni);
    struct h2_client *l = slab_get(slab);
    if (l == NULL) return ERR_NOMEM;
    enum err err = tls_engine_client(&tls, &engine);
    if (err != ERR_OK) goto fail_slab;
    uint64_t now = loop_now_ms(ctx->loop);
    struct conn_options o = {.loop = ctx->loop,
                             .events = &conn_events,
                             .owner = l,
                             .phase = LOOP_FLUSH_LINK,
                             .open_deadline_ms = now + ex->upstream->connect_timeout_ms};
    l->ctx = ctx;
    l->begun_us = loop_now_us(ctx->loop);
    l->idle_since_ms = now;
    l->addr = endpoint->addr;
    l->heard = heard_place(ctx->heard, &l->addr);
    l->state = ex->attempt.state;
    l->timer.on_expire = on_expire;
    l->free.on_flush = on_free;
    list_init(&l->waiting);
    err = conn_connect(&o, &to, engine, &l->conn);
    if (err != ERR_OK) goto fail_slab;
    l->identity = identity_ref(ex->upstream->identity);
    l->trust = identity_trust_ref(ex->view->snapshot->trust);
    list_push_back(&ctx->links, &l->node);
    list_push_back(&l->state->links, &l->by_state);
    ctx->handshake_count++;
    metrics_count(ctx->metrics, METRICS_LINKS_OPENED, 1);
    loop_timer_set(ctx->loop, &l->timer, now + LINK_TICK_MS);
    *out = l;
    return ERR_OK;

fail_slab:
    slab_put(slab, l);
    return err;
}

enum err h2_client_attach(struct h2_client *l, struct exchange *ex)
{
    ex->up_ops = &up_ops;
    ex->up = l;
    if (l->h2 != NULL) return ERR_OK;
    list_push_back(&l->waiting, &ex->on_link);
    l->waiting_count++;
    return ERR_AGAIN;
}

size_t h2_client_load(const struct h2_client *l)
{
    return l->waiting_count + (l->h2 != NULL ? h2_streams(l->h2) : 0);
}

bool h2_client_usable(const struct h2_client *l)
{
    if (l->draining || l->failed || l->gone) return false;
    return l->h2 == NULL ? l->waiting_count < LINK_STREAMS_MAX : h2_may_open(l->h2);
}

void h2_client_drain(struct h2_client *l)
{
    l->draining = true;
}

void h2_client_close_all(struct context *ctx)
{
    struct list *node;
    while ((node = list_first(&ctx->links)) != NULL)
        die(LIST_ENTRY(node, struct h2_client, node), REASON_DRAINING);
}
