#include "proxy/net/tcp_client.h"

#include "core/base/check.h"
#include "core/io/conn.h"
#include "proxy/net/introduce.h"
#include "proxy/net/pressure.h"

struct tcp_client {
    struct context *ctx;
    struct conn *conn;
    struct exchange *ex;
    bool open, paused, ended, gone;
    struct loop_flush free;
};

static void on_free(struct loop_flush *f)
{
    struct tcp_client *c = CONTAINER_OF(f, struct tcp_client, free);
    slab_put(loop_slab(c->ctx->loop, sizeof *c), c);
}

static void tcp_client_close(struct tcp_client *c, bool abort)
{
    if (c->gone) return;
    c->gone = true;
    conn_close(c->conn, abort);
    loop_flush_mark(c->ctx->loop, &c->free, LOOP_FLUSH_FREE);
}

/* --- the exchange's side --- */

static enum reason up_send(struct exchange *ex)
{
    ex->resp = (struct response){.status = 200,
                                 .headers = &ex->resp_headers,
                                 .body_length = BODY_LENGTH_UNKNOWN,
                                 .content_length = -1};
    exchange_response_head(ex);
    return REASON_NONE;
}

static void up_flush(struct exchange *ex)
{
    struct tcp_client *c = ex->up;
    struct body *body = &ex->req_body;
    while (body->buf.len > 0 && conn_queued(c->conn) <= conn_low_water(c->conn)) {
        size_t len;
        /* It ended: on_error or on_eof says so. */
        if (conn_write_front(c->conn, &body->buf, &len) != ERR_OK) return;
        exchange_request_taken(ex, len);
        if (c->ex != ex) return;
    }
    if (!body->ended || body->buf.len > 0 || c->ended) return;
    c->ended = true;
    conn_shutdown(c->conn);
    exchange_request_sent(ex);
}

static void up_consumed(struct exchange *ex, size_t bytes)
{
    struct tcp_client *c = ex->up;
    (void)bytes;
    if (!c->paused || ex->resp_body.buf.len > pressure_low_water(ex->ctx)) return;
    c->paused = false;
    conn_resume(c->conn);
}

static void up_cancel(struct exchange *ex)
{
    struct tcp_client *c = ex->up;
    bool over = ex->response_done && exchange_request_ended(ex);
    c->ex = NULL;
    tcp_client_close(c, !over);
}

static const struct upstream_ops up_ops = {
    .send = up_send, .flush = up_flush, .consumed = up_consumed, .cancel = up_cancel};

/* --- the connection --- */

static void on_open(struct conn *conn, void *owner)
{
    struct tcp_client *c = owner;
    (void)conn;
    c->open = true;
    if (c->ex != NULL) exchange_connected(c->ex);
}

static void pause_when_full(struct tcp_client *c, const struct exchange *ex)
{
    if (c->ex != ex || ex->resp_body.buf.len <= pressure_high_water(ex->ctx)) return;
    c->paused = true;
    conn_pause(c->conn);
}

static size_t on_data(struct conn *conn, void *owner, struct span data)
{
    struct tcp_client *c = owner;
    struct exchange *ex = c->ex;
    (void)conn;
    if (ex == NULL) return data.len;
    exchange_response_data(ex, data);
    pause_when_full(c, ex);
    return data.len;
}

static void on_blocks(struct conn *conn, void *owner, struct iobuf *data)
{
    struct tcp_client *c = owner;
    struct exchange *ex = c->ex;
    (void)conn;
    if (ex == NULL) {
        iobuf_clear(data);
        return;
    }
    exchange_response_blocks(ex, data);
    pause_when_full(c, ex);
}

static void on_eof(struct conn *conn, void *owner)
{
    struct tcp_client *c = owner;
    (void)conn;
    if (c->ex != NULL) exchange_response_end(c->ex, NULL);
}

static void on_error(struct conn *conn, void *owner, enum err err)
{
    struct tcp_client *c = owner;
    struct exchange *ex = c->ex;
    enum reason reason = REASON_UPSTREAM_RESET;
    (void)conn;
    if (!c->open) reason = err == ERR_TIMEOUT ? REASON_CONN_TIMEOUT : REASON_CONN_REFUSED;
    c->ex = NULL;
    tcp_client_close(c, true);
    if (ex != NULL) exchange_failed(ex, reason, c->open);
}

static void on_drain(struct conn *conn, void *owner)
{
    struct tcp_client *c = owner;
    (void)conn;
    if (c->ex != NULL && c->ex->attempt.sent) up_flush(c->ex);
}

static const struct conn_events events = {.on_open = on_open,
                                          .on_data = on_data,
                                          .on_blocks = on_blocks,
                                          .on_eof = on_eof,
                                          .on_error = on_error,
                                          .on_drain = on_drain};

enum err tcp_client_open(struct exchange *ex)
{
    struct loop *loop = ex->ctx->loop;
    struct slab *slab = loop_slab(loop, sizeof(struct tcp_client));
    struct tcp_client *c = slab_get(slab);
    if (c == NULL) return ERR_NOMEM;
    *c = (struct tcp_client){.ctx = ex->ctx, .ex = ex, .free.on_flush = on_free};
    struct conn_options o = {
        .loop = loop, .events = &events, .owner = c, .phase = LOOP_FLUSH_PLAIN};
    enum err err = conn_connect(&o, &ex->service->local, NULL, &c->conn);
    if (err != ERR_OK) {
        slab_put(slab, c);
        return err;
    }
    introduce_client(c->conn, ex->service, &ex->client);
    ex->up_ops = &up_ops;
    ex->up = c;
    return ERR_AGAIN;
}
