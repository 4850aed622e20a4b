/* Timers of the machine: nodes of its one deadline heap that know whose they are.
 *
 * Gossip thread. Embedded in their owners. The heap's room is reserved when an owner is made, so
 * that arming never fails.
 */
#ifndef GOSSIP_TIMER_H
#define GOSSIP_TIMER_H

#include "core/base/check.h"
#include "core/base/heap.h"

enum timer_kind {
    TIMER_PROBE_PERIOD, /* the next regular probe */
    TIMER_PROBE_SLOT,   /* a stage of one probe */
    TIMER_GOSSIP,       /* a round of rumours */
    TIMER_MEMBER,       /* end of a suspicion, of the hold, of a tombstone */
    TIMER_STREAM,       /* a stream's pace or end */
    TIMER_SYNC,         /* the next look for something to synchronise */
    TIMER_PUBLISH,      /* our own record waited for its rate */
    TIMER_PERSIST,
    TIMER_ASK,   /* a ping that a person waits for */
    TIMER_EAGER, /* policy news that cannot wait for a round */
    TIMER_POLICY
};

struct timer {
    struct heap_node node;
    enum timer_kind kind;
};

static inline void timer_set(struct heap *h, struct timer *t, uint64_t at_ms)
{
    CHECK(heap_set(h, &t->node, at_ms) == ERR_OK);
}
static inline void timer_clear(struct heap *h, struct timer *t)
{
    heap_remove(h, &t->node);
}
static inline bool timer_armed(const struct timer *t)
{
    return t->node.pos != 0;
}

#endif
