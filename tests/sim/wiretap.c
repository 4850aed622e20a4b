#include "tests/sim/wiretap.h"

#include "gossip/state.h"
#include "tests/sim/oracle.h"
#include "tests/sim/world.h"

#include <stdlib.h>

bool wiretap_init(struct wiretap *t, uint32_t nodes)
{
    t->node = calloc(nodes, sizeof(t->node[0]));
    t->taken = calloc(WIRETAP_SLOTS, sizeof(t->taken[0]));
    if (t->node != NULL && t->taken != NULL) return true;
    wiretap_fini(t);
    return false;
}

void wiretap_fini(struct wiretap *t)
{
    free(t->node);
    free(t->taken);
    t->node = NULL;
    t->taken = NULL;
}

void wiretap_start(struct wiretap *t, const struct world *w, uint32_t i)
{
    struct wiretap_node *n = &t->node[i];
    n->bytes = TUNING_BURST_BYTES;
    n->bytes_ms = hostclock_mono_ms(&w->node[i].clock, w->now_us);
    if (w->node[i].who != i) t->node[w->node[i].who].cloned = true;
}

static void check_bucket(struct oracle *o, const struct world *w, uint32_t i, size_t bytes)
{
    struct wiretap_node *n = &o->tap.node[i];
    uint64_t now_ms = hostclock_mono_ms(&w->node[i].clock, w->now_us);
    /* The machine may grant itself one millisecond more than ours. */
    n->bytes += (double)(now_ms - n->bytes_ms) * TUNING_RATE_BYTES / 1000.0;
    if (n->bytes > TUNING_BURST_BYTES) n->bytes = TUNING_BURST_BYTES;
    n->bytes_ms = now_ms;
    n->bytes -= (double)bytes;
    if (n->bytes < -(double)TUNING_RATE_BYTES / 1000.0)
        oracle_fail(o, "I10: at %.3f s node %u sent %.0f bytes more than its bucket had",
                    (double)w->now_us / 1e6, i, -n->bytes);
}

static void check_counter(struct oracle *o, const struct world *w, uint32_t i,
                          const struct seal_header *h)
{
    uint32_t who = w->node[i].who;
    struct wiretap_node *n = &o->tap.node[who];
    bool later = h->epoch > n->epoch || (h->epoch == n->epoch && h->counter > n->counter);
    if (!later && !n->cloned)
        oracle_fail(o, "I12: at %.3f s node %u used epoch %llu and counter %llu again",
                    (double)w->now_us / 1e6, who, (unsigned long long)h->epoch,
                    (unsigned long long)h->counter);
    n->epoch = h->epoch;
    n->counter = h->counter;
}

void wiretap_sent(struct oracle *o, const struct world *w, uint32_t i, struct span packet)
{
    struct seal_header h;
    if (packet.len > DATAGRAM_BYTES_MAX)
        oracle_fail(o, "I9: node %u sent a datagram of %zu bytes", i, packet.len);
    check_bucket(o, w, i, packet.len);
    if (seal_peek(packet, &h) == ERR_OK) check_counter(o, w, i, &h);
}

/* What makes the machine drop a packet whole. */
static uint64_t refused(const struct world *w, uint32_t i)
{
    const struct gossip_counters *c = gossip_counters(w->node[i].gossip);
    return c->dropped_malformed + c->dropped_auth + c->dropped_replay + c->dropped_unknown_sender +
           c->dropped_key;
}

static size_t slot_of(uint64_t print)
{
    return (size_t)(print % WIRETAP_SLOTS);
}

struct wiretap_delivery wiretap_before(const struct wiretap *t, const struct world *w, uint32_t i,
                                       struct span packet)
{
    struct wiretap_delivery d = {0};
    struct seal_header h;
    uint64_t sender;
    if (w->node[i].gossip == NULL || seal_peek(packet, &h) != ERR_OK) return d;
    memcpy(&sender, h.sender, sizeof(sender));
    d.print = hash_mix(hash_mix(sender ^ h.epoch) ^ h.counter << 16 ^ i);
    d.print = hash_mix(d.print ^ w->node[i].up_us) | 1;
    d.replay = t->taken[slot_of(d.print)] == d.print;
    d.refused = refused(w, i);
    return d;
}

void wiretap_after(struct oracle *o, const struct world *w, uint32_t i,
                   const struct wiretap_delivery *d)
{
    if (d->print == 0 || refused(w, i) > d->refused) return;
    if (d->replay)
        oracle_fail(o, "I11: at %.3f s node %u took a datagram for the second time",
                    (double)w->now_us / 1e6, i);
    o->tap.taken[slot_of(d->print)] = d->print;
}
