#include "proxy/net/lineage.h"

#include "core/base/limits.h"

#define TRACEPARENT_BYTES 55u /* of version 00; later ones may go on behind it */
#define TRACE_ID_AT       3u
#define TRACE_ID_BYTES    32u

#define TAG_MASK 0xffffff0000000000u
#define AGAIN    0x0000008000000000u
#define FAILED   0x0000004000000000u

void lineage_init(struct lineage *l, const struct hash_key *key)
{
    l->key = *key;
}

static bool is_traceparent(struct span s)
{
    return s.len >= TRACEPARENT_BYTES && s.p[2] == '-' && s.p[35] == '-' && s.p[52] == '-';
}

struct lineage_place lineage_place(struct lineage *l, struct span traceparent, struct span service)
{
    char key[TRACE_ID_BYTES + NAME_BYTES_MAX];
    if (l == NULL || !is_traceparent(traceparent) || service.len > NAME_BYTES_MAX)
        return (struct lineage_place){.slot = NULL};
    memcpy(key, traceparent.p + TRACE_ID_AT, TRACE_ID_BYTES);
    if (service.len > 0) memcpy(key + TRACE_ID_BYTES, service.p, service.len);
    uint64_t hash = hash_bytes(&l->key, key, TRACE_ID_BYTES + service.len);
    /* A tag of zero would be found in an empty slot. */
    uint64_t tag = (hash & TAG_MASK) != 0 ? hash & TAG_MASK : TAG_MASK;
    return (struct lineage_place){.slot = &l->slot[hash % LINEAGE_SLOTS], .tag = tag};
}

static uint64_t load(const struct lineage_place *p)
{
    if (p->slot == NULL) return 0;
    uint64_t word = atomic_load_explicit(p->slot, memory_order_relaxed);
    return (word & TAG_MASK) == p->tag ? word : 0;
}

void lineage_note(const struct lineage_place *p, const struct lineage_facts *f)
{
    if (p->slot == NULL) return;
    uint32_t deadline = (uint32_t)f->deadline_ms;
    if (f->deadline_ms != 0 && deadline == 0) deadline = 1;
    uint64_t word = p->tag | (f->again ? AGAIN : 0) | (f->failed ? FAILED : 0) | deadline;
    atomic_store_explicit(p->slot, word, memory_order_relaxed);
}

struct lineage_facts lineage_look(const struct lineage_place *p, uint64_t now_ms)
{
    uint64_t word = load(p);
    struct lineage_facts f = {.again = (word & AGAIN) != 0, .failed = (word & FAILED) != 0};
    /* The upper half of the time is that of now, give or take: deadlines are days away at most. */
    if ((uint32_t)word != 0)
        f.deadline_ms = now_ms + (uint64_t)(int64_t)(int32_t)((uint32_t)word - (uint32_t)now_ms);
    return f;
}

void lineage_fail(const struct lineage_place *p)
{
    uint64_t word = load(p);
    if (word != 0) atomic_store_explicit(p->slot, word | FAILED, memory_order_relaxed);
}

void lineage_forget(const struct lineage_place *p)
{
    if (load(p) != 0) atomic_store_explicit(p->slot, 0, memory_order_relaxed);
}
