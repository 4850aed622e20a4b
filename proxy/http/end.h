/* Ends: what an exchange asks of the two protocols it stands between, and the queues between them.
 *
 * Worker thread. An end is one table of functions and a pointer of its own (ex->down, ex->up); it
 * tells the exchange what happened by the functions of exchange.h.
 *
 *      h1_server  mux_front   tcp_server  local  -> downstream_ops
 *      mux_back    h1_client  tcp_client  local  -> upstream_ops
 */
#ifndef PROXY_HTTP_END_H
#define PROXY_HTTP_END_H

#include "core/base/iobuf.h"
#include "core/model/reason.h"
#include "core/wire/headers.h"

struct exchange;

/* What the downstream end does for the exchange. `ex->down` is its own. */
struct downstream_ops {
    const char *proto; /* of the access log */
    /* A 1xx head; NULL: the protocol has none. */
    void (*interim)(struct exchange *ex, unsigned status, const struct headers *h);
    /* ex->resp is the final head. False: it cannot be sent; then abort comes. */
    bool (*respond)(struct exchange *ex);
    /* resp_body has bytes, or has ended. Calls exchange_response_taken for what it takes and
     * exchange_delivered once all of it is on its way. */
    void (*flush)(struct exchange *ex);
    /* `bytes` of req_body were taken by the upstream. */
    void (*consumed)(struct exchange *ex, size_t bytes);
    /* Nothing reached an application: tell the caller so that it may go elsewhere. NULL: answer. */
    void (*refuse)(struct exchange *ex);
    /* The response is cut: show it (reset, close). */
    void (*abort)(struct exchange *ex);
    /* Last call: forget the exchange. */
    void (*release)(struct exchange *ex);
};

/* What the upstream end does for it. `ex->up` is its own. */
struct upstream_ops {
    /* Sends the request head. REASON_NONE: a response or exchange_failed will come; else it could
     * not, nothing has left. */
    enum reason (*send)(struct exchange *ex);
    /* req_body has bytes, or has ended. Calls exchange_request_taken. */
    void (*flush)(struct exchange *ex);
    /* `bytes` of resp_body were taken by the downstream. */
    void (*consumed)(struct exchange *ex, size_t bytes);
    /* Last call: the exchange wants no more of it, complete or not. */
    void (*cancel)(struct exchange *ex);
};

/* A queue of content between two ends. */
struct body {
    struct iobuf buf;
    uint64_t bytes_total; /* that ever came in */
    bool ended;           /* nothing follows what is in `buf` */
    struct headers *trailers;
};

#endif
