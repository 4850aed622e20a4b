/* Tables that give each key of a hash policy its endpoint, the same on every host.
 *
 * Built by the control thread into a snapshot's arena, read by workers. Two kinds:
 *
 *   Maglev (Eisenbud 2016, 3.4): a prime number of slots, filled by each endpoint in turn in an
 *   order of its own. Shares differ by under 1 %; when an endpoint goes, its keys move and a few
 *   others with them.
 *
 *      hash mod count -> slot[] -> endpoint
 *
 *   Ring (Karger 1997): points of every endpoint on a circle, sorted; a key belongs to the next
 *   point. Shares differ by some percent, but no key moves whose endpoint stays.
 *
 *      hash >> 32 -> point[] = hash of the point << 32 | endpoint
 *
 * Whoever finds the endpoint of a place unfit goes to the place behind it.
 */
#ifndef PROXY_TRAFFIC_LB_TABLE_H
#define PROXY_TRAFFIC_LB_TABLE_H

#include "core/base/arena.h"
#include "core/base/err.h"

#define LB_TABLE_SLOTS_MAX 65537u

struct lb_table {
    const uint32_t *slot;  /* Maglev */
    const uint64_t *point; /* ring */
    uint32_t count;        /* 0: no endpoints */
};

struct lb_table_entry {
    uint64_t id;     /* stable, of the endpoint */
    uint32_t weight; /* 1.. */
};

/* `count` endpoints; places name them by their index. ERR_NOMEM. */
enum err lb_table_maglev(const struct lb_table_entry *entry, size_t count, struct arena *arena,
                         struct lb_table *out) MUST_USE;
enum err lb_table_ring(const struct lb_table_entry *entry, size_t count, struct arena *arena,
                       struct lb_table *out) MUST_USE;
/* The place of `hash`; t->count > 0. */
uint32_t lb_table_place(const struct lb_table *t, uint64_t hash);
/* The endpoint `step` places behind `place`. */
size_t lb_table_at(const struct lb_table *t, uint32_t place, uint32_t step);

#endif
