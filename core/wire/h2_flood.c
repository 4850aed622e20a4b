#include "core/wire/h2_flood.h"

#include <stddef.h>

void h2_flood_init(struct h2_flood *f, _Atomic uint64_t *peer, uint64_t now_ms)
{
    *f = (struct h2_flood){.tokens = H2_FLOOD_BURST, .refilled_ms = now_ms, .peer = peer};
}

bool h2_flood_spend(struct h2_flood *f, uint64_t now_ms)
{
    uint64_t refill = (now_ms - f->refilled_ms) / H2_FLOOD_REFILL_MS;
    if (refill > 0) {
        uint64_t tokens = f->tokens + refill;
        f->tokens = tokens > H2_FLOOD_BURST ? H2_FLOOD_BURST : (uint32_t)tokens;
        f->refilled_ms += refill * H2_FLOOD_REFILL_MS;
    }
    if (f->tokens == 0) return false;
    bool noisy = f->tokens <= H2_FLOOD_BURST - H2_FLOOD_USUAL;
    if (noisy && f->peer != NULL && !h2_flood_peer_spend(f->peer, now_ms)) return false;
    f->tokens--;
    return true;
}

bool h2_flood_peer_spend(_Atomic uint64_t *full_ms, uint64_t now_ms)
{
    uint64_t full = atomic_load_explicit(full_ms, memory_order_relaxed), next;
    do {
        next = (full > now_ms ? full : now_ms) + H2_FLOOD_PEER_REFILL_MS;
        if (next > now_ms + (uint64_t)H2_FLOOD_PEER_BURST * H2_FLOOD_PEER_REFILL_MS) return false;
    } while (!atomic_compare_exchange_weak_explicit(full_ms, &full, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}
