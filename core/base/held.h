/* Held bytes: what objects of one kind hold together, and a bound for the part of it that waits.
 *
 * One owner, one thread; who counts in it borrows it.
 */
#ifndef CORE_BASE_HELD_H
#define CORE_BASE_HELD_H

#include <stdbool.h>
#include <stddef.h>

struct held {
    size_t bytes;       /* in all */
    size_t waiting;     /* of these */
    size_t waiting_max; /* SIZE_MAX: no bound */
};

/* False: there is no room for so many that wait, and nothing is counted. */
static inline bool held_take(struct held *h, size_t bytes)
{
    if (h->waiting > h->waiting_max || bytes > h->waiting_max - h->waiting) return false;
    h->waiting += bytes;
    h->bytes += bytes;
    return true;
}

static inline void held_give(struct held *h, size_t bytes)
{
    h->waiting -= bytes;
    h->bytes -= bytes;
}

#endif
