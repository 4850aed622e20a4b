/* The link frame, `parley-link/1`: what two parleys speak on a mesh link instead of HTTP/2, as a
 * codec of mux.h. Same streams, same events, a third of the work.
 *
 *       0              24      28      32                              64
 *      +---------------+-------+-------+-------------------------------+----------
 *      | length (24)   | flags | type  |          stream (32)          | payload ...
 *      +---------------+-------+-------+-------------------------------+----------
 *
 *      type             payload                                     stream
 *      0  HELLO         streams (16), stream window (32),           0
 *                       connection window (32), more                    once, before all else
 *      1  HEAD     END  a head (link_head.h); NARROW, of a request   yes
 *      2  TRAILERS      a head; always the end                      yes
 *      3  DATA     END  bytes                                       yes
 *      4  RESET         reason (8): enum mux_close                  yes
 *      5  CREDIT        bytes (32), not 0                           yes, or 0: the connection's
 *      6  PING          none                                        0
 *      7  PONG          none                                        0
 *      8  GOAWAY        reason (8): enum link_goaway,               0
 *                       requests (32): how many were accepted
 *
 * Numbers are big-endian; END is flag 1, NARROW flag 2, other flags are 0. What is not above is an
 * error of the connection.
 *
 * Streams. Only the client opens them. A stream's number is a place and how often it was taken:
 *
 *      | 0 | generation (23) | place (8) |        the generation follows the one before; never 0
 *
 * A place is free again when both sides have ended the stream or one has reset it. So neither side
 * searches, and what comes late for a stream that is no more is told from what may not come at all:
 * frames of a stream that we reset are dropped, and so are RESET and CREDIT of one that is over. A
 * client opens none before it has had HELLO, which the server sends behind its TLS Finished.
 *
 * Flow control is HTTP/2's: DATA counts against the stream's and the connection's window, CREDIT
 * gives back, in large pieces, and may give more (link_window.h). Heads do not count. A request
 * that says NARROW gives its response a quarter of the window of HELLO to begin with.
 *
 * The end, in two steps: GOAWAY(NOTICE), open no more; GOAWAY(LAST), requests beyond those accepted
 * were not looked at and may go elsewhere. An error is told by GOAWAY too, then the connection is
 * closed.
 *
 * Malformed heads and bodies of another length than announced (RFC 9113 8.1.1) reset their stream.
 *
 * One thread. Memory: about 21 KiB, and while heads wait or come in pieces, theirs.
 */
#ifndef CORE_WIRE_LINK_H
#define CORE_WIRE_LINK_H

#include "core/wire/mux.h"

#define LINK_ALPN "parley-link/1"

#define LINK_PLACES           256u
#define LINK_FRAME_HEAD_BYTES 8u
/* A head of HEADER_BYTES_MAX and what frames it. */
#define LINK_HEAD_BYTES_MAX (HEADER_BYTES_MAX + 16u * HEADER_FIELDS_MAX + 256u)
#define LINK_DATA_BYTES_MAX 16384u
/* What one body sends before the next has its turn: whole ones arrive in one piece then, where
 * frames of all in turn would make as many small writes of each at the far end. */
#define LINK_TURN_BYTES      65536u
#define LINK_HELLO_BYTES     10u
#define LINK_HELLO_BYTES_MAX 64u
#define LINK_CREDIT_BYTES    4u
#define LINK_GOAWAY_BYTES    5u
/* Heads and control frames that may wait; more is what nobody reads. */
#define LINK_QUEUE_BYTES_MAX ((size_t)4 << 20)
/* While so many wait no head is added: they are many clients', and the end would be everybody's. */
#define LINK_QUEUE_HEADS_MAX  (LINK_QUEUE_BYTES_MAX / 2)
#define LINK_QUEUE_HEADS_PART 4u /* and no more than this part of mux_purse_most */
/* A smaller CREDIT counts as one of a flood. */
#define LINK_CREDIT_BYTES_MIN 1024u

enum link_type {
    LINK_HELLO,
    LINK_HEAD,
    LINK_TRAILERS,
    LINK_DATA,
    LINK_RESET,
    LINK_CREDIT,
    LINK_PING,
    LINK_PONG,
    LINK_GOAWAY,
    LINK_TYPE_COUNT
};
/* Of the byte that the type is in. */
#define LINK_FLAG_END    0x10u
#define LINK_FLAG_NARROW 0x20u
#define LINK_NARROW_PART 4u /* of a window */

enum link_goaway { LINK_NOTICE, LINK_LAST, LINK_BROKEN, LINK_FLOOD };

/* HELLO is queued. Owned by the caller, for mux_free. ERR_NOMEM. */
enum err link_new(const struct mux_options *o, struct mux **out) MUST_USE;

#endif
