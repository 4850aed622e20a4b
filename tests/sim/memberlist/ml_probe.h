/* memberlist's failure detector: one probe at a time, along the shuffled list. */
#ifndef TESTS_SIM_MEMBERLIST_ML_PROBE_H
#define TESTS_SIM_MEMBERLIST_ML_PROBE_H

#include "tests/sim/memberlist/ml_agent.h"

void ml_probe_init(struct ml_agent *a, uint64_t phase_ms);
/* PING, ACK, RELAYED_ACK, NACK or INDIRECT from node `from`. */
void ml_probe_letter(struct ml_agent *a, uint32_t from, const struct ml_letter *l);
/* The TCP ping of probe `seq` was answered. */
void ml_probe_contact(struct ml_agent *a, uint32_t seq);
void ml_probe_tick(struct ml_agent *a);
uint64_t ml_probe_deadline_ms(const struct ml_agent *a);

#endif
