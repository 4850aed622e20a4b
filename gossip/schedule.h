/* The probe schedule: who probes whom in which round (gossip.md 3.2 item 3).
 *
 * The live members stand in the order of their ids. In round r = wall / T the one at place i probes
 * the one at (i + stride(r)) mod N; the stride is drawn from the mesh's id and r, so every node
 * computes the same, and each is probed exactly once a round. It happens when the target's phase,
 * which its id gives, comes round: who is probed hears a ping each T to the millisecond, and a
 * crash waits for T at most. Where views or clocks differ this degrades to chance.
 *
 *   round            r                  r+1
 *   time   |---------|-----+------------|-----+--------
 *                    phase of j:  i -> j      k -> j
 *
 * The table of members has the order; what is kept here is who of them is not live, so that a place
 * among the live is found by two binary searches. Gossip thread; embedded in the machine.
 */
#ifndef GOSSIP_SCHEDULE_H
#define GOSSIP_SCHEDULE_H

#include "gossip/member.h"

struct schedule {
    struct member **gone; /* owned array: members that are not live, by id */
    size_t count, cap;
    size_t own; /* where we stood in the table when we last looked */
};

void schedule_fini(struct schedule *s);
/* `m` is live no more. Without memory it keeps its place, and what falls to it is left out. */
void schedule_leave(struct schedule *s, struct member *m);
/* `m` is live again, or forgotten. */
void schedule_return(struct schedule *s, const struct member *m);

/* How far the target of round `round` stands from its prober; 1 to `live` - 1. `live` > 1. For one
 * more or less in `live` it differs by one at most. */
size_t schedule_stride(const struct mesh_id *mesh, uint64_t round, size_t live);
/* When in each round of `period_ms` a member is probed; less than that. */
uint32_t schedule_phase_ms(const struct mesh_id *mesh, const struct node_id *target,
                           uint32_t period_ms);
/* Whom `self`, which is live, probes in that round; NULL: there is nobody else. */
struct member *schedule_target(struct schedule *s, const struct member_table *t,
                               const struct member *self, const struct mesh_id *mesh,
                               uint64_t round);

#endif
