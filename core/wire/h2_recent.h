/* The last streams that a peer opened on an HTTP/2 connection, after they are gone: whether each
 * was opened at all, and whether the peer itself had ended it (RFC 9113 5.1, 5.1.1).
 *
 *      last_id      -2     -4   ..   -126
 *      bit 0     bit 1  bit 2      bit 63      of `opened` and of `ended`
 *
 * One thread, that of the connection; no clock. nghttp2 forgets closed streams, as we let it for
 * their memory, and then takes a frame for one that the peer never opened, or has ended, as a late
 * one for a stream that we reset.
 */
#ifndef CORE_WIRE_H2_RECENT_H
#define CORE_WIRE_H2_RECENT_H

#include <stdbool.h>
#include <stdint.h>

struct h2_recent {
    int32_t last_id; /* the highest; 0: none */
    uint64_t opened, ended;
};

enum h2_recent_state {
    H2_RECENT_FRESH,   /* higher than all */
    H2_RECENT_SKIPPED, /* the peer left it out, so it may not come back */
    H2_RECENT_ENDED,   /* by the peer: nothing may follow */
    H2_RECENT_OTHER    /* open, reset by us, or too long ago to tell */
};

/* The peer has opened `id`, of its own kind and higher than all before. */
void h2_recent_open(struct h2_recent *r, int32_t id);
/* The peer has ended its side of `id`, or reset it. */
void h2_recent_end(struct h2_recent *r, int32_t id);
/* What is known of `id`, which is of the peer's kind. */
enum h2_recent_state h2_recent_look(const struct h2_recent *r, int32_t id);

#endif
