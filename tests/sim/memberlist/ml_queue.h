/* The queue of rumours: memberlist's TransmitLimitedQueue. The least sent leaves first, of those
 * the largest, of those the newest; a rumour goes when it was sent 4 ceil(log10(N + 1)) times, or
 * when one of the same subject comes. No feedback.
 *
 * Owned by its node, and owns the rumours.
 */
#ifndef TESTS_SIM_MEMBERLIST_ML_QUEUE_H
#define TESTS_SIM_MEMBERLIST_ML_QUEUE_H

#include "core/base/heap.h"
#include "core/base/map.h"
#include "tests/sim/memberlist/ml_wire.h"

struct ml_queue {
    struct heap order;
    struct map by_subject;
    uint64_t id_next;
    uint64_t queued, sent; /* ever */
};

void ml_queue_init(struct ml_queue *q);
void ml_queue_fini(struct ml_queue *q);
/* Copies `r`. ERR_NOMEM. */
enum err ml_queue_put(struct ml_queue *q, const struct ml_rumour *r) MUST_USE;
/* Takes what fits into `*room` bytes of messages with 2 for each, which shrinks; how many. */
uint32_t ml_queue_take(struct ml_queue *q, uint32_t nodes, uint32_t *room, uint32_t max,
                       struct ml_rumour *out);
static inline bool ml_queue_is_empty(const struct ml_queue *q)
{
    return q->order.count == 0;
}

#endif
