#include "proxy/net/pressure.h"

#include <assert.h>

#include "core/base/limits.h"
#include "proxy/http/exchange.h"

/* Blocks that are kept though nobody uses them: this part of the budget. */
#define KEPT_PART 8u
#define H2_PART   4u
/* Beyond the budget: for answers that say why. */
#define SPARE_BLOCKS 64u

static_assert(sizeof(struct exchange) + 4096u <= PRESSURE_EXCHANGE_BYTES,
              "an exchange is counted whole");

size_t pressure_high_water(const struct context *ctx)
{
    bool none = pressure_now(ctx) == PRESSURE_NONE;
    loop_limit_reads(ctx->loop, none ? READ_BUFFER_BYTES : PRESSURE_BODY_BYTES);
    return none ? BODY_HIGH_WATER_BYTES : PRESSURE_BODY_BYTES;
}

size_t pressure_low_water(const struct context *ctx)
{
    return pressure_now(ctx) == PRESSURE_NONE ? BODY_LOW_WATER_BYTES : PRESSURE_BODY_BYTES / 2;
}

size_t pressure_out_water(const struct context *ctx, const struct conn *c)
{
    return pressure_now(ctx) == PRESSURE_NONE ? conn_low_water(c) : 0;
}

void pressure_refresh(struct context *ctx)
{
    const struct snapshot *s = ctx->view->snapshot;
    struct iobuf_pool *pool = ctx->pool;
    uint64_t share = s->memory_bytes / s->workers;
    ctx->memory_bytes = share > 0 && share < SIZE_MAX ? (size_t)share : SIZE_MAX;
    size_t blocks = ctx->memory_bytes / pool->block_bytes + SPARE_BLOCKS;
    pool->blocks_max = blocks < LOOP_BLOCKS_MAX ? blocks : LOOP_BLOCKS_MAX;
    pool->blocks_kept = pool->blocks_max / KEPT_PART;
    /* Connections that were let in when they held little may all come to hold much. */
    loop_held(ctx->loop)->waiting_max = ctx->memory_bytes;
    size_t h2 = ctx->memory_bytes / H2_PART;
    ctx->mux_alloc.bytes_max = h2 < CONTEXT_H2_BYTES_MAX ? h2 : CONTEXT_H2_BYTES_MAX;
}

void pressure_share(struct context *ctx, const struct addr *peer)
{
    char text[ADDR_TEXT_MAX];
    metrics_count(ctx->metrics, METRICS_SHED_SHARE, 1);
    log_limited(ctx->log, LOG_LEVEL_WARN, hash_mix((uint64_t)METRICS_SHED_SHARE), "shed",
                "worker=%u what=connection because=memory_share from=%s held_bytes=%zu "
                "limit_bytes=%zu",
                ctx->index, addr_format(peer, text), ctx->mux_alloc.bytes_held,
                ctx->mux_alloc.bytes_max);
}

void pressure_shed(struct context *ctx, const char *what)
{
    metrics_count(ctx->metrics, METRICS_SHED_MEMORY, 1);
    log_limited(ctx->log, LOG_LEVEL_WARN, hash_mix((uint64_t)(uintptr_t)what), "shed",
                "worker=%u what=%s because=memory used_bytes=%zu limit_bytes=%zu", ctx->index, what,
                pressure_in_use(ctx), ctx->memory_bytes);
}
