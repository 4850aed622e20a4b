#include "core/wire/mux_quit.h"

#include <assert.h>
#include <string.h>

#include "core/base/limits.h"
#include "core/wire/mux_flood.h"

static_assert(MUX_QUIT_MAX >= LINK_STREAMS_MAX, "all streams of a link");
static_assert(MUX_QUIT_WAIT_MS > MUX_FLOOD_RAPID_MS, "no flood");
static_assert(MUX_QUIT_WAIT_MS > MUX_FLOOD_REFILL_MS, "nor one of PINGs");

void mux_quit_init(struct mux_quit *q, struct mux_alloc *alloc)
{
    *q = (struct mux_quit){.alloc = alloc, .due_ms = UINT64_MAX};
}

void mux_quit_fini(struct mux_quit *q)
{
    mux_alloc_put(q->alloc, q->id);
    q->id = NULL;
    q->count = q->asked = 0;
}

bool mux_quit_add(struct mux_quit *q, int32_t id)
{
    if (q->count == MUX_QUIT_MAX) return false;
    if (q->id == NULL) q->id = mux_alloc_get(q->alloc, MUX_QUIT_MAX * sizeof *q->id);
    if (q->id == NULL) return false;
    q->id[q->count++] = id;
    return true;
}

bool mux_quit_has(const struct mux_quit *q, int32_t id)
{
    for (uint32_t i = 0; i < q->count; i++)
        if (q->id[i] == id) return true;
    return false;
}

void mux_quit_asked(struct mux_quit *q)
{
    q->asked = q->count;
    q->ping = q->pings;
    q->due_ms = UINT64_MAX;
}

bool mux_quit_ponged(struct mux_quit *q, uint64_t now_ms)
{
    if (q->pongs == q->pings) return false;
    q->pongs++;
    if (q->asked > 0 && q->pongs == q->ping) q->due_ms = now_ms + MUX_QUIT_WAIT_MS;
    return true;
}

void mux_quit_told(struct mux_quit *q)
{
    q->count -= q->asked;
    memmove(q->id, q->id + q->asked, q->count * sizeof *q->id);
    q->asked = 0;
    if (q->count == 0) mux_quit_fini(q);
}
