#include "core/base/map.h"

#include "core/base/check.h"

#include <stdlib.h>

#define MAP_FIRST_SLOTS 16u

void map_init(struct map *m, const struct hash_key *key, size_t count_max)
{
    *m = (struct map){.count_max = count_max, .key = *key};
}

void map_fini(struct map *m)
{
    free(m->slot);
    m->slot = NULL;
    m->cap = m->count = 0;
}

/* 0 marks an empty slot, so no key hashes to it. */
static uint64_t hash_of(const struct map *m, struct span key)
{
    uint64_t hash = hash_bytes(&m->key, key.p, key.len);
    return hash != 0 ? hash : 1;
}

/* How far slot `at` is from the home of `hash`. */
static size_t distance(const struct map *m, uint64_t hash, size_t at)
{
    return (at - (size_t)hash) & (m->cap - 1);
}

static struct map_slot *find(const struct map *m, struct span key)
{
    if (m->count == 0) return NULL;
    uint64_t hash = hash_of(m, key);
    size_t at = (size_t)hash & (m->cap - 1);
    for (size_t far = 0; far < m->cap; far++) {
        struct map_slot *slot = &m->slot[at];
        /* Robin hood: a slot nearer to its home than we are means that the key was never put. */
        if (slot->hash == 0 || distance(m, slot->hash, at) < far) return NULL;
        if (slot->hash == hash && span_eq(slot->key, key)) return slot;
        at = (at + 1) & (m->cap - 1);
    }
    return NULL;
}

void *map_get(const struct map *m, struct span key)
{
    struct map_slot *slot = find(m, key);
    return slot != NULL ? slot->value : NULL;
}

/* There is a free slot and the key is not in the map. */
static void insert(struct map *m, struct map_slot entry)
{
    size_t at = (size_t)entry.hash & (m->cap - 1);
    size_t far = 0;
    while (m->slot[at].hash != 0) {
        size_t other = distance(m, m->slot[at].hash, at);
        if (other < far) {
            struct map_slot richer = m->slot[at];
            m->slot[at] = entry;
            entry = richer;
            far = other;
        }
        at = (at + 1) & (m->cap - 1);
        far++;
    }
    m->slot[at] = entry;
}

static enum err grow(struct map *m)
{
    struct map bigger = *m;
    if (m->cap == 0)
        bigger.cap = MAP_FIRST_SLOTS;
    else if (!size_mul(m->cap, 2, &bigger.cap))
        return ERR_NOMEM;
    bigger.slot = calloc(bigger.cap, sizeof(*bigger.slot));
    if (bigger.slot == NULL) return ERR_NOMEM;
    for (size_t i = 0; i < m->cap; i++)
        if (m->slot[i].hash != 0) insert(&bigger, m->slot[i]);
    free(m->slot);
    *m = bigger;
    return ERR_OK;
}

enum err map_put(struct map *m, struct span key, void *value)
{
    CHECK(value != NULL);
    struct map_slot *slot = find(m, key);
    if (slot != NULL) {
        slot->key = key;
        slot->value = value;
        return ERR_OK;
    }
    if (m->count >= m->count_max) return ERR_FULL;
    /* At most 7/8 full: beyond it robin hood probes get long. */
    if (m->count >= m->cap - m->cap / 8) {
        enum err err = grow(m);
        if (err != ERR_OK) return err;
    }
    insert(m, (struct map_slot){.hash = hash_of(m, key), .key = key, .value = value});
    m->count++;
    return ERR_OK;
}

void *map_del(struct map *m, struct span key)
{
    struct map_slot *slot = find(m, key);
    if (slot == NULL) return NULL;
    void *value = slot->value;
    size_t hole = (size_t)(slot - m->slot);
    for (;;) {
        size_t next = (hole + 1) & (m->cap - 1);
        if (m->slot[next].hash == 0 || distance(m, m->slot[next].hash, next) == 0) break;
        m->slot[hole] = m->slot[next];
        hole = next;
    }
    m->slot[hole] = (struct map_slot){.hash = 0};
    m->count--;
    return value;
}

void *map_next(const struct map *m, size_t *pos)
{
    while (*pos < m->cap) {
        const struct map_slot *slot = &m->slot[(*pos)++];
        if (slot->hash != 0) return slot->value;
    }
    return NULL;
}
