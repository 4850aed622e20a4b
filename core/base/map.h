/* Hash map from bytes to a pointer: open addressing, robin hood, keyed hash.
 *
 * One thread. Keys and values are borrowed: a key must stay in place while it is in the map
 * (usually it is a member of the value). The table is owned and grows up to `count_max` entries.
 */
#ifndef CORE_BASE_MAP_H
#define CORE_BASE_MAP_H

#include "core/base/err.h"
#include "core/base/hash.h"
#include "core/base/span.h"

struct map_slot {
    uint64_t hash; /* 0: empty */
    struct span key;
    void *value;
};

struct map {
    struct map_slot *slot; /* owned */
    size_t cap;            /* power of two, or 0 */
    size_t count;
    size_t count_max;
    struct hash_key key;
};

void map_init(struct map *m, const struct hash_key *key, size_t count_max);
void map_fini(struct map *m);
/* NULL: absent. */
void *map_get(const struct map *m, struct span key);
/* Inserts or replaces value (and key pointer). ERR_FULL, ERR_NOMEM: unchanged. */
enum err map_put(struct map *m, struct span key, void *value) MUST_USE;
/* The removed value, or NULL. */
void *map_del(struct map *m, struct span key);
/* Iterates: start with *pos = 0; NULL at the end. The map must not change meanwhile. Order depends
 * on the hash key only. */
void *map_next(const struct map *m, size_t *pos);

#endif
