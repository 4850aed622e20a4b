#include "core/wire/mux_flood.h"

#include <stddef.h>

void mux_flood_init(struct mux_flood *f, _Atomic uint64_t *peer, uint64_t now_ms)
{
    *f = (struct mux_flood){.tokens = MUX_FLOOD_BURST, .refilled_ms = now_ms, .peer = peer};
}

bool mux_flood_spend(struct mux_flood *f, uint64_t now_ms)
{
    uint64_t refill = (now_ms - f->refilled_ms) / MUX_FLOOD_REFILL_MS;
    if (refill > 0) {
        uint64_t tokens = f->tokens + refill;
        f->tokens = tokens > MUX_FLOOD_BURST ? MUX_FLOOD_BURST : (uint32_t)tokens;
        f->refilled_ms += refill * MUX_FLOOD_REFILL_MS;
    }
    if (f->tokens == 0) return false;
    bool noisy = f->tokens <= MUX_FLOOD_BURST - MUX_FLOOD_USUAL;
    if (noisy && f->peer != NULL && !mux_flood_peer_spend(f->peer, now_ms)) return false;
    f->tokens--;
    return true;
}

void mux_flood_ended(struct mux_flood *f)
{
    f->late += MUX_FLOOD_LATE_EACH;
    if (f->late > MUX_FLOOD_LATE_MAX) f->late = MUX_FLOOD_LATE_MAX;
}

void mux_flood_ended_all(struct mux_flood *f)
{
    f->late = MUX_FLOOD_LATE_MAX;
}

bool mux_flood_late(struct mux_flood *f, uint64_t now_ms)
{
    if (f->late == 0) return mux_flood_spend(f, now_ms);
    f->late--;
    return true;
}

bool mux_flood_peer_spend(_Atomic uint64_t *full_ms, uint64_t now_ms)
{
    uint64_t full = atomic_load_explicit(full_ms, memory_order_relaxed), next;
    do {
        next = (full > now_ms ? full : now_ms) + MUX_FLOOD_PEER_REFILL_MS;
        if (next > now_ms + (uint64_t)MUX_FLOOD_PEER_BURST * MUX_FLOOD_PEER_REFILL_MS) return false;
    } while (!atomic_compare_exchange_weak_explicit(full_ms, &full, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}
