/* Rotations of the group key in a simulated mesh: rings of their own for the nodes, an operator who
 * makes new keys, and what must be true in the end (scenario S14; security.md N43):
 *
 *   all that are up seal with one key, the newest, and have given the older ones up
 *
 * One thread; borrowed by its world. Cheap crypto only: real worlds have one ring for all.
 */
#ifndef TESTS_SIM_ROTATION_H
#define TESTS_SIM_ROTATION_H

#include "tests/sim/drivers.h"

#define ROTATION_HOLD_MS 15000u

struct rotation {
    struct world *world; /* borrowed */
    struct operators operators;
    struct drivers drivers;
    uint32_t made; /* keys since the first */
};

/* The ring that every node of a world of that seed begins with. */
void rotation_first(uint64_t seed, struct fake_ring *ring);
/* Of a world with rings; gives it drivers that store roots. ERR_NOMEM. */
enum err rotation_init(struct rotation *r, struct world *w) MUST_USE;
void rotation_fini(struct rotation *r);
/* As `parley keyring rotate` at node i: nothing where that would refuse. */
void rotation_make(struct rotation *r, uint32_t i);
/* KEY_STORE, KEY_USE or KEY_DROP at node i. */
void rotation_effect(struct rotation *r, uint32_t i, const struct gossip_effect *e);
/* The first node that is up and not done; options.nodes: all are. */
uint32_t rotation_late(const struct rotation *r);

#endif
