/* memberlist over TCP: push/pull of the whole state, joins, serf's reconnect, pings. */
#ifndef TESTS_SIM_MEMBERLIST_ML_STREAM_H
#define TESTS_SIM_MEMBERLIST_ML_STREAM_H

#include "tests/sim/memberlist/ml_agent.h"

void ml_stream_init(struct ml_agent *a);
/* Exchanges states with that node, and again every 30 s until it once worked. */
void ml_stream_join(struct ml_agent *a, uint32_t peer);
/* Asks the target of probe `seq` over TCP. */
void ml_stream_ping(struct ml_agent *a, uint32_t peer, uint32_t seq, uint64_t until_ms);
/* A STREAM_OPENED, STREAM_DATA or STREAM_CLOSED event. */
void ml_stream_event(struct ml_agent *a, const struct gossip_event *e);
void ml_stream_tick(struct ml_agent *a);
uint64_t ml_stream_deadline_ms(const struct ml_agent *a);

#endif
