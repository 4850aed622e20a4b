/* Session: what every downstream connection of a worker has in common, whatever it speaks.
 *
 * Worker thread. Embedded first in plain_server, mux_front and hello; listed in the context so that
 * a new view and the worker's end reach them all. Memory goes at the turn's end, so that a session
 * may end inside any callback of its own.
 */
#ifndef PROXY_NET_SESSION_H
#define PROXY_NET_SESSION_H

#include "proxy/net/context.h"

#define SESSION_BYTES 4096u /* idle and plain: 512 of ours, the rest is the socket */

struct session;

struct session_ops {
    size_t size; /* of the struct that embeds it */
    /* What one takes at most with its connection and the kernel's part of it, its bodies apart; 0:
     * SESSION_BYTES. */
    size_t bytes;
    /* A new view is in place; NULL: not interested. */
    void (*refresh)(struct session *s);
    /* The worker ends: close now. */
    void (*close)(struct session *s);
};

struct session {
    struct list node;
    struct context *ctx;
    const struct session_ops *ops;
    struct loop_flush free;
    struct clients_cell *client; /* borrowed; NULL: is not counted */
    bool gone;                   /* closed; callbacks in progress stop touching it */
    bool body_paused;            /* of a plain_server: reading waits for req_body to fall */
};

/* A zeroed object of ops->size with its session set up, of a connection of `from`. NULL: at a cap
 * (counted) or out of memory. */
void *session_new(struct context *ctx, const struct session_ops *ops, const struct addr *from);
/* As session_new, for a connection whose session `old` ends here: it goes on as another. */
void *session_replace(struct session *old, const struct session_ops *ops);
/* Its connection goes on in a session_new that comes before session_end: is not counted twice. */
void session_give(struct session *s);
/* Marks it gone; freed at the turn's end. */
void session_end(struct session *s);
/* Calls refresh or close of all. */
void session_refresh_all(struct context *ctx);
void session_close_all(struct context *ctx);

#endif
