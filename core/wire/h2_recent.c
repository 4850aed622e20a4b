#include "core/wire/h2_recent.h"

#define WINDOW 64u

/* Streams back from the newest. */
static uint32_t age_of(const struct h2_recent *r, int32_t id)
{
    return (uint32_t)(r->last_id - id) / 2;
}

void h2_recent_open(struct h2_recent *r, int32_t id)
{
    uint32_t step = ((uint32_t)id - (uint32_t)r->last_id + 1) / 2;
    if (id <= r->last_id) return;
    r->opened = step < WINDOW ? r->opened << step : 0;
    r->ended = step < WINDOW ? r->ended << step : 0;
    r->opened |= 1;
    r->last_id = id;
}

void h2_recent_end(struct h2_recent *r, int32_t id)
{
    if (id > r->last_id || age_of(r, id) >= WINDOW) return;
    r->ended |= UINT64_C(1) << age_of(r, id);
}

enum h2_recent_state h2_recent_look(const struct h2_recent *r, int32_t id)
{
    if (id > r->last_id) return H2_RECENT_FRESH;
    uint32_t age = age_of(r, id);
    if (age >= WINDOW) return H2_RECENT_OTHER;
    if ((r->opened >> age & 1) == 0) return H2_RECENT_SKIPPED;
    return (r->ended >> age & 1) != 0 ? H2_RECENT_ENDED : H2_RECENT_OTHER;
}
