#include "proxy/snapshot/publish.h"

#include "core/base/check.h"

enum err publish_init(struct publish_slot *slot)
{
    atomic_init(&slot->next, NULL);
    return ring_init(&slot->returned, PUBLISH_RETURNS_MAX);
}

void publish_fini(struct publish_slot *slot)
{
    ring_fini(&slot->returned);
}

struct snapshot *publish_put(struct publish_slot *slot, struct snapshot *s)
{
    CHECK_OBJ(s, SNAPSHOT_MAGIC);
    /* Release: the worker sees all that was built; pairs with publish_take. Acquire: a snapshot
     * that comes back untaken is ours again. */
    return atomic_exchange_explicit(&slot->next, s, memory_order_acq_rel);
}

struct snapshot *publish_take(struct publish_slot *slot)
{
    /* A plain load first: most wake-ups bring nothing, and an exchange would dirty the line. */
    if (atomic_load_explicit(&slot->next, memory_order_relaxed) == NULL) return NULL;
    return atomic_exchange_explicit(&slot->next, NULL, memory_order_acq_rel);
}

enum err publish_return(struct publish_slot *slot, struct snapshot *s)
{
    return ring_push(&slot->returned, s);
}

struct snapshot *publish_reclaim(struct publish_slot *slot)
{
    return ring_pop(&slot->returned);
}
