#include "gossip/probe_slot.h"

#include "gossip/hail.h"
#include "gossip/packet.h"
#include "gossip/state.h"

#include <stdlib.h>

#define SLOTS_FOR_OWN 8u /* that requests of others cannot take */

/* Each has a seq of its own, so that the answer says which was lost and which was only late. */
void probe_slot_ping(struct gossip *g, struct probe *p)
{
    struct message m = {.kind = MESSAGE_PING, .seq = p->seq + p->pings++};
    packet_send_one(g, p->target, &m);
    /* It may not have been our ping that was lost: it may be of another life. */
    if (p->pings == 2 && p->target->restored) hail_send(g, p->target);
}

static bool is_of(const struct probe *p, uint32_t seq)
{
    return seq - p->seq < p->pings;
}

struct probe *probe_slot_find(struct gossip *g, uint32_t seq)
{
    struct probe_table *t = &g->probes;
    for (size_t i = 0; i < t->high; i++)
        if (t->slot[i]->kind != PROBE_FREE && is_of(t->slot[i], seq)) return t->slot[i];
    return NULL;
}

bool probe_slot_running(const struct gossip *g, const struct member *m, enum probe_kind kind)
{
    const struct probe_table *t = &g->probes;
    for (size_t i = 0; i < t->high; i++)
        if (t->slot[i]->kind == kind && t->slot[i]->target == m) return true;
    return false;
}

uint32_t probe_slot_rto_ms(const struct gossip *g, const struct member *m)
{
    uint32_t estimate_us = 0;
    if (member_rtt(m)->srtt_us == 0) estimate_us = gossip_estimate_us(g, m);
    if (estimate_us > 0) return tuning_rto_estimated_ms(&g->tuning, estimate_us);
    return tuning_rto_ms(&g->tuning, member_rtt(m), &g->rtt);
}

void probe_slot_arm(struct gossip *g, struct probe *p)
{
    uint64_t again = g->now_ms + p->again_ms;
    state_timer(g, &p->timer, again < p->verdict_ms ? again : p->verdict_ms);
}

/* NULL: no memory. */
static struct probe *free_slot(struct probe_table *t)
{
    size_t i = 0;
    while (i < t->made && t->slot[i]->kind != PROBE_FREE)
        i++;
    if (i == t->made) {
        t->slot[i] = malloc(sizeof(struct probe));
        if (t->slot[i] == NULL) return NULL;
        t->made++;
    }
    if (i >= t->high) t->high = i + 1;
    t->used++;
    return t->slot[i];
}

struct probe *probe_slot_start(struct gossip *g, struct member *m, enum probe_kind kind)
{
    struct probe_table *t = &g->probes;
    bool own = kind == PROBE_REGULAR || kind == PROBE_CLONE;
    struct probe *p = NULL;
    if (t->used + (own ? 0 : SLOTS_FOR_OWN) < PROBE_SLOTS) p = free_slot(t);
    if (p == NULL) {
        g->counters.dropped_quota++;
        return NULL;
    }
    *p = (struct probe){
        .kind = kind, .timer.kind = TIMER_PROBE_SLOT, .target = m, .started_us = g->now_us};
    do
        p->seq = (uint32_t)rng_u64(&g->rng);
    while (p->seq == 0);
    uint32_t health = kind == PROBE_RELAY ? 0 : g->awareness.score;
    uint32_t rto = probe_slot_rto_ms(g, m);
    uint32_t verdict = rto;
    if (kind != PROBE_RELAY)
        verdict = tuning_verdict_ms(&g->tuning, rto, tuning_pings(g->lost), health);
    p->verdict_ms = g->now_ms + verdict;
    p->again_ms = rto * (health + 1);
    probe_slot_arm(g, p);
    g->counters.probes_sent++;
    probe_slot_ping(g, p);
    return p;
}

void probe_slot_release(struct gossip *g, struct probe *p)
{
    struct probe_table *t = &g->probes;
    timer_clear(&g->timers, &p->timer);
    p->kind = PROBE_FREE;
    p->target = p->origin = NULL;
    if (--t->used == 0) t->high = 0;
}
