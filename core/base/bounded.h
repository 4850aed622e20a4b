/* Bounded counts: how many of something all threads have at once, exactly, and never more than a
 * limit.
 *
 * Any thread. Relaxed: nothing else is read by way of a count.
 */
#ifndef CORE_BASE_BOUNDED_H
#define CORE_BASE_BOUNDED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/check.h"

/* One more, unless there are `most`. */
static inline bool bounded_add(_Atomic uint32_t *count, uint32_t most)
{
    uint32_t now = atomic_load_explicit(count, memory_order_relaxed);
    do {
        if (now >= most) return false;
    } while (!atomic_compare_exchange_weak_explicit(count, &now, now + 1, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

/* One less, of those that were added. */
static inline void bounded_subtract(_Atomic uint32_t *count)
{
    uint32_t before = atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
    CHECK(before > 0);
}

#endif
