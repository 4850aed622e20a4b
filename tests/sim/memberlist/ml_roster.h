/* Roster: what one memberlist node holds of each other, and the shuffled list it probes along.
 *
 * Owned by its node; ten bytes a member, since a world of 10 000 holds 10 000 of them.
 */
#ifndef TESTS_SIM_MEMBERLIST_ML_ROSTER_H
#define TESTS_SIM_MEMBERLIST_ML_ROSTER_H

#include "core/base/err.h"
#include "core/base/rng.h"
#include "tests/sim/memberlist/ml_wire.h"

struct ml_entry {
    uint32_t status : 3; /* enum ml_status */
    uint32_t inc : 29;
    /* SUSPECT: its slot among the suspicions; DEAD, LEFT, FORGOTTEN: since when, in ms. */
    uint32_t aux;
};

struct ml_roster {
    struct ml_entry *entry; /* owned: by number of the node */
    uint16_t *order;        /* owned: the numbers of the listed ones */
    uint32_t nodes;
    uint32_t listed;   /* memberlist's estimated number of nodes; not FORGOTTEN */
    uint32_t probe_at; /* place in `order` */
    uint32_t count[ML_FORGOTTEN + 1];
};

/* ERR_NOMEM. */
enum err ml_roster_init(struct ml_roster *r, uint32_t nodes) MUST_USE;
void ml_roster_fini(struct ml_roster *r);
/* Changes the status; the counts follow. */
void ml_roster_set(struct ml_roster *r, uint32_t i, enum ml_status status, uint32_t aux);
/* Puts an unlisted node at a random place. */
void ml_roster_list(struct ml_roster *r, struct rng *rng, uint32_t i);
/* All know all: a shuffled list of everyone, alive in incarnation 1. */
void ml_roster_fill(struct ml_roster *r, struct rng *rng);
/* The next node to probe, which the list's wrap may shuffle; r->nodes: none. The dead of more than
 * 30 s are forgotten at a wrap. */
uint32_t ml_roster_next(struct ml_roster *r, struct rng *rng, uint32_t self, uint32_t now_ms);
struct ml_draw {
    uint32_t want;
    bool gossip;           /* suspects and the recently dead too */
    uint32_t self, except; /* neither of them */
    uint32_t now_ms;
};
/* Up to `want` random nodes that are alive; how many. */
uint32_t ml_roster_random(const struct ml_roster *r, struct rng *rng, const struct ml_draw *d,
                          uint32_t *out);

#endif
