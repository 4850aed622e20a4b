#include "proxy/net/heard.h"

#include <string.h>

#define TAG_MASK UINT64_C(0xffffffff00000000)

void heard_init(struct heard *h, const struct hash_key *key)
{
    h->key = *key;
}

static uint64_t hash_of(const struct heard *h, const struct addr *a)
{
    uint8_t bytes[sizeof(a->ip) + 2];
    memcpy(bytes, a->ip, sizeof(a->ip));
    bytes[sizeof(a->ip)] = (uint8_t)(a->port >> 8);
    bytes[sizeof(a->ip) + 1] = (uint8_t)a->port;
    return hash_bytes(&h->key, bytes, sizeof(bytes));
}

struct heard_place heard_place(struct heard *h, const struct addr *a)
{
    uint64_t hash = hash_of(h, a);
    return (struct heard_place){.slot = &h->slot[hash % HEARD_SLOTS], .tag = hash & TAG_MASK};
}

bool heard_since(const struct heard *h, const struct addr *a, uint64_t since_ms, uint64_t now_ms)
{
    uint64_t hash = hash_of(h, a);
    uint64_t v = atomic_load_explicit(&h->slot[hash % HEARD_SLOTS], memory_order_relaxed);
    if (v == 0 || (v & TAG_MASK) != (hash & TAG_MASK)) return false;
    /* The worker's clock may be a little ahead of what we have read. */
    int32_t age_ms = (int32_t)((uint32_t)now_ms - (uint32_t)v);
    return age_ms <= 0 || (uint64_t)age_ms <= now_ms - since_ms;
}
