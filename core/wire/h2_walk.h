/* Frame by frame through the bytes of an HTTP/2 connection, looking into none (RFC 9113 4.1).
 *
 *      [ length 24 | type 8 | flags 8 | R 1 + stream id 31 ][ payload, length bytes ]
 *
 * One thread, that of the connection; of core/wire/h2 alone. nghttp2 drops DATA for a stream that
 * it has forgotten without a word; this is how we see it first.
 */
#ifndef CORE_WIRE_H2_WALK_H
#define CORE_WIRE_H2_WALK_H

#include "core/base/span.h"

#define H2_WALK_HEAD_BYTES 9u

struct h2_walk {
    uint8_t head[H2_WALK_HEAD_BYTES];
    uint8_t have;  /* bytes of it */
    uint32_t skip; /* bytes until the next one; first those of the preface */
    uint8_t type;  /* of the last complete head */
    int32_t stream_id;
};

/* Takes bytes up to the end of the next head, or all; the count. `*complete`: a head is. */
size_t h2_walk_next(struct h2_walk *w, struct span in, bool *complete);

#endif
