/* The wiretap: what must hold of the datagrams themselves (gossip.md 4.2).
 *
 *   I9   none is longer than DATAGRAM_BYTES_MAX
 *   I10  those of a node stay within its token bucket
 *   I11  one that was taken before, in the same life of its receiver, is not taken again
 *   I12  a sender never uses a pair of epoch and counter twice, nor an older one, through all its
 *        lives; but for clones, who share an identity
 *
 * Owned by the oracle, to which breaches go. One thread. What was delivered is remembered by hash,
 * the last one of each slot: a replay of long ago may pass unseen, nothing right is ever blamed.
 */
#ifndef TESTS_SIM_WIRETAP_H
#define TESTS_SIM_WIRETAP_H

#include "core/base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define WIRETAP_SLOTS 65536u

struct oracle;
struct world;

/* One sender. */
struct wiretap_node {
    double bytes; /* level of its token bucket as we keep it */
    uint64_t bytes_ms;
    uint64_t epoch, counter; /* of its last packet */
    bool cloned;
};

struct wiretap {
    struct wiretap_node *node; /* owned */
    uint64_t *taken;           /* owned: WIRETAP_SLOTS */
};

/* One datagram on its way through a machine. */
struct wiretap_delivery {
    uint64_t print; /* 0: not to be judged */
    uint64_t refused;
    bool replay;
};

/* False: no memory. */
bool wiretap_init(struct wiretap *t, uint32_t nodes);
void wiretap_fini(struct wiretap *t);
/* Node i begins a life: its bucket is full. */
void wiretap_start(struct wiretap *t, const struct world *w, uint32_t i);
/* Node i sends that. */
void wiretap_sent(struct oracle *o, const struct world *w, uint32_t i, struct span packet);
/* Node i is about to be given that; and has been. */
struct wiretap_delivery wiretap_before(const struct wiretap *t, const struct world *w, uint32_t i,
                                       struct span packet);
void wiretap_after(struct oracle *o, const struct world *w, uint32_t i,
                   const struct wiretap_delivery *d);

#endif
