#include "proxy/http/h2_plain.h"

#include <assert.h>

#include "core/base/check.h"
#include "proxy/http/mux_front.h"
#include "proxy/http/translate.h"
#include "proxy/http/upgrade.h"
#include "proxy/net/listener.h"
#include "proxy/net/plain_server.h"

/* Local clients are many and not to be trusted with as much memory as a host of the mesh. */
#define STREAM_WINDOW_BYTES     (64u * 1024)
#define CONNECTION_WINDOW_BYTES (1024u * 1024)

struct h2_plain {
    struct mux_front front;
    uint64_t listener_id;
    uint32_t begun;         /* requests so far */
    uint64_t idle_since_ms; /* 0: streams are open, or were at the last look */
    struct loop_timer timer;
};

static_assert(offsetof(struct h2_plain, front) == 0, "session_replace makes the whole object");

static struct h2_plain *plain_of(struct mux_front *f)
{
    return CONTAINER_OF(f, struct h2_plain, front);
}

static void front_close(struct mux_front *f, bool abort)
{
    loop_timer_clear(f->session.ctx->loop, &plain_of(f)->timer);
    mux_free(f->mux);
    conn_close(f->conn, abort);
    session_end(&f->session);
}

static const struct config_bounds *bounds_of(const struct h2_plain *s)
{
    return &s->front.session.ctx->view->snapshot->bounds;
}

/* --- streams --- */

static void front_begin(struct mux_front *f, struct exchange *ex)
{
    struct h2_plain *s = plain_of(f);
    uint32_t most = bounds_of(s)->requests_per_connection;
    if (s->begun < UINT32_MAX) s->begun++;
    if (most > 0 && s->begun == most) mux_front_drain(f);
    s->idle_since_ms = 0;
    ex->upstream = listener_upstream(ex->view, s->listener_id);
    if (ex->upstream != NULL) ex->peer = ex->upstream->as;
}

static void front_head(struct mux_front *f, struct exchange *ex, enum reason reason)
{
    (void)f;
    ex->hops = translate_hops(ex->req.headers);
    /* The word is one between parleys. */
    if (reason == REASON_NONE && ex->req.tunnel) reason = REASON_NOT_IMPLEMENTED;
    if (reason == REASON_NONE && ex->req.connect) reason = translate_tunnel(&ex->req, &ex->arena);
    if (reason == REASON_NONE && ex->req.upgrade && !upgrade_add_key(ex))
        reason = REASON_HEADERS_TOO_LARGE;
    if (reason != REASON_NONE)
        exchange_reject(ex, reason);
    else
        exchange_start(ex);
}

static const struct mux_front_ops front_ops = {.direction = DIRECTION_OUTBOUND,
                                               .begin = front_begin,
                                               .head = front_head,
                                               .switched = upgrade_check_proof,
                                               .close = front_close};

/* --- the connection --- */

static void watch_head(struct h2_plain *s)
{
    uint64_t since = s->front.head_since_ms;
    if (s->front.session.gone || since == 0) return;
    if (s->timer.node.pos != 0 && s->timer.node.key <= since + bounds_of(s)->header_timeout_ms)
        return;
    loop_timer_set(s->front.session.ctx->loop, &s->timer, since + bounds_of(s)->header_timeout_ms);
}

static size_t on_data(struct conn *c, void *owner, struct span data)
{
    struct h2_plain *s = owner;
    size_t taken = mux_front_on_data(c, &s->front, data);
    watch_head(s);
    return taken;
}

static void on_open(struct conn *c, void *owner)
{
    (void)c;
    (void)owner;
}

static void on_error(struct conn *c, void *owner, enum err err)
{
    struct h2_plain *s = owner;
    (void)c;
    (void)err;
    mux_front_cut(&s->front, true);
}

static const struct conn_events conn_events = {.on_open = on_open,
                                               .on_data = on_data,
                                               .on_eof = mux_front_on_eof,
                                               .on_error = on_error,
                                               .on_drain = mux_front_on_drain,
                                               .on_flush = mux_front_on_flush};

static void on_expire(struct loop_timer *t)
{
    struct h2_plain *s = CONTAINER_OF(t, struct h2_plain, timer);
    struct loop *loop = s->front.session.ctx->loop;
    uint64_t now = loop_now_ms(loop), since = s->front.head_since_ms;
    if (since != 0 && now >= since + bounds_of(s)->header_timeout_ms) {
        mux_front_cut(&s->front, true);
        return;
    }
    if (mux_streams(s->front.mux) > 0)
        s->idle_since_ms = 0;
    else if (s->idle_since_ms == 0)
        s->idle_since_ms = now;
    else if (now >= s->idle_since_ms + bounds_of(s)->keep_alive_ms) {
        mux_goaway(s->front.mux);
        conn_mark(s->front.conn);
    }
    loop_timer_set(loop, t, now + bounds_of(s)->keep_alive_ms);
    watch_head(s);
}

static void session_refresh(struct session *session)
{
    struct mux_front *f = CONTAINER_OF(session, struct mux_front, session);
    if (session->ctx->view->snapshot->draining) mux_front_drain(f);
}

static void session_close(struct session *session)
{
    mux_front_cut(CONTAINER_OF(session, struct mux_front, session), true);
}

static const struct session_ops session_ops = {
    .size = sizeof(struct h2_plain), .refresh = session_refresh, .close = session_close};

void h2_plain_open(struct session *old, struct conn *take_conn, uint64_t listener_id,
                   struct span behind)
{
    const struct mux_front_limits limits = {.streams_max = old->ctx->view->snapshot->bounds.streams,
                                            .stream_window_bytes = STREAM_WINDOW_BYTES,
                                            .connection_window_bytes = CONNECTION_WINDOW_BYTES};
    struct loop *loop = old->ctx->loop;
    struct h2_plain *s = session_replace(old, &session_ops);
    if (s == NULL) {
        conn_close(take_conn, true);
        return;
    }
    conn_rebind(take_conn, &conn_events, s);
    s->front.conn = take_conn;
    s->front.ops = &front_ops;
    s->listener_id = listener_id;
    s->timer.on_expire = on_expire;
    s->idle_since_ms = loop_now_ms(loop);
    loop_timer_set(loop, &s->timer, s->idle_since_ms + bounds_of(s)->keep_alive_ms);
    if (mux_front_open(&s->front, &limits, false) != ERR_OK) {
        mux_front_cut(&s->front, true);
        return;
    }
    (void)on_data(take_conn, s, SPAN_LIT(H2_PLAIN_HEAD));
    (void)on_data(take_conn, s, behind);
}
