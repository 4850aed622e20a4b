#include "proxy/net/plain_server.h"

#include <assert.h>
#include <unistd.h>

#include "core/base/check.h"
#include "proxy/net/pressure.h"

static_assert(offsetof(struct plain_server, session) == 0, "session_new makes the whole object");
static_assert(offsetof(struct plain_ops, session) == 0, "a session's ops are the whole table");

static void end(struct plain_server *s, bool abort)
{
    ((const struct plain_ops *)(const void *)s->session.ops)->end(s, abort);
}

struct plain_server *plain_server_open(struct context *ctx, const struct plain_accepted *take,
                                       const struct plain_ops *ops)
{
    struct tls_engine *engine = NULL;
    struct plain_server *s = session_new(ctx, &ops->session, &take->from);
    if (s == NULL) goto fail_fd;
    struct conn_options o = {
        .loop = ctx->loop, .events = &ops->events, .owner = s, .phase = LOOP_FLUSH_PLAIN};
    o.remote = &take->from;
    if (take->tls != NULL) {
        if (!context_may_handshake(ctx, CONTEXT_HANDSHAKE_LOCAL)) {
            metrics_count(ctx->metrics, METRICS_SESSIONS_REFUSED, 1);
            goto fail_session;
        }
        if (tls_engine_local(ctx->profile, take->tls, &engine) != ERR_OK) goto fail_session;
        o.open_deadline_ms = loop_now_ms(ctx->loop) + PLAIN_HANDSHAKE_TIMEOUT_MS;
    }
    if (conn_accept(&o, take->fd, engine, take->seen, &s->conn) != ERR_OK) {
        session_end(&s->session);
        return NULL;
    }
    return s;

fail_session:
    session_end(&s->session);
fail_fd:
    close(take->fd);
    return NULL;
}

struct exchange *plain_server_begin(struct plain_server *s, const struct downstream_ops *ops,
                                    const struct snapshot_upstream *upstream)
{
    struct context *ctx = s->session.ctx;
    struct exchange *ex = exchange_new(ctx, DIRECTION_OUTBOUND, ops, s, conn_remote(s->conn));
    if (ex == NULL) {
        metrics_count(ctx->metrics, METRICS_SESSIONS_REFUSED, 1);
        end(s, true);
        return NULL;
    }
    s->ex = ex;
    ex->upstream = upstream;
    if (ex->upstream != NULL) ex->peer = ex->upstream->as;
    ex->req.peer = &ex->peer;
    return ex;
}

void plain_server_check(struct plain_server *s)
{
    if (s->ex->req_body.buf.len <= pressure_high_water(s->session.ctx)) return;
    s->session.body_paused = true;
    conn_pause(s->conn);
}

void plain_server_feed(struct plain_server *s, struct span data)
{
    struct exchange *ex = s->ex;
    exchange_request_data(ex, data);
    if (!s->session.gone && s->ex == ex) plain_server_check(s);
}

void plain_server_consumed(struct exchange *ex, size_t bytes)
{
    struct plain_server *s = ex->down;
    (void)bytes;
    if (!s->session.body_paused || ex->req_body.buf.len > pressure_low_water(ex->ctx)) return;
    s->session.body_paused = false;
    conn_resume(s->conn);
}

void plain_server_on_open(struct conn *c, void *owner)
{
    (void)c;
    (void)owner;
}

void plain_server_on_error(struct conn *c, void *owner, enum err err)
{
    struct plain_server *s = owner;
    (void)c;
    (void)err;
    if (s->ex != NULL)
        exchange_client_gone(s->ex, REASON_CLIENT_GONE);
    else
        end(s, true);
}

void plain_server_on_drain(struct conn *c, void *owner)
{
    struct plain_server *s = owner;
    (void)c;
    if (s->ex != NULL && s->ex->responded) s->ex->down_ops->flush(s->ex);
}

void plain_server_close(struct session *session)
{
    struct plain_server *s = CONTAINER_OF(session, struct plain_server, session);
    if (s->ex != NULL)
        exchange_cut(s->ex, REASON_DRAINING);
    else
        end(s, false);
}
