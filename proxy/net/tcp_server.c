#include "proxy/net/tcp_server.h"

#include "proxy/net/plain_server.h"
#include "proxy/net/pressure.h"

static void end(struct plain_server *s, bool abort)
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
    struct plain_server *s = ex->down;
    struct body *body = &ex->resp_body;
    if (ex->delivered) return;
    size_t most = pressure_out_water(ex->ctx, s->conn);
    while (body->buf.len > 0 && conn_queued(s->conn) <= most) {
        size_t len;
        if (conn_write_front(s->conn, &body->buf, &len) != ERR_OK) {
            exchange_client_gone(ex, REASON_CLIENT_GONE);
            return;
        }
        exchange_response_taken(ex, len);
        if (ex->ended) return;
    }
    if (body->buf.len > 0) conn_ask_drain(s->conn);
    if (body->buf.len > 0 || !body->ended) return;
    conn_shutdown(s->conn);
    exchange_delivered(ex);
}

static void down_abort(struct exchange *ex)
{
    end(ex->down, true);
}

static void down_release(struct exchange *ex)
{
    struct plain_server *s = ex->down;
    s->ex = NULL;
    end(s, false);
}

static const struct downstream_ops down_ops = {
    .proto = "tcp",
    .respond = down_respond,
    .flush = down_flush,
    .consumed = plain_server_consumed,
    .abort = down_abort,
    .release = down_release,
};

/* --- the connection --- */

static size_t on_data(struct conn *c, void *owner, struct span data)
{
    struct plain_server *s = owner;
    (void)c;
    if (s->ex != NULL) plain_server_feed(s, data);
    return data.len;
}

static void on_eof(struct conn *c, void *owner)
{
    struct plain_server *s = owner;
    (void)c;
    if (s->ex != NULL) exchange_request_end(s->ex, NULL);
}

static const struct plain_ops plain_ops = {
    .session = {.size = sizeof(struct plain_server), .close = plain_server_close},
    .events = {.on_open = plain_server_on_open,
               .on_data = on_data,
               .on_eof = on_eof,
               .on_error = plain_server_on_error,
               .on_drain = plain_server_on_drain},
    .end = end};

void tcp_server_open(struct context *ctx, const struct plain_accepted *take,
                     const struct snapshot_upstream *upstream)
{
    struct plain_server *s = plain_server_open(ctx, take, &plain_ops);
    if (s == NULL) return;
    struct exchange *ex = plain_server_begin(s, &down_ops, upstream);
    if (ex == NULL) return;
    ex->tcp = true;
    ex->req.connect = true;
    ex->req.body_length = BODY_LENGTH_UNKNOWN;
    exchange_start(ex);
}
