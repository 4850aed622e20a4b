#include "proxy/net/tcp_server.h"

#include <unistd.h>

#include "core/base/check.h"
#include "core/io/conn.h"
#include "proxy/http/exchange.h"
#include "proxy/net/listener.h"
#include "proxy/net/session.h"

struct tcp_server {
    struct session session;
    struct conn *conn;
    struct exchange *ex; /* NULL once it is over */
    bool paused;
};

static void tcp_server_close(struct tcp_server *s, bool abort)
{
    if (s->session.gone) return;
    conn_close(s->conn, abort);
    session_end(&s->session);
}

/* --- the exchange's side --- */

static bool down_respond(struct exchange *ex)
{
    /* There is no way to say why not, but a reset. */
    return ex->tunnelled;
}

static void down_flush(struct exchange *ex)
{
    struct tcp_server *s = ex->down;
    struct body *body = &ex->resp_body;
    if (ex->delivered) return;
    while (body->buf.len > 0 && conn_queued(s->conn) <= conn_low_water(s->conn)) {
        struct span part = iobuf_front(&body->buf);
        if (conn_write(s->conn, part) != ERR_OK) {
            exchange_client_gone(ex, REASON_CLIENT_GONE);
            return;
        }
        iobuf_consume(&body->buf, part.len);
        exchange_response_taken(ex, part.len);
        if (ex->ended) return;
    }
    if (body->buf.len > 0 || !body->ended) return;
    conn_shutdown(s->conn);
    exchange_delivered(ex);
}

static void down_consumed(struct exchange *ex, size_t bytes)
{
    struct tcp_server *s = ex->down;
    (void)bytes;
    if (!s->paused || ex->req_body.buf.len > BODY_LOW_WATER_BYTES) return;
    s->paused = false;
    conn_resume(s->conn);
}

static void down_abort(struct exchange *ex)
{
    tcp_server_close(ex->down, true);
}

static void down_release(struct exchange *ex)
{
    struct tcp_server *s = ex->down;
    s->ex = NULL;
    tcp_server_close(s, false);
}

static const struct downstream_ops down_ops = {
    .proto = "tcp",
    .respond = down_respond,
    .flush = down_flush,
    .consumed = down_consumed,
    .abort = down_abort,
    .release = down_release,
};

/* --- the connection --- */

static void on_open(struct conn *c, void *owner)
{
    (void)c;
    (void)owner;
}

static size_t on_data(struct conn *c, void *owner, struct span data)
{
    struct tcp_server *s = owner;
    struct exchange *ex = s->ex;
    if (ex == NULL) return data.len;
    exchange_request_data(ex, data);
    if (s->ex == ex && ex->req_body.buf.len > BODY_HIGH_WATER_BYTES) {
        s->paused = true;
        conn_pause(c);
    }
    return data.len;
}

static void on_eof(struct conn *c, void *owner)
{
    struct tcp_server *s = owner;
    (void)c;
    if (s->ex != NULL) exchange_request_end(s->ex, NULL);
}

static void on_error(struct conn *c, void *owner, enum err err)
{
    struct tcp_server *s = owner;
    (void)c;
    (void)err;
    if (s->ex != NULL)
        exchange_client_gone(s->ex, REASON_CLIENT_GONE);
    else
        tcp_server_close(s, true);
}

static void on_drain(struct conn *c, void *owner)
{
    struct tcp_server *s = owner;
    (void)c;
    if (s->ex != NULL && s->ex->responded) down_flush(s->ex);
}

static const struct conn_events events = {.on_open = on_open,
                                          .on_data = on_data,
                                          .on_eof = on_eof,
                                          .on_error = on_error,
                                          .on_drain = on_drain};

static void session_close(struct session *session)
{
    struct tcp_server *s = CONTAINER_OF(session, struct tcp_server, session);
    if (s->ex != NULL)
        exchange_cut(s->ex, REASON_DRAINING);
    else
        tcp_server_close(s, true);
}

static const struct session_ops session_ops = {.size = sizeof(struct tcp_server),
                                               .close = session_close};

void tcp_server_open(struct context *ctx, int take_fd, uint64_t listener_id)
{
    struct tcp_server *s = session_new(ctx, &session_ops);
    if (s == NULL) {
        close(take_fd);
        return;
    }
    struct conn_options o = {
        .loop = ctx->loop, .events = &events, .owner = s, .phase = LOOP_FLUSH_PLAIN};
    if (conn_accept(&o, take_fd, NULL, (struct span){NULL, 0}, &s->conn) != ERR_OK) {
        session_end(&s->session);
        return;
    }
    struct exchange *ex = exchange_new(ctx, DIRECTION_OUTBOUND, &down_ops, s, conn_remote(s->conn));
    if (ex == NULL) {
        tcp_server_close(s, true);
        return;
    }
    s->ex = ex;
    ex->tcp = true;
    ex->upstream = listener_upstream(ex->view, listener_id);
    if (ex->upstream != NULL) ex->peer = ex->upstream->as;
    ex->req.peer = &ex->peer;
    ex->req.connect = true;
    ex->req.body_length = BODY_LENGTH_UNKNOWN;
    exchange_start(ex);
}
