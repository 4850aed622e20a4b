#include "core/wire/mux_purse.h"

#include "core/base/check.h"

#include <string.h>

void mux_purse_init(struct mux_purse *p, struct mux_alloc *alloc, _Atomic uint32_t *peer)
{
    *p = (struct mux_purse){.alloc = alloc, .peer = peer};
}

size_t mux_purse_most(const struct mux_purse *p)
{
    size_t part = p->alloc->bytes_max / MUX_PURSE_PART;
    return part > MUX_PURSE_BYTES_MIN ? part : MUX_PURSE_BYTES_MIN;
}

static uint32_t steps_of(size_t bytes)
{
    return (uint32_t)((bytes + MUX_PURSE_STEP_BYTES - 1) / MUX_PURSE_STEP_BYTES);
}

static void give_steps(struct mux_purse *p, uint32_t steps)
{
    if (p->peer == NULL || steps == 0) return;
    uint32_t before = atomic_fetch_sub_explicit(p->peer, steps, memory_order_relaxed);
    CHECK(before >= steps && p->steps >= steps);
    p->steps -= steps;
}

/* The peer's count is enough for `bytes`, or becomes it. */
static bool take_steps(struct mux_purse *p, size_t bytes)
{
    uint32_t steps = steps_of(bytes);
    if (p->peer == NULL || steps <= p->steps) return true;
    uint32_t most = steps_of(p->alloc->bytes_max / MUX_PURSE_PEER_PART), more = steps - p->steps;
    uint32_t before = atomic_fetch_add_explicit(p->peer, more, memory_order_relaxed);
    p->steps = steps;
    if (more <= most && before <= most - more) return true;
    give_steps(p, more);
    return false;
}

void mux_purse_fini(struct mux_purse *p)
{
    CHECK(p->bytes == 0);
    give_steps(p, p->steps);
}

void *mux_purse_get(struct mux_purse *p, size_t len)
{
    size_t most = mux_purse_most(p), bytes = mux_alloc_bytes(len);
    bool fits = p->bytes <= most && bytes <= most - p->bytes && take_steps(p, p->bytes + bytes);
    void *block = fits ? mux_alloc_get(p->alloc, len) : NULL;
    if (block == NULL)
        p->refused = true;
    else
        p->bytes += bytes;
    return block;
}

void mux_purse_put(struct mux_purse *p, void *block)
{
    size_t bytes = mux_alloc_taken(block);
    CHECK(bytes <= p->bytes);
    p->bytes -= bytes;
    mux_alloc_put(p->alloc, block);
    /* One more is kept, so that what comes and goes changes nothing. */
    uint32_t steps = steps_of(p->bytes) + 1;
    if (p->bytes == 0 || p->steps > steps + 1) give_steps(p, p->steps - (p->bytes > 0 ? steps : 0));
}

void *mux_purse_resize(struct mux_purse *p, void *block, size_t len)
{
    size_t have = mux_alloc_taken(block);
    if (block != NULL && len <= have) return block;
    void *grown = mux_purse_get(p, len);
    if (grown == NULL) return NULL;
    if (have > 0) memcpy(grown, block, have);
    mux_purse_put(p, block);
    return grown;
}
