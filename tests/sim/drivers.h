/* What the drivers of a simulated mesh do with policy: they judge, put in force, store, and some
 * fail at it; and what must hold meanwhile (gossip.md 4.2):
 *
 *   I13  a node puts nothing in force that it has not judged well, or that the others stopped;
 *        nobody goes before the canary has survived; in the end all have the same in force
 *   I15  what is put in force is whole: all texts of its manifest are there
 *
 * One thread; owned by its world, and made when policy is first spoken of.
 */
#ifndef TESTS_SIM_DRIVERS_H
#define TESTS_SIM_DRIVERS_H

#include "tests/sim/operators.h"
#include "tests/sim/world.h"

#define DRIVERS_CRASHES 2u /* so many starts of one generation, and it is refused */

/* What is wrong with a node, for the generation that is marked. */
enum drivers_fault {
    DRIVERS_GOOD,
    DRIVERS_REJECTS, /* finds it invalid */
    DRIVERS_FAILS,   /* cannot put it in force */
    DRIVERS_CRASHES_AT_IT,
    DRIVERS_CRASHES_SOON, /* in the soak */
    DRIVERS_MUTE          /* never says what it thinks of it */
};

struct drivers_node {
    enum drivers_fault fault;
    struct manifest_hash marked; /* zero: all of them */
    struct manifest_ref judged;  /* the last that it found good */
    struct manifest_ref trying;  /* its crash guard */
    uint32_t tries;
    struct manifest_ref in_force; /* as this life has it */
    bool knows, has;              /* what is watched: as head, in force */
    char *store;                  /* owned */
    size_t store_len;
};

struct drivers {
    struct world *world;       /* borrowed */
    struct drivers_node *node; /* owned */
    struct slab answers;
    struct manifest_ref first; /* the newest that someone put in force, and when */
    uint64_t first_us;
    uint64_t soak_us; /* the usual plan's; 0: wave order is not judged */
    uint32_t activations, crashes;
    struct manifest_ref watched; /* how long until all have it; gen 0: nothing */
    uint64_t watched_us;
    uint32_t expected, know, have;
};

/* ERR_NOMEM. */
enum err drivers_init(struct drivers *d, struct world *w) MUST_USE;
void drivers_fini(struct drivers *d);
/* VALIDATE, ACTIVATE, CHANGED or STORE at node i. */
void drivers_effect(struct drivers *d, uint32_t i, const struct gossip_effect *e);
/* A WORLD_POLICY event is due, or will never be. */
void drivers_event(struct drivers *d, struct world_event *e);
void drivers_discard(struct drivers *d, struct world_event *e);
/* What node i stored of policy; and it starts. */
struct span drivers_store(const struct drivers *d, uint32_t i);
void drivers_start(struct drivers *d, uint32_t i);
/* Gives node i an intent; what the machine says of it. */
enum err drivers_intent(struct drivers *d, uint32_t i, const struct operators_signed *s,
                        struct span text);
/* From now on, until the next, it is measured how long `ref` takes. */
void drivers_watch(struct drivers *d, const struct manifest_ref *ref);
/* How many that are up have `ref` in force; 0 gen: nothing. */
uint32_t drivers_in_force(const struct drivers *d, const struct manifest_ref *ref);
/* How many that are up have it as their head. */
uint32_t drivers_heads(const struct drivers *d, const struct manifest_ref *ref);
/* All that are up have the same heads and the same in force (I13). */
bool drivers_agree(const struct drivers *d);

#endif
