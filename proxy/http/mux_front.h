/* Front: the streams of one downstream connection (wire/mux.h) as exchanges, whatever it is:
 * a mesh link in HTTP/2 or in the link frame (link_server.h), or a local client's (h2_plain.h).
 *
 *      conn --on_data--> mux_feed --> on_begin, on_head --> exchange ...
 *      conn <--on_flush-- mux_pull <-- respond, flush <---- exchange ...
 *
 * Worker thread. Embedded first by its owner, which has the connection and says by `ops` what its
 * exchanges are; streams of one connection are exchanges of their own and may go to different
 * endpoints. A connection ends gracefully in two steps (RFC 9113 6.8), so that nothing in flight is
 * cut: GOAWAY without a last stream, and after a round trip with it.
 */
#ifndef PROXY_HTTP_MUX_FRONT_H
#define PROXY_HTTP_MUX_FRONT_H

#include "core/io/conn.h"
#include "proxy/http/exchange.h"
#include "proxy/net/session.h"

#define MUX_FRONT_GOAWAY_MS 1000u /* from step to step: longer than a round trip */

struct mux_front;

struct mux_front_ops {
    enum filter_direction direction;
    /* A stream begins: who calls and for what. */
    void (*begin)(struct mux_front *f, struct exchange *ex);
    /* ex->req is filled as far as `reason`, what is wrong with it, allows: starts, rejects or
     * refuses the exchange. */
    void (*head)(struct mux_front *f, struct exchange *ex, enum reason reason);
    /* The protocol is switched: says so in ex->resp.headers. False: no room. */
    bool (*switched)(struct exchange *ex);
    /* Closes the connection and ends the session; calls mux_free. */
    void (*close)(struct mux_front *f, bool abort);
};

struct mux_front {
    struct session session;
    struct conn *conn;
    struct mux *mux; /* owned; NULL before mux_front_open */
    const struct mux_front_ops *ops;
    uint64_t head_since_ms; /* a head has begun and is not complete; 0: none */
    bool link_frame;        /* it speaks the link frame */
    bool draining, failed;
    struct loop_timer timer; /* the second step of the end */
};

struct mux_front_limits {
    uint32_t streams_max, stream_window_bytes, connection_window_bytes;
};

/* Starts HTTP/2, or the link frame, on its connection. ERR_NOMEM. */
enum err mux_front_open(struct mux_front *f, const struct mux_front_limits *limits,
                        bool link_frame) MUST_USE;
/* Begins the end; does nothing when it has begun or mux_front_open has not been called. */
void mux_front_drain(struct mux_front *f);
/* The connection is gone: so are the clients of its exchanges. Calls ops->close. */
void mux_front_cut(struct mux_front *f, bool abort);

/* For conn_events; the connection's owner is the front. */
size_t mux_front_on_data(struct conn *c, void *owner, struct span data);
void mux_front_on_flush(struct conn *c, void *owner);
void mux_front_on_drain(struct conn *c, void *owner);
void mux_front_on_eof(struct conn *c, void *owner);

#endif
