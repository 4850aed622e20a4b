/* Purse: what one connection of mux.h holds of the allocator that it shares with others, and how
 * much that may be (security.md O03, D12, D13).
 *
 *      | all that there is (bytes_max of mux_alloc.h)                          |
 *      | a peer's connections together: half               | others'             |
 *      | one connection: a quarter  |
 *
 * So what one member does not read, or sends in pieces, never ends the links of another, whichever
 * of the two has connected. Connections to applications have the bound of one each, and no peer's.
 * A purse belongs to its connection's thread. A peer's count is one word that any thread changes,
 * relaxed: steps of MUX_PURSE_STEP_BYTES, on whichever allocator, so that it changes seldom.
 */
#ifndef CORE_WIRE_MUX_PURSE_H
#define CORE_WIRE_MUX_PURSE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/wire/mux_alloc.h"

#define MUX_PURSE_PART       4u
#define MUX_PURSE_PEER_PART  2u
#define MUX_PURSE_STEP_BYTES ((size_t)16 * 1024)
/* Of one connection in the smallest of allocators: its session and a head each way. */
#define MUX_PURSE_BYTES_MIN ((size_t)256 * 1024)

struct mux_purse {
    struct mux_alloc *alloc; /* borrowed */
    _Atomic uint32_t *peer;  /* borrowed: steps of all its connections; NULL: it has no limit */
    size_t bytes;
    uint32_t steps; /* of them, told to the peer's */
    bool refused;   /* something was not given */
};

void mux_purse_init(struct mux_purse *p, struct mux_alloc *alloc, _Atomic uint32_t *peer);
/* Everything must have been put back. */
void mux_purse_fini(struct mux_purse *p);
/* As those of mux_alloc.h; NULL also: the connection, or its peer, would have more than its part.
 */
void *mux_purse_get(struct mux_purse *p, size_t len);
void mux_purse_put(struct mux_purse *p, void *block);
void *mux_purse_resize(struct mux_purse *p, void *block, size_t len);
/* What the connection may hold. */
size_t mux_purse_most(const struct mux_purse *p);

#endif
