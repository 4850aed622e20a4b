/* Opening: a connection of which nothing is known before its first bytes are read.
 *
 * Worker thread. Embedded by its owner's kinds (hello.h, preface.h): reads at most
 * OPENING_BYTES_MAX in at most `timeout_ms` and asks `judge` after each read, which gives the
 * descriptor away with all that was read, or refuses. The bytes are never consumed here: whoever
 * takes the descriptor begins with them.
 */
#ifndef PROXY_NET_OPENING_H
#define PROXY_NET_OPENING_H

#include "core/io/sock.h"
#include "proxy/net/session.h"

#define OPENING_BYTES_MAX 8192u

struct opening;

struct opening_ops {
    enum context_opening kind;
    uint64_t timeout_ms;
    /* Looks at `bytes`, `len` of them. ERR_MORE: there is room and more is needed; else it has
     * ended by opening_give and opening_end, or by opening_end alone. */
    enum err (*judge)(struct opening *o);
    /* The time is over, or there is no more room: ends it. */
    void (*late)(struct opening *o);
};

struct opening {
    struct session session;
    const struct opening_ops *ops;
    int fd; /* owned; -1 once given away */
    struct addr from;
    uint64_t listener_id;
    struct loop_io io;
    struct loop_timer timer;
    size_t len;
    char bytes[OPENING_BYTES_MAX];
};

/* Takes an accepted descriptor of the listener with this id. Closes it when there is no room. */
void opening_start(struct context *ctx, const struct opening_ops *ops,
                   const struct sock_accepted *take, uint64_t listener_id);
/* The descriptor without its watcher, for the one that takes it. */
int opening_give(struct opening *o);
/* Closes what was not given away. */
void opening_end(struct opening *o);

#endif
