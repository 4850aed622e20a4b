#include "proxy/http/mux_back.h"

#include "core/base/check.h"
#include "core/base/strbuf.h"
#include "core/wire/h2.h"
#include "core/wire/link.h"
#include "proxy/http/grpc.h"
#include "proxy/http/mux_pump.h"
#include "proxy/http/translate.h"
#include "proxy/net/pressure.h"

#define NUMBER_BYTES 24u

static void mark(struct mux_back *b)
{
    conn_mark(b->conn);
}

/* --- its end --- */

static void on_free(struct loop_flush *f)
{
    struct mux_back *b = CONTAINER_OF(f, struct mux_back, free);
    slab_put(loop_slab(b->ctx->loop, b->ops->size), b);
}

void mux_back_close(struct mux_back *b, bool abort)
{
    struct context *ctx = b->ctx;
    if (b->gone) return;
    b->gone = true;
    list_remove(&b->node);
    list_remove(&b->by_state);
    loop_timer_clear(ctx->loop, &b->timer);
    b->ops->closed(b);
    mux_free(b->mux);
    endpoint_state_settle(&ctx->endpoints, b->state);
    conn_close(b->conn, abort);
    b->free.on_flush = on_free;
    loop_flush_mark(ctx->loop, &b->free, LOOP_FLUSH_FREE);
}

static struct exchange *first_waiting(struct mux_back *b)
{
    struct list *node = list_first(&b->waiting);
    if (node == NULL) return NULL;
    list_remove(node);
    b->waiting_count--;
    return LIST_ENTRY(node, struct exchange, on_link);
}

void mux_back_die(struct mux_back *b, enum reason reason)
{
    struct exchange *ex;
    /* Each that fails may try another connection at once: this one shall not be it. */
    b->draining = true;
    while ((ex = first_waiting(b)) != NULL)
        exchange_failed(ex, reason, false);
    if (b->mux != NULL) mux_lost(b->mux);
    mux_back_close(b, true);
}

/* --- the exchange's side --- */

struct span mux_back_path(struct exchange *ex)
{
    struct span path = ex->req.target.path, query = ex->req.target.query;
    if (query.len == 0) return path;
    char *text = arena_alloc(&ex->arena, path.len + query.len);
    if (text == NULL) return (struct span){NULL, 0};
    memcpy(text, path.p, path.len);
    memcpy(text + path.len, query.p, query.len);
    return span_of(text, path.len + query.len);
}

bool mux_back_add_number(struct exchange *ex, struct span name, uint64_t number)
{
    struct strbuf out;
    char *text = arena_alloc(&ex->arena, NUMBER_BYTES);
    if (text == NULL) return false;
    strbuf_init_fixed(&out, text, NUMBER_BYTES);
    strbuf_u64(&out, number);
    return headers_add(ex->req.headers, name, strbuf_view(&out)) == ERR_OK;
}

static bool add_timeout(struct exchange *ex)
{
    uint64_t left_ms = grpc_left_ms(ex);
    if (left_ms == 0) return true;
    char *text = arena_alloc(&ex->arena, GRPC_TIMEOUT_BYTES_MAX);
    if (text == NULL) return false;
    struct span value = span_of(text, grpc_timeout_format(left_ms, text));
    return headers_add(ex->req.headers, SPAN_LIT("grpc-timeout"), value) == ERR_OK;
}

static bool add_expect(struct exchange *ex)
{
    if (!ex->req.expect_continue) return true;
    return headers_add(ex->req.headers, SPAN_LIT("expect"), SPAN_LIT("100-continue")) == ERR_OK;
}

static enum reason up_send(struct exchange *ex)
{
    struct mux_back *b = ex->up;
    struct mux_head head;
    bool body = ex->tcp || ex->req.upgrade || !exchange_request_ended(ex);
    headers_remove(ex->req.headers, "parley-hops");
    size_t fields = ex->req.headers->count, bytes = ex->req.headers->bytes;
    enum reason reason = add_timeout(ex) ? b->ops->head(ex, &head) : REASON_INTERNAL;
    if (reason == REASON_NONE && !add_expect(ex)) reason = REASON_INTERNAL;
    struct mux_stream *s = &ex->up_stream;
    *s = (struct mux_stream){.arena = &ex->arena,
                             .fields = &ex->resp_headers,
                             .out = &ex->req_body.buf,
                             .out_ended = ex->req_body.ended,
                             .out_trailers = ex->req_body.trailers,
                             .owner = ex};
    enum err err = reason == REASON_NONE ? mux_request(b->mux, s, &head, body) : ERR_OK;
    /* What was added is for this connection; another attempt adds its own. */
    ex->req.headers->count = fields;
    ex->req.headers->bytes = bytes;
    mark(b);
    if (err == ERR_OK) return reason;
    if (err == ERR_TOO_LARGE) return REASON_HEADERS_TOO_LARGE;
    return err == ERR_FULL ? REASON_POOL_FULL : REASON_INTERNAL;
}

static void up_flush(struct exchange *ex)
{
    struct mux_back *b = ex->up;
    ex->up_stream.out_ended = ex->req_body.ended;
    ex->up_stream.out_trailers = ex->req_body.trailers;
    mux_resume(b->mux, &ex->up_stream);
    mark(b);
}

static void up_consumed(struct exchange *ex, size_t bytes)
{
    struct mux_back *b = ex->up;
    mux_consume(b->mux, &ex->up_stream, bytes);
    mark(b);
}

/* A draining one closes at its owner's next tick at the latest; sooner is not needed. */
static void note_idle(struct mux_back *b)
{
    if (mux_back_load(b) == 0) b->idle_since_ms = loop_now_ms(b->ctx->loop);
}

static void give_up(struct mux_back *b, struct mux_stream *s, enum mux_close how)
{
    if (b->ops->cancels_late)
        mux_cancel(b->mux, s);
    else
        mux_reset(b->mux, s, how);
}

static void up_cancel(struct exchange *ex)
{
    struct mux_back *b = ex->up;
    if (list_linked(&ex->on_link)) {
        list_remove(&ex->on_link);
        b->waiting_count--;
    } else if (ex->up_stream.id != 0) {
        bool over = ex->response_done && exchange_request_ended(ex);
        if (over)
            mux_detach(b->mux, &ex->up_stream);
        else
            give_up(b, &ex->up_stream, MUX_CANCELLED);
        mark(b);
    }
    note_idle(b);
}

static const struct upstream_ops up_ops = {
    .send = up_send, .flush = up_flush, .consumed = up_consumed, .cancel = up_cancel};

static bool room_for_one(const struct mux_back *b)
{
    return b->open && mux_may_open(b->mux);
}

enum err mux_back_attach(struct mux_back *b, struct exchange *ex)
{
    ex->up_ops = &up_ops;
    ex->up = b;
    if (b->waiting_count == 0 && room_for_one(b)) return ERR_OK;
    list_push_back(&b->waiting, &ex->on_link);
    b->waiting_count++;
    return ERR_AGAIN;
}

size_t mux_back_load(const struct mux_back *b)
{
    return b->waiting_count + (b->mux != NULL ? mux_streams(b->mux) : 0);
}

bool mux_back_usable(const struct mux_back *b)
{
    if (b->draining || b->failed || b->gone) return false;
    return b->open ? mux_may_open(b->mux) : b->waiting_count < b->ops->waiting_max;
}

struct exchange *mux_back_take_waiting(struct mux_back *b)
{
    struct exchange *ex = first_waiting(b);
    CHECK(ex != NULL);
    ex->up_ops = NULL;
    ex->up = NULL;
    return ex;
}

static void admit_waiting(struct mux_back *b)
{
    while (b->waiting_count > 0 && room_for_one(b) && !b->gone)
        exchange_connected(first_waiting(b));
}

/* --- streams --- */

static struct mux_stream *on_begin(void *owner)
{
    (void)owner;
    return NULL;
}

static void on_head(void *owner, struct mux_stream *s, bool ended)
{
    struct mux_back *b = owner;
    struct exchange *ex = s->owner;
    if (b->ops->response(ex, &s->head, ended) != REASON_NONE) {
        give_up(b, s, MUX_RESET);
        exchange_failed(ex, REASON_PROTOCOL_ERROR, true);
        return;
    }
    int32_t id = s->id;
    exchange_response_head(ex);
    /* The head may have begun another attempt, on this connection too: the end is not of that. */
    if (ended && ex->up == b && s->id == id) exchange_response_end(ex, NULL);
}

static void on_interim(void *owner, struct mux_stream *s)
{
    (void)owner;
    headers_remove_prefix(s->head.headers, "parley-");
    exchange_interim(s->owner, s->head.status, s->head.headers);
}

static void on_stream_data(void *owner, struct mux_stream *s, struct span data)
{
    (void)owner;
    exchange_response_data(s->owner, data);
}

static void on_end(void *owner, struct mux_stream *s, struct headers *trailers)
{
    (void)owner;
    exchange_response_end(s->owner, translate_trailers(trailers));
}

static void on_sent(void *owner, struct mux_stream *s, size_t bytes)
{
    (void)owner;
    exchange_request_taken(s->owner, bytes);
}

static void on_sent_end(void *owner, struct mux_stream *s)
{
    (void)owner;
    exchange_request_sent(s->owner);
}

static void on_close(void *owner, struct mux_stream *s, enum mux_close how)
{
    struct mux_back *b = owner;
    struct exchange *ex = s->owner;
    note_idle(b);
    /* RFC 9113 8.1: a complete response, and no wish for the rest of the request. The exchange may
     * go on to its client long after this connection has gone. */
    if (how == MUX_CLOSED && ex->response_done && (!ex->tunnelled || exchange_request_ended(ex))) {
        ex->up_ops = NULL;
        ex->up = NULL;
        exchange_request_sent(ex);
        return;
    }
    if (how == MUX_REFUSED)
        exchange_failed(ex, b->ops->refused, false);
    else
        exchange_failed(ex, REASON_UPSTREAM_RESET, true);
}

static void on_goaway(void *owner)
{
    struct mux_back *b = owner;
    b->draining = true;
}

static void on_settings(void *owner)
{
    struct mux_back *b = owner;
    if (b->ops->settings != NULL) b->ops->settings(b);
}

static void on_write(void *owner, struct span bytes)
{
    struct mux_back *b = owner;
    if (conn_write(b->conn, bytes) != ERR_OK) b->failed = true;
}

static const struct mux_events mux_events = {.on_begin = on_begin,
                                             .on_head = on_head,
                                             .on_interim = on_interim,
                                             .on_data = on_stream_data,
                                             .on_end = on_end,
                                             .on_sent = on_sent,
                                             .on_sent_end = on_sent_end,
                                             .on_close = on_close,
                                             .on_goaway = on_goaway,
                                             .on_settings = on_settings,
                                             .on_write = on_write};

/* --- the connection --- */

bool mux_back_start(struct mux_back *b, bool link_frame, _Atomic uint32_t *peer_steps)
{
    struct context *ctx = b->ctx;
    struct mux_options o = {.events = &mux_events,
                            .owner = b,
                            .alloc = &ctx->mux_alloc,
                            .streams_max = LINK_STREAMS_MAX,
                            .stream_window_bytes = LINK_STREAM_WINDOW_BYTES,
                            .connection_window_bytes = LINK_WINDOW_BYTES,
                            .peer_steps = peer_steps,
                            .now_ms = loop_now_ms(ctx->loop)};
    enum err err = link_frame ? link_new(&o, &b->mux) : h2_new(&o, &b->mux);
    if (err != ERR_OK) {
        mux_back_die(b, REASON_INTERNAL);
        return false;
    }
    mark(b);
    return true;
}

void mux_back_opened(struct mux_back *b)
{
    b->open = true;
    admit_waiting(b);
}

size_t mux_back_on_data(struct conn *c, void *owner, struct span data)
{
    struct mux_back *b = owner;
    (void)c;
    if (b->failed) return data.len;
    if (b->ops->heard != NULL) b->ops->heard(b);
    if (mux_feed(b->mux, data, loop_now_ms(b->ctx->loop)) != ERR_OK) b->failed = true;
    mark(b);
    return data.len;
}

/* Those that wait when the peer takes no new streams find their way elsewhere. */
static void turn_away(struct mux_back *b)
{
    struct exchange *ex;
    while (b->draining && (ex = first_waiting(b)) != NULL)
        exchange_failed(ex, b->ops->refused, false);
}

/* Of streams that were given up the peer is told when the time has come. */
static void tick(struct mux_back *b)
{
    if (!mux_wants_tick(b->mux)) return;
    uint64_t due = mux_tick(b->mux, loop_now_ms(b->ctx->loop));
    if (due != UINT64_MAX) loop_timer_set(b->ctx->loop, &b->timer, due);
}

void mux_back_expired(struct mux_back *b)
{
    if (b->mux != NULL && mux_wants_tick(b->mux)) mark(b);
}

void mux_back_on_flush(struct conn *c, void *owner)
{
    struct mux_back *b = owner;
    if (b->mux == NULL) return;
    turn_away(b);
    tick(b);
    admit_waiting(b);
    mux_pump_run(b->mux, c, &b->failed);
    if (b->ops->flushed != NULL) b->ops->flushed(b);
    if (b->failed && mux_starved(b->mux)) pressure_share(b->ctx, conn_remote(c));
    if (b->failed || mux_done(b->mux))
        mux_back_die(b, b->open ? REASON_UPSTREAM_RESET : REASON_PROTOCOL_ERROR);
}

void mux_back_on_drain(struct conn *c, void *owner)
{
    (void)owner;
    conn_mark(c);
}

void mux_back_on_eof(struct conn *c, void *owner)
{
    struct mux_back *b = owner;
    (void)c;
    if (b->mux != NULL && mux_streams(b->mux) > 0 && !b->draining && b->ops->lost != NULL)
        b->ops->lost(b);
    mux_back_die(b, b->ops->refused);
}
