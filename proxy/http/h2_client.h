/* HTTP/2 client: one mesh link to another host, for one service and under one identity
 * (architecture.md 4).
 *
 * Worker thread; proxy/net/pool chooses among links, this is what one is. Exchanges wait on a link
 * until its handshake is done, then each is a stream. A link drains when the peer says GOAWAY or
 * the pool says so: no new streams, closed after its last. It is given up when the peer is silent:
 *
 *      stream open, nothing heard for LINK_PING_MS -> PING; nothing for LINK_DEAD_MS -> dead
 *
 * A link that dies marks its endpoint as failed and tells the control thread, as a hint to probe
 * it.
 */
#ifndef PROXY_HTTP_H2_CLIENT_H
#define PROXY_HTTP_H2_CLIENT_H

#include "proxy/http/exchange.h"

#define LINK_TICK_MS 500u
#define LINK_PING_MS 1000u
#define LINK_DEAD_MS 5000u
#define LINK_IDLE_MS 60000u

struct h2_client {
    struct list node;     /* ctx->links */
    struct list by_state; /* state->links */
    struct context *ctx;
    struct conn *conn;
    struct h2 *h2; /* owned; NULL before the handshake is done */
    struct endpoint_state *state;
    struct addr addr;
    struct heard_place heard;
    struct identity *identity; /* owned reference */
    struct trust *trust;       /* owned reference */
    struct list waiting;       /* exchanges, by on_link */
    size_t waiting_count;
    bool draining, failed, gone;
    uint64_t begun_us, idle_since_ms, heard_ms, pinged_ms;
    struct loop_timer timer;
    struct loop_flush free;
};

/* Starts a link to the exchange's endpoint and lists it. ERR_NOMEM, ERR_FULL, ERR_EXPIRED. */
enum err h2_client_open(struct exchange *ex, struct h2_client **out) MUST_USE;
/* Gives the exchange this link as its upstream. ERR_OK: open; ERR_AGAIN: exchange_connected or
 * exchange_failed will come. */
enum err h2_client_attach(struct h2_client *l, struct exchange *ex) MUST_USE;
/* Streams and waiting exchanges. */
size_t h2_client_load(const struct h2_client *l);
bool h2_client_usable(const struct h2_client *l);
/* No new streams; closed after the last. */
void h2_client_drain(struct h2_client *l);
/* Cuts its exchanges and closes. For the worker's end. */
void h2_client_close_all(struct context *ctx);

#endif
