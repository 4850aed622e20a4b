/* HTTP/2 client: one mesh link to another host, for one service and under one identity
 * (architecture.md 4), in the link frame or, to a host that does not know it, in HTTP/2.
 *
 * Worker thread; proxy/net/pool chooses among links, this is what one is: a back (h2_back.h) with
 * TLS under it. It is given up when the peer is silent:
 *
 *      nothing heard for LINK_PING_MS -> PING; nothing for LINK_DEAD_MS -> dead
 *
 * while streams are open or wait to be, and until its first word.
 *
 * A link that dies marks its endpoint as failed and tells the control thread, as a hint to probe
 * it.
 */
#ifndef PROXY_HTTP_H2_CLIENT_H
#define PROXY_HTTP_H2_CLIENT_H

#include "proxy/http/h2_back.h"

#define LINK_TICK_MS 500u
#define LINK_PING_MS 1000u
#define LINK_DEAD_MS 5000u
#define LINK_IDLE_MS 60000u

struct h2_client {
    struct h2_back back; /* open after the handshake */
    struct addr addr;
    struct heard_place heard;
    struct identity *identity; /* owned reference */
    struct trust *trust;       /* owned reference */
    uint64_t begun_us, heard_ms, pinged_ms;
    bool spoken; /* its settings, at least, have come */
};

/* Starts a link to the exchange's endpoint and lists it. ERR_NOMEM, ERR_FULL, ERR_EXPIRED. */
enum err h2_client_open(struct exchange *ex, struct h2_client **out) MUST_USE;
/* Cuts its exchanges and closes. For the worker's end. */
void h2_client_close_all(struct context *ctx);

#endif
