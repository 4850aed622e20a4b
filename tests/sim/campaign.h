/* A campaign: operators who apply generations to a simulated mesh, good and bad ones, and how long
 * it takes until all have them (S16).
 *
 * One thread; one world. Made when the schedule has something to apply.
 */
#ifndef TESTS_SIM_CAMPAIGN_H
#define TESTS_SIM_CAMPAIGN_H

#include "tests/sim/drivers.h"

enum campaign_kind {
    CAMPAIGN_GOOD,
    CAMPAIGN_REJECTED, /* one node finds it invalid */
    CAMPAIGN_FAILS,    /* one node cannot put it in force */
    CAMPAIGN_CRASHES,  /* whoever puts it in force dies of it */
    CAMPAIGN_TWO,      /* two operators apply at once, at nodes far apart */
    CAMPAIGN_REMOVED,  /* an operator applies while being removed */
    CAMPAIGN_TRIAL,    /* nobody confirms it */
    CAMPAIGN_KINDS
};

struct campaign {
    struct world *world; /* borrowed */
    struct drivers drivers;
    struct operators operators;
    uint32_t texts;
    uint32_t removed; /* operators that are gone */
};

/* Makes the drivers of `w`. ERR_NOMEM. */
enum err campaign_init(struct campaign *c, struct world *w) MUST_USE;
/* After its world. Nothing, when it was never made. */
void campaign_fini(struct campaign *c);
/* A generation of that kind, at node i. Nothing, if that is down. */
void campaign_apply(struct campaign *c, uint32_t i, enum campaign_kind kind);

#endif
