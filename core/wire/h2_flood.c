#include "core/wire/h2_flood.h"

void h2_flood_init(struct h2_flood *f, uint64_t now_ms)
{
    *f = (struct h2_flood){.tokens = H2_FLOOD_BURST, .refilled_ms = now_ms};
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
    f->tokens--;
    return true;
}
