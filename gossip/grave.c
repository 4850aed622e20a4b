#include "gossip/grave.h"

#include "gossip/head.h"

#include <stdlib.h>

#define EPOCH_BITS 48u
#define EPOCH_MASK ((UINT64_C(1) << EPOCH_BITS) - 1)
#define DAY_MS     INT64_C(86400000)
#define FIRST_CAP  16u

void grave_fini(struct graveyard *y)
{
    free(y->grave);
    *y = (struct graveyard){0};
}

static uint64_t day_of(int64_t wall_ms)
{
    return wall_ms > 0 ? (uint64_t)(wall_ms / DAY_MS) & UINT16_MAX : 0;
}

static size_t lower_bound(const struct graveyard *y, const struct node_id *id)
{
    size_t low = 0, high = y->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (name_node_id_cmp(&y->grave[mid].id, id) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct grave *find(const struct graveyard *y, const struct node_id *id)
{
    size_t at = lower_bound(y, id);
    bool there = at < y->count && name_node_id_cmp(&y->grave[at].id, id) == 0;
    return there ? &y->grave[at] : NULL;
}

static void remove_at(struct graveyard *y, size_t at)
{
    memmove(y->grave + at, y->grave + at + 1, (y->count - at - 1) * sizeof(y->grave[0]));
    y->count--;
}

static void make_room(struct graveyard *y)
{
    size_t oldest = 0;
    for (size_t i = 1; i < y->count; i++)
        if (y->grave[i].day_epoch >> EPOCH_BITS < y->grave[oldest].day_epoch >> EPOCH_BITS)
            oldest = i;
    remove_at(y, oldest);
}

static bool grow(struct graveyard *y)
{
    if (y->count == GRAVES_MAX) make_room(y);
    if (y->count < y->cap) return true;
    size_t cap = y->cap > 0 ? y->cap * 2 : FIRST_CAP;
    struct grave *grave = realloc(y->grave, cap * sizeof(grave[0]));
    if (grave == NULL) return false;
    y->grave = grave;
    y->cap = cap;
    return true;
}

static void bury(struct graveyard *y, const struct node_id *id, uint64_t epoch, uint64_t day)
{
    struct grave *known = find(y, id);
    if (known != NULL) {
        uint64_t before = known->day_epoch & EPOCH_MASK;
        known->day_epoch = day << EPOCH_BITS | (epoch > before ? epoch : before);
        return;
    }
    if (!grow(y)) return;
    size_t at = lower_bound(y, id);
    memmove(y->grave + at + 1, y->grave + at, (y->count - at) * sizeof(y->grave[0]));
    y->grave[at] = (struct grave){.id = *id, .day_epoch = day << EPOCH_BITS | epoch};
    y->count++;
}

void grave_dig(struct graveyard *y, const struct node_id *id, uint64_t epoch, int64_t wall_ms)
{
    bury(y, id, epoch < EPOCH_MASK ? epoch : EPOCH_MASK, day_of(wall_ms));
}

bool grave_bars(const struct graveyard *y, const struct node_id *id, uint64_t epoch)
{
    const struct grave *known = find(y, id);
    return known != NULL && epoch < (known->day_epoch & EPOCH_MASK);
}

void grave_expire(struct graveyard *y, int64_t wall_ms)
{
    uint64_t today = day_of(wall_ms);
    for (size_t i = y->count; i > 0; i--) {
        uint64_t day = y->grave[i - 1].day_epoch >> EPOCH_BITS;
        if (day + GRAVE_DAYS < today) remove_at(y, i - 1);
    }
}

void grave_encode(const struct graveyard *y, uint8_t *out)
{
    for (size_t i = 0; i < y->count; i++, out += GRAVE_BYTES) {
        memcpy(out, y->grave[i].id.byte, NODE_ID_BYTES);
        head_put_u64(out + NODE_ID_BYTES, y->grave[i].day_epoch);
    }
}

void grave_restore(struct graveyard *y, struct span bytes)
{
    const uint8_t *p = (const uint8_t *)bytes.p;
    size_t count = bytes.len / GRAVE_BYTES;
    for (size_t i = 0; i < count && i < GRAVES_MAX; i++, p += GRAVE_BYTES) {
        struct node_id id;
        memcpy(id.byte, p, NODE_ID_BYTES);
        uint64_t day_epoch = head_get_u64(p + NODE_ID_BYTES);
        bury(y, &id, day_epoch & EPOCH_MASK, day_epoch >> EPOCH_BITS);
    }
}
