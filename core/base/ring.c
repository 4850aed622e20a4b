#include "core/base/ring.h"

#include "core/base/check.h"

#include <stdlib.h>

/* head and tail count without wrapping to the capacity: their difference is the fill, also past
 * SIZE_MAX. */

enum err ring_init(struct ring *r, size_t cap)
{
    CHECK(cap > 0 && (cap & (cap - 1)) == 0);
    void **slot = calloc(cap, sizeof(*slot));
    if (slot == NULL) return ERR_NOMEM;
    r->slot = slot;
    r->cap = cap;
    atomic_init(&r->head, 0);
    atomic_init(&r->tail, 0);
    return ERR_OK;
}

void ring_fini(struct ring *r)
{
    free(r->slot);
    r->slot = NULL;
    r->cap = 0;
}

enum err ring_push(struct ring *r, void *item)
{
    CHECK(item != NULL);
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    /* Acquire pairs with the release in ring_pop: the consumer is done with the slot. */
    size_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    if (head - tail >= r->cap) return ERR_FULL;
    r->slot[head & (r->cap - 1)] = item;
    /* Release pairs with the acquire in ring_pop: the slot is seen before the count. */
    atomic_store_explicit(&r->head, head + 1, memory_order_release);
    return ERR_OK;
}

void *ring_pop(struct ring *r)
{
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    size_t head = atomic_load_explicit(&r->head, memory_order_acquire);
    if (head == tail) return NULL;
    void *item = r->slot[tail & (r->cap - 1)];
    atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
    return item;
}
