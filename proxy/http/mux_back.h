/* Back: exchanges as the streams of one upstream connection (wire/mux.h), whatever it is: a
 * mesh link in HTTP/2 or in the link frame (link_client.h), or a local application's (h2_app.h).
 *
 *      exchange --send, flush--> mux_request --on_flush--> conn
 *      exchange <-- on_head, on_data, on_close <-- mux_feed <-- conn
 *
 * Worker thread. Embedded first by its owner, who opens the connection, says by `ops` how a request
 * goes onto it, and chooses among several. Exchanges wait, first come first served, until the
 * connection is open and the peer lets us open another stream. It drains when the peer says GOAWAY
 * or the owner says so: no new streams, closed after its last.
 */
#ifndef PROXY_HTTP_MUX_BACK_H
#define PROXY_HTTP_MUX_BACK_H

#include "core/io/conn.h"
#include "proxy/http/exchange.h"

struct mux_back;

struct mux_back_ops {
    size_t size;          /* of the object that embeds it */
    enum reason refused;  /* a stream that the peer did not process */
    uint32_t waiting_max; /* exchanges */
    bool cancels_late;    /* as mux_cancel does; the peer is a parley, which answers PINGs */
    /* The request head of ex->req; what it adds to the headers is taken back. */
    enum reason (*head)(struct exchange *ex, struct mux_head *head);
    /* A final head came: fills ex->resp. */
    enum reason (*response)(struct exchange *ex, const struct mux_head *head, bool ended);
    void (*heard)(struct mux_back *b);    /* bytes came; NULL: not interested */
    void (*settings)(struct mux_back *b); /* the peer's settings came; NULL: not interested */
    void (*flushed)(struct mux_back *b);  /* bytes left in this turn; NULL: not interested */
    void (*lost)(struct mux_back *b);     /* the other side ended it under streams; may be NULL */
    void (*closed)(struct mux_back *b);   /* last call: lets go of what the owner holds */
};

struct mux_back {
    struct list node;     /* ctx->links or ctx->h2_apps */
    struct list by_state; /* state->links or state->h2_apps */
    struct context *ctx;
    struct conn *conn;
    struct mux *mux; /* owned; NULL before mux_back_start */
    const struct mux_back_ops *ops;
    struct endpoint_state *state;
    struct list waiting; /* exchanges, by on_link */
    size_t waiting_count;
    bool open; /* streams may begin */
    bool draining, failed, gone;
    uint64_t idle_since_ms;
    struct loop_timer timer; /* of the owner; with cancels_late it is set for sooner here */
    struct loop_flush free;
};

/* The connection is made: starts HTTP/2, or the link frame. False: no memory, it has died. */
bool mux_back_start(struct mux_back *b, bool link_frame, _Atomic uint32_t *peer_steps);
/* Streams may begin: of those that wait as many as the peer allows. */
void mux_back_opened(struct mux_back *b);
/* Its exchanges fail, those that wait for `reason`, and it is closed. */
void mux_back_die(struct mux_back *b, enum reason reason);
/* Nothing of it is in use: closes it. */
void mux_back_close(struct mux_back *b, bool abort);

/* The owner's timer has expired. */
void mux_back_expired(struct mux_back *b);

/* Gives the exchange this connection as its upstream. ERR_OK: open; ERR_AGAIN: exchange_connected
 * or exchange_failed will come. */
enum err mux_back_attach(struct mux_back *b, struct exchange *ex) MUST_USE;
/* The first of those that wait, detached; it must be attached again. At least one waits. */
struct exchange *mux_back_take_waiting(struct mux_back *b);
/* Streams and waiting exchanges. */
size_t mux_back_load(const struct mux_back *b);
/* Would an exchange get a stream at once, or soon? */
bool mux_back_usable(const struct mux_back *b);

/* ":path" of a request; p NULL: no memory. */
struct span mux_back_path(struct exchange *ex);
/* Adds `name: number` to the request. False: no room. */
bool mux_back_add_number(struct exchange *ex, struct span name, uint64_t number);

/* For conn_events; the connection's owner is the back. */
size_t mux_back_on_data(struct conn *c, void *owner, struct span data);
void mux_back_on_flush(struct conn *c, void *owner);
void mux_back_on_drain(struct conn *c, void *owner);
void mux_back_on_eof(struct conn *c, void *owner);

#endif
