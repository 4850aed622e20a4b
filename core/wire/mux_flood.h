/* Flood budgets of HTTP/2 and of links: a token bucket for each connection (security.md D02, D03,
 * D07 to D10), and one of all connections of a peer, so that connecting again renews nothing.
 *
 * A connection's belongs to its thread. A peer's is one word that any thread changes, relaxed: the
 * time at which its bucket is full again (GCRA). No clock. Cheap frames with dear effects take a
 * token of each.
 */
#ifndef CORE_WIRE_MUX_FLOOD_H
#define CORE_WIRE_MUX_FLOOD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* D02 wants the end before 300 resets. */
#define MUX_FLOOD_BURST     280u
#define MUX_FLOOD_REFILL_MS 20u /* a token */
/* The flood of resets is one right behind its request. One that has run for a while holds a place
 * among the streams allowed, which bounds its rate; one that is over costs nothing. */
#define MUX_FLOOD_RAPID_MS 20u
/* What any connection has now and then, its SETTINGS first, is not held against its peer. */
#define MUX_FLOOD_USUAL 16u
/* A peer has several connections, each of which may have reason for some. */
#define MUX_FLOOD_PEER_BURST     (4u * MUX_FLOOD_BURST)
#define MUX_FLOOD_PEER_REFILL_MS 5u
/* What a peer may say of a stream that is over before it knows: the rest of its head, trailers or
 * end, reset. Of all at once, which are at most LINK_STREAMS_MAX. */
#define MUX_FLOOD_LATE_EACH 4u
#define MUX_FLOOD_LATE_MAX  1024u

struct mux_flood {
    uint32_t tokens;
    uint32_t late; /* frames behind the end of their stream that are the peer's right */
    uint64_t refilled_ms;
    _Atomic uint64_t *peer; /* borrowed; NULL: the connection has its own budget alone */
};

/* `peer`: its word, 0 at first; it outlives the connection. */
void mux_flood_init(struct mux_flood *f, _Atomic uint64_t *peer, uint64_t now_ms);
/* Takes a token of the connection and one of its peer. False: there is none. */
bool mux_flood_spend(struct mux_flood *f, uint64_t now_ms);
/* A stream is over; or, as many as may be open: all are, and new ones come too late. */
void mux_flood_ended(struct mux_flood *f);
void mux_flood_ended_all(struct mux_flood *f);
/* A frame came behind the end of its stream: as mux_flood_spend, unless it is the peer's right. */
bool mux_flood_late(struct mux_flood *f, uint64_t now_ms);
/* Takes one of a peer alone. */
bool mux_flood_peer_spend(_Atomic uint64_t *full_ms, uint64_t now_ms);

#endif
