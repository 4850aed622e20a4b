/* HTTP/2 front: the streams of one downstream connection (wire/mux.h) as exchanges, whatever it is:
 * a mesh link in HTTP/2 or in the link frame (h2_server.h), or a local client's (h2_plain.h).
 *
 *      conn --on_data--> mux_feed --> on_begin, on_head --> exchange ...
 *      conn <--on_flush-- mux_pull <-- respond, flush <---- exchange ...
 *
 * Worker thread. Embedded first by its owner, which has the connection and says by `ops` what its
 * exchanges are; streams of one connection are exchanges of their own and may go to different
 * endpoints. A connection ends gracefully in two steps (RFC 9113 6.8), so that nothing in flight is
 * cut: GOAWAY without a last stream, and after a round trip with it.
 */
#ifndef PROXY_HTTP_H2_FRONT_H
#define PROXY_HTTP_H2_FRONT_H

#include "core/io/conn.h"
#include "proxy/http/exchange.h"
#include "proxy/net/session.h"

#define H2_FRONT_GOAWAY_MS 1000u /* from step to step: longer than a round trip */

struct h2_front;

struct h2_front_ops {
    enum filter_direction direction;
    /* A stream begins: who calls and for what. */
    void (*begin)(struct h2_front *f, struct exchange *ex);
    /* ex->req is filled as far as `reason`, what is wrong with it, allows: starts, rejects or
     * refuses the exchange. */
    void (*head)(struct h2_front *f, struct exchange *ex, enum reason reason);
    /* The protocol is switched: says so in ex->resp.headers. False: no room. */
    bool (*switched)(struct exchange *ex);
    /* Closes the connection and ends the session; calls mux_free. */
    void (*close)(struct h2_front *f, bool abort);
};

struct h2_front {
    struct session session;
    struct conn *conn;
    struct mux *mux; /* owned; NULL before h2_front_open */
    const struct h2_front_ops *ops;
    uint64_t head_since_ms; /* a head has begun and is not complete; 0: none */
    bool lean;              /* it speaks the link frame */
    bool draining, failed;
    struct loop_timer timer; /* the second step of the end */
};

struct h2_front_limits {
    uint32_t streams_max, stream_window_bytes, connection_window_bytes;
};

/* Starts HTTP/2, or with `lean` the link frame, on its connection. ERR_NOMEM. */
enum err h2_front_open(struct h2_front *f, const struct h2_front_limits *limits,
                       bool lean) MUST_USE;
/* Begins the end; does nothing when it has begun or h2_front_open has not been called. */
void h2_front_drain(struct h2_front *f);
/* The connection is gone: so are the clients of its exchanges. Calls ops->close. */
void h2_front_cut(struct h2_front *f, bool abort);

/* For conn_events; the connection's owner is the front. */
size_t h2_front_on_data(struct conn *c, void *owner, struct span data);
void h2_front_on_flush(struct conn *c, void *owner);
void h2_front_on_drain(struct conn *c, void *owner);
void h2_front_on_eof(struct conn *c, void *owner);

#endif
