/* What a memberlist node believes: alive, suspect, dead, and how it comes to that. */
#ifndef TESTS_SIM_MEMBERLIST_ML_STATE_H
#define TESTS_SIM_MEMBERLIST_ML_STATE_H

#include "tests/sim/memberlist/ml_agent.h"

/* A rumour, heard or our own. */
void ml_state_take(struct ml_agent *a, const struct ml_rumour *r);
/* A line of another's full state: its dead are only suspects to us. */
void ml_state_merge(struct ml_agent *a, const struct ml_state_entry *e);
/* The suspicions that ran out. */
void ml_state_tick(struct ml_agent *a);
uint64_t ml_state_deadline_ms(const struct ml_agent *a);

#endif
