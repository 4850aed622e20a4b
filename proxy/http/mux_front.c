#include "proxy/http/mux_front.h"

#include "core/base/check.h"
#include "core/wire/h2.h"
#include "core/wire/link.h"
#include "proxy/http/mux_pump.h"
#include "proxy/http/translate.h"
#include "proxy/net/clients.h"
#include "proxy/net/pressure.h"

static void mark(struct mux_front *f)
{
    conn_mark(f->conn);
}

/* --- the exchange's side --- */

static void stream_head(struct exchange *ex, struct mux_head *head)
{
    *head = (struct mux_head){.status = ex->resp.status,
                              .headers = ex->resp.headers,
                              .content_length = ex->tcp ? -1 : ex->resp.content_length};
    if (ex->resp.upgrade) head->status = 200;
}

static void down_interim(struct exchange *ex, unsigned status, const struct headers *h)
{
    struct mux_front *f = ex->down;
    struct headers copy = *h;
    struct mux_head head = {.status = status, .headers = &copy, .content_length = -1};
    if (mux_interim(f->mux, &ex->down_stream, &head) == ERR_OK) mark(f);
}

static bool down_respond(struct exchange *ex)
{
    struct mux_front *f = ex->down;
    struct mux_head head;
    bool body =
        ex->tunnelled || (ex->resp.body_length != BODY_LENGTH_NONE && ex->resp.body_length != 0);
    if (ex->resp.upgrade && !f->ops->switched(ex)) return false;
    stream_head(ex, &head);
    if (mux_respond(f->mux, &ex->down_stream, &head, body) != ERR_OK) return false;
    mark(f);
    return true;
}

static void down_flush(struct exchange *ex)
{
    struct mux_front *f = ex->down;
    ex->down_stream.out_ended = ex->resp_body.ended;
    ex->down_stream.out_trailers = ex->resp_body.trailers;
    mux_resume(f->mux, &ex->down_stream);
    mark(f);
}

static void down_consumed(struct exchange *ex, size_t bytes)
{
    struct mux_front *f = ex->down;
    mux_consume(f->mux, &ex->down_stream, bytes);
    mark(f);
}

static void down_refuse(struct exchange *ex)
{
    struct mux_front *f = ex->down;
    mux_reset(f->mux, &ex->down_stream, MUX_REFUSED);
    mark(f);
}

static void down_abort(struct exchange *ex)
{
    struct mux_front *f = ex->down;
    mux_reset(f->mux, &ex->down_stream, MUX_RESET);
    mark(f);
}

static void down_release(struct exchange *ex)
{
    struct mux_front *f = ex->down;
    if (ex->down_stream.id == 0) return;
    /* RFC 9113 8.1: the answer was complete before the request; no error, but no more of it. The
     * exchange may have stopped listening long before (exchange_reject). */
    if (!ex->down_stream.peer_ended)
        mux_reset(f->mux, &ex->down_stream, MUX_CLOSED);
    else
        mux_detach(f->mux, &ex->down_stream);
    mark(f);
}

/* Over HTTP/2 and over the link frame. */
#define DOWN_OPS                                                                                   \
    .interim = down_interim, .respond = down_respond, .flush = down_flush,                         \
    .consumed = down_consumed, .refuse = down_refuse, .abort = down_abort, .release = down_release
static const struct downstream_ops down_ops = {.proto = "h2", DOWN_OPS};
static const struct downstream_ops link_ops = {.proto = "link", DOWN_OPS};
#undef DOWN_OPS

/* Of a tunnel whose stream is complete while its application still reads. */
static bool gone_respond(struct exchange *ex)
{
    (void)ex;
    return false;
}

static void gone_nothing(struct exchange *ex)
{
    (void)ex;
}

static void gone_consumed(struct exchange *ex, size_t bytes)
{
    (void)ex;
    (void)bytes;
}

#define GONE_OPS                                                                                   \
    .respond = gone_respond, .flush = gone_nothing, .consumed = gone_consumed,                     \
    .abort = gone_nothing, .release = gone_nothing
static const struct downstream_ops gone_ops = {.proto = "h2", GONE_OPS};
static const struct downstream_ops link_gone_ops = {.proto = "link", GONE_OPS};
#undef GONE_OPS

/* --- streams --- */

static struct mux_stream *on_begin(void *owner)
{
    struct mux_front *f = owner;
    struct context *ctx = f->session.ctx;
    const struct downstream_ops *down = f->link_frame ? &link_ops : &down_ops;
    struct exchange *ex = exchange_new(ctx, f->ops->direction, down, f, conn_remote(f->conn));
    if (ex == NULL) {
        metrics_count(ctx->metrics, METRICS_SESSIONS_REFUSED, 1);
        return NULL;
    }
    f->head_since_ms = loop_now_ms(ctx->loop);
    f->ops->begin(f, ex);
    ex->req.peer = &ex->peer;
    ex->down_stream.arena = &ex->arena;
    ex->down_stream.fields = &ex->req_headers;
    ex->down_stream.out = &ex->resp_body.buf;
    ex->down_stream.owner = ex;
    return &ex->down_stream;
}

static void on_head(void *owner, struct mux_stream *stream, bool ended)
{
    struct mux_front *f = owner;
    struct exchange *ex = stream->owner;
    f->head_since_ms = 0;
    ex->req_body.ended = ended;
    f->ops->head(f, ex, translate_request_h2(&stream->head, ended, &ex->arena, &ex->req));
}

static void on_stream_data(void *owner, struct mux_stream *stream, struct span data)
{
    (void)owner;
    exchange_request_data(stream->owner, data);
}

static void on_end(void *owner, struct mux_stream *stream, struct headers *trailers)
{
    (void)owner;
    exchange_request_end(stream->owner, translate_trailers(trailers));
}

static void on_sent(void *owner, struct mux_stream *stream, size_t bytes)
{
    (void)owner;
    exchange_response_taken(stream->owner, bytes);
}

static void on_sent_end(void *owner, struct mux_stream *stream)
{
    (void)owner;
    exchange_delivered(stream->owner);
}

static void on_close(void *owner, struct mux_stream *stream, enum mux_close how)
{
    struct mux_front *f = owner;
    struct exchange *ex = stream->owner;
    /* A head that was refused on the way is none that is waited for. */
    if (!stream->head_seen) f->head_since_ms = 0;
    /* Complete both ways: what is left of the request still goes to the application, maybe long
     * after this link has gone. */
    if (how == MUX_CLOSED && ex->delivered) {
        ex->down_ops = f->link_frame ? &link_gone_ops : &gone_ops;
        ex->down = NULL;
        return;
    }
    exchange_client_gone(ex, REASON_CLIENT_GONE);
}

static void on_goaway(void *owner)
{
    struct mux_front *f = owner;
    f->draining = true;
}

static void on_write(void *owner, struct span bytes)
{
    struct mux_front *f = owner;
    if (conn_write(f->conn, bytes) != ERR_OK) f->failed = true;
}

static const struct mux_events mux_events = {.on_begin = on_begin,
                                             .on_head = on_head,
                                             .on_data = on_stream_data,
                                             .on_end = on_end,
                                             .on_sent = on_sent,
                                             .on_sent_end = on_sent_end,
                                             .on_close = on_close,
                                             .on_goaway = on_goaway,
                                             .on_write = on_write};

/* --- the connection --- */

enum err mux_front_open(struct mux_front *f, const struct mux_front_limits *limits, bool link_frame)
{
    struct context *ctx = f->session.ctx;
    struct mux_options o = {.server = true,
                            .events = &mux_events,
                            .owner = f,
                            .alloc = &ctx->mux_alloc,
                            .streams_max = limits->streams_max,
                            .stream_window_bytes = limits->stream_window_bytes,
                            .connection_window_bytes = limits->connection_window_bytes,
                            .peer_floods = clients_floods(ctx->clients, f->session.client),
                            .peer_steps = clients_steps(ctx->clients, f->session.client),
                            .now_ms = loop_now_ms(ctx->loop)};
    f->link_frame = link_frame;
    enum err err = link_frame ? link_new(&o, &f->mux) : h2_new(&o, &f->mux);
    if (err == ERR_OK)
        mark(f);
    else
        pressure_share(ctx, conn_remote(f->conn));
    return err;
}

void mux_front_cut(struct mux_front *f, bool abort)
{
    if (f->session.gone) return;
    loop_timer_clear(f->session.ctx->loop, &f->timer);
    if (f->mux != NULL) mux_lost(f->mux);
    f->ops->close(f, abort);
}

size_t mux_front_on_data(struct conn *c, void *owner, struct span data)
{
    struct mux_front *f = owner;
    (void)c;
    if (f->failed) return data.len;
    enum err err = mux_feed(f->mux, data, loop_now_ms(f->session.ctx->loop));
    if (err != ERR_OK) f->failed = true;
    mark(f);
    return data.len;
}

void mux_front_on_flush(struct conn *c, void *owner)
{
    struct mux_front *f = owner;
    mux_pump_run(f->mux, c, &f->failed);
    if (f->failed && mux_starved(f->mux)) pressure_share(f->session.ctx, conn_remote(c));
    if (f->failed || mux_done(f->mux)) mux_front_cut(f, false);
}

void mux_front_on_drain(struct conn *c, void *owner)
{
    (void)owner;
    conn_mark(c);
}

void mux_front_on_eof(struct conn *c, void *owner)
{
    (void)c;
    mux_front_cut(owner, false);
}

/* --- the end --- */

static void on_expire(struct loop_timer *t)
{
    struct mux_front *f = CONTAINER_OF(t, struct mux_front, timer);
    mux_goaway(f->mux);
    mark(f);
}

void mux_front_drain(struct mux_front *f)
{
    struct loop *loop = f->session.ctx->loop;
    if (f->mux == NULL || f->timer.on_expire != NULL) return;
    mux_shutdown_notice(f->mux);
    f->timer.on_expire = on_expire;
    loop_timer_set(loop, &f->timer, loop_now_ms(loop) + MUX_FRONT_GOAWAY_MS);
    mark(f);
}
