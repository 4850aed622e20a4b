#include "tests/sim/memberlist/ml_queue.h"

#include "core/base/check.h"

#include <math.h>
#include <stdlib.h>

#define RUMOURS_MAX     65536u
#define RETRANSMIT_MULT 4u
#define SIZE_BITS       11
#define ID_BITS         40
#define MISFITS_MAX     8u /* sizes are two: the other one fits soon, or none does */

struct queued {
    struct heap_node node;
    struct ml_rumour rumour;
    uint32_t transmits;
    uint64_t id;
};

void ml_queue_init(struct ml_queue *q)
{
    static const struct hash_key key = {{0}};
    *q = (struct ml_queue){0};
    heap_init(&q->order, RUMOURS_MAX);
    map_init(&q->by_subject, &key, RUMOURS_MAX);
}

void ml_queue_fini(struct ml_queue *q)
{
    struct heap_node *n;
    while ((n = heap_pop(&q->order)) != NULL)
        free(CONTAINER_OF(n, struct queued, node));
    heap_fini(&q->order);
    map_fini(&q->by_subject);
}

static struct span subject_of(const struct queued *item)
{
    return span_of((const char *)&item->rumour.subject, sizeof(item->rumour.subject));
}

static enum err place(struct ml_queue *q, struct queued *item)
{
    uint64_t size = (1u << SIZE_BITS) - 1 - ml_wire_rumour_bytes(&item->rumour);
    uint64_t newest = (UINT64_C(1) << ID_BITS) - 1 - item->id;
    return heap_set(&q->order, &item->node,
                    (uint64_t)item->transmits << (SIZE_BITS + ID_BITS) | size << ID_BITS | newest);
}

enum err ml_queue_put(struct ml_queue *q, const struct ml_rumour *r)
{
    struct queued *item = calloc(1, sizeof(*item));
    if (item == NULL) return ERR_NOMEM;
    item->rumour = *r;
    item->id = q->id_next++;
    struct queued *old = map_del(&q->by_subject, subject_of(item));
    if (old != NULL) {
        heap_remove(&q->order, &old->node);
        free(old);
    }
    enum err err = map_put(&q->by_subject, subject_of(item), item);
    if (err != ERR_OK) goto fail_item;
    err = place(q, item);
    if (err != ERR_OK) goto fail_map;
    q->queued++;
    return ERR_OK;
fail_map:
    (void)map_del(&q->by_subject, subject_of(item));
fail_item:
    free(item);
    return err;
}

static void put_back(struct ml_queue *q, struct queued *item, uint32_t limit)
{
    if (item->transmits >= limit) {
        (void)map_del(&q->by_subject, subject_of(item));
        free(item);
    } else {
        CHECK(place(q, item) == ERR_OK); /* it has just left its room */
    }
}

uint32_t ml_queue_take(struct ml_queue *q, uint32_t nodes, uint32_t *room, uint32_t max,
                       struct ml_rumour *out)
{
    struct queued *held[ML_WIRE_RUMOURS_MAX + MISFITS_MAX];
    uint32_t held_count = 0, misfits = 0, count = 0;
    uint32_t limit = RETRANSMIT_MULT * (uint32_t)ceil(log10((double)nodes + 1));
    CHECK(max <= ML_WIRE_RUMOURS_MAX);
    while (count < max && misfits<MISFITS_MAX && * room> ML_WIRE_COMPOUND + ML_WIRE_ACCUSATION) {
        struct heap_node *n = heap_pop(&q->order);
        if (n == NULL) break;
        struct queued *item = CONTAINER_OF(n, struct queued, node);
        held[held_count++] = item;
        uint32_t takes = ML_WIRE_COMPOUND + ml_wire_rumour_bytes(&item->rumour);
        if (takes > *room) {
            misfits++;
            continue;
        }
        *room -= takes;
        item->transmits++;
        out[count++] = item->rumour;
    }
    for (uint32_t i = 0; i < held_count; i++)
        put_back(q, held[i], limit);
    q->sent += count;
    return count;
}
