/* Link client: one mesh link to another host, for one service and under one identity
 * (architecture.md 4), in the link frame or, to a host that does not know it, in HTTP/2.
 *
 * Worker thread; proxy/net/pool chooses among links, this is what one is: a back (mux_back.h) with
 * TLS under it. It is given up when the peer is silent:
 *
 *      nothing heard for LINK_PING_MS -> PING; nothing for LINK_DEAD_MS -> dead
 *
 * while streams are open or wait to be, or it is to be told of some that were given up, and until
 * its first word.
 *
 * A link that dies marks its endpoint as failed and tells the control thread, as a hint to probe
 * it.
 */
#ifndef PROXY_HTTP_LINK_CLIENT_H
#define PROXY_HTTP_LINK_CLIENT_H

#include "proxy/http/mux_back.h"

#define LINK_TICK_MS 500u
#define LINK_PING_MS 1000u
#define LINK_DEAD_MS 5000u
#define LINK_IDLE_MS 60000u

struct link_client {
    struct mux_back back; /* open after the handshake */
    struct addr addr;
    struct heard_place heard;
    struct identity *identity; /* owned reference */
    struct trust *trust;       /* owned reference */
    uint64_t begun_us, heard_ms, pinged_ms;
    bool spoken; /* its settings, at least, have come */
};

/* Starts a link to the exchange's endpoint and lists it. ERR_NOMEM, ERR_FULL, ERR_EXPIRED. */
enum err link_client_open(struct exchange *ex, struct link_client **out) MUST_USE;
/* Cuts its exchanges and closes. For the worker's end. */
void link_client_close_all(struct context *ctx);

#endif
