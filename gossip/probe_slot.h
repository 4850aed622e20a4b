/* Slots of the probe table: starting, finding and ending single probes (probe.h), whatever they are
 * for.
 *
 * Gossip thread. Slots are owned by the table and made when they are first needed.
 */
#ifndef GOSSIP_PROBE_SLOT_H
#define GOSSIP_PROBE_SLOT_H

#include "gossip/probe.h"

struct gossip;
struct member;

/* A probe of that kind, whose first ping is gone; NULL: no slot is free, or no memory. */
struct probe *probe_slot_start(struct gossip *g, struct member *m, enum probe_kind kind);
/* Sends its next ping. */
void probe_slot_ping(struct gossip *g, struct probe *p);
/* Its timer: the next ping, or the verdict. */
void probe_slot_arm(struct gossip *g, struct probe *p);
/* It is over; the slot may be another's from now on. */
void probe_slot_release(struct gossip *g, struct probe *p);
/* The one of which a ping has this seq; NULL: none. */
struct probe *probe_slot_find(struct gossip *g, uint32_t seq);
bool probe_slot_running(const struct gossip *g, const struct member *m, enum probe_kind kind);
/* How long an answer of `m` may take. */
uint32_t probe_slot_rto_ms(const struct gossip *g, const struct member *m);

#endif
