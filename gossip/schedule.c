#include "gossip/schedule.h"

#include "core/base/check.h"
#include "core/base/hash.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CAP_STEP 16u

void schedule_fini(struct schedule *s)
{
    free(s->gone);
    *s = (struct schedule){0};
}

/* How many of those that are gone stand before `id`. */
static size_t gone_before(const struct schedule *s, const struct node_id *id)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (name_node_id_cmp(&s->gone[mid]->head->owner, id) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool grow(struct schedule *s)
{
    if (s->count < s->cap) return true;
    size_t cap = s->cap + s->cap / 2 + CAP_STEP;
    struct member **gone = realloc(s->gone, cap * sizeof(struct member *));
    if (gone == NULL) return false;
    s->gone = gone;
    s->cap = cap;
    return true;
}

void schedule_leave(struct schedule *s, struct member *m)
{
    size_t at = gone_before(s, &m->head->owner);
    if ((at < s->count && s->gone[at] == m) || !grow(s)) return;
    memmove(s->gone + at + 1, s->gone + at, (s->count - at) * sizeof(struct member *));
    s->gone[at] = m;
    s->count++;
}

void schedule_return(struct schedule *s, const struct member *m)
{
    size_t at = gone_before(s, &m->head->owner);
    if (at == s->count || s->gone[at] != m) return;
    memmove(s->gone + at, s->gone + at + 1, (s->count - at - 1) * sizeof(struct member *));
    s->count--;
}

static uint64_t draw(const struct mesh_id *mesh, const void *p, size_t len)
{
    struct hash_key key;
    static_assert(sizeof(key.byte) == MESH_ID_BYTES, "a mesh's id is as long as a key");
    memcpy(key.byte, mesh->byte, sizeof(key.byte));
    return hash_bytes(&key, p, len);
}

size_t schedule_stride(const struct mesh_id *mesh, uint64_t round, size_t live)
{
    uint8_t bytes[sizeof(round)];
    head_put_u64(bytes, round);
    double share = ldexp((double)(draw(mesh, bytes, sizeof(bytes)) >> 11), -53);
    return 1 + (size_t)(share * (double)(live - 1));
}

uint32_t schedule_phase_ms(const struct mesh_id *mesh, const struct node_id *target,
                           uint32_t period_ms)
{
    return (uint32_t)(draw(mesh, target->byte, sizeof(target->byte)) % period_ms);
}

/* Every round asks for the same place, and a search misses the caches at each step. */
static size_t own_place(struct schedule *s, const struct member_table *t, const struct member *self)
{
    if (s->own >= t->count || member_peek(t, s->own)->index != self->index)
        s->own = member_lower_bound(t, &self->head->owner);
    return s->own;
}

struct member *schedule_target(struct schedule *s, const struct member_table *t,
                               const struct member *self, const struct mesh_id *mesh,
                               uint64_t round)
{
    const struct node_id *id = &self->head->owner;
    size_t live = t->count - s->count;
    if (live < 2) return NULL;
    size_t place = own_place(s, t, self) - gone_before(s, id);
    place = (place + schedule_stride(mesh, round, live)) % live;
    if (s->count == 0) return member_at(t, place);
    /* The first in the table with `place` live ones before it, and itself the next. */
    size_t low = place, high = place + s->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        size_t after =
            mid + 1 < t->count ? gone_before(s, &member_peek(t, mid + 1)->head->owner) : s->count;
        if (mid + 1 - after > place)
            high = mid;
        else
            low = mid + 1;
    }
    return member_at(t, low);
}
