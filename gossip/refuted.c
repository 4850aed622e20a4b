#include "gossip/refuted.h"

void refuted_note(struct refuted *r, uint32_t inc, uint64_t now_ms)
{
    if (now_ms + REFUTED_MS / 2 <= r->span[0].end_ms) return; /* it counts for half of that still */
    r->span[1] = r->span[0];
    r->span[0] = (struct refuted_span){.end_ms = now_ms + REFUTED_MS, .inc = inc};
}

bool refuted_counts(const struct refuted *r, uint32_t inc, uint64_t now_ms)
{
    for (unsigned i = 0; i < 2; i++)
        if (inc >= r->span[i].inc && now_ms < r->span[i].end_ms) return true;
    return false;
}

uint64_t refuted_end_ms(const struct refuted *r)
{
    return r->span[0].end_ms;
}
