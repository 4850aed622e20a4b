#include "proxy/traffic/lb_table.h"

#include "core/base/check.h"
#include "core/base/hash.h"

#include <stdlib.h>

#define SLOTS_PER_ENDPOINT  100u /* shares then differ by at most 1 % (Maglev 5.3) */
#define POINTS_PER_ENDPOINT 1024u
#define POINTS_MAX          65536u
#define NOBODY              UINT32_MAX

/* A slot count must be prime, so that every stride visits all slots. */
static uint32_t slots_for(size_t count)
{
    static const uint32_t prime[] = {1021, 4093, 16381, LB_TABLE_SLOTS_MAX};
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(prime) && prime[i] < count * SLOTS_PER_ENDPOINT)
        i++;
    return prime[i];
}

static uint32_t weight_max(const struct lb_table_entry *entry, size_t count)
{
    uint32_t most = 1;
    for (size_t i = 0; i < count; i++)
        if (entry[i].weight > most) most = entry[i].weight;
    return most;
}

struct filler { /* one endpoint's order of slots */
    uint32_t next, stride;
    uint64_t credit; /* turns by weight */
};

static void fill(const struct lb_table_entry *entry, size_t count, struct filler *f, uint32_t *slot,
                 uint32_t slots)
{
    uint32_t left = slots, most = weight_max(entry, count);
    for (uint32_t i = 0; i < slots; i++)
        slot[i] = NOBODY;
    for (size_t i = 0; left > 0; i = i + 1 < count ? i + 1 : 0) {
        f[i].credit += entry[i].weight;
        if (f[i].credit < most) continue;
        f[i].credit -= most;
        while (slot[f[i].next] != NOBODY)
            f[i].next = (f[i].next + f[i].stride) % slots;
        slot[f[i].next] = (uint32_t)i;
        left--;
    }
}

enum err lb_table_maglev(const struct lb_table_entry *entry, size_t count, struct arena *arena,
                         struct lb_table *out)
{
    uint32_t slots = slots_for(count);
    if (count == 0) {
        *out = (struct lb_table){.count = 0};
        return ERR_OK;
    }
    uint32_t *slot = arena_array(arena, slots, sizeof(*slot));
    struct filler *f = calloc(count, sizeof(*f));
    if (slot == NULL || f == NULL) {
        free(f);
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = hash_mix(entry[i].id);
        f[i].next = (uint32_t)(hash % slots);
        f[i].stride = (uint32_t)(hash_mix(hash) % (slots - 1)) + 1;
    }
    fill(entry, count, f, slot, slots);
    free(f);
    *out = (struct lb_table){.slot = slot, .count = slots};
    return ERR_OK;
}

static int point_cmp(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Points of an endpoint: the full number for the heaviest, fewer when all together are too many. */
static uint32_t points_of(uint32_t weight, uint32_t most, size_t count)
{
    uint64_t each = POINTS_PER_ENDPOINT;
    if (each * count > POINTS_MAX) each = POINTS_MAX / count;
    each = each * weight / most;
    return each > 0 ? (uint32_t)each : 1;
}

enum err lb_table_ring(const struct lb_table_entry *entry, size_t count, struct arena *arena,
                       struct lb_table *out)
{
    uint32_t most = weight_max(entry, count);
    size_t points = 0, at = 0;
    for (size_t i = 0; i < count; i++)
        points += points_of(entry[i].weight, most, count);
    uint64_t *point = arena_array(arena, points, sizeof(*point));
    if (point == NULL) return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        uint64_t seed = hash_mix(entry[i].id);
        for (uint32_t k = points_of(entry[i].weight, most, count); k > 0; k--)
            point[at++] = (hash_mix(seed + k) & 0xffffffff00000000u) | i;
    }
    qsort(point, points, sizeof(*point), point_cmp);
    *out = (struct lb_table){.point = point, .count = (uint32_t)points};
    return ERR_OK;
}

uint32_t lb_table_place(const struct lb_table *t, uint64_t hash)
{
    if (t->slot != NULL) return (uint32_t)(hash % t->count);
    uint64_t key = hash & 0xffffffff00000000u;
    uint32_t low = 0, high = t->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t->point[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < t->count ? low : 0;
}

size_t lb_table_at(const struct lb_table *t, uint32_t place, uint32_t step)
{
    uint32_t at = (uint32_t)(((uint64_t)place + step) % t->count);
    return t->slot != NULL ? t->slot[at] : (uint32_t)t->point[at];
}
