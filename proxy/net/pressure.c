#include "proxy/net/pressure.h"

#include "core/base/limits.h"
#include "proxy/http/exchange.h"

/* Its struct and the first chunk of its arena. */
#define EXCHANGE_BYTES (sizeof(struct exchange) + 4096u)
/* Blocks that are kept though nobody uses them: this part of the budget. */
#define KEPT_PART 8u
#define H2_PART   4u
/* Beyond the budget: for answers that say why. */
#define SPARE_BLOCKS 64u

static size_t bodies_bytes(const struct context *ctx)
{
    const struct iobuf_pool *pool = loop_pool(ctx->loop);
    return pool->blocks_live * pool->block_bytes;
}

static size_t in_use(const struct context *ctx)
{
    uint64_t exchanges = atomic_load_explicit(&ctx->in_flight, memory_order_relaxed);
    return ctx->session_bytes + bodies_bytes(ctx) +
           ((size_t)exchanges + ctx->idle_exchange_count) * EXCHANGE_BYTES;
}

enum pressure pressure_now(const struct context *ctx)
{
    size_t used = in_use(ctx);
    if (used >= ctx->memory_bytes) return PRESSURE_FULL;
    bool high = used >= ctx->memory_bytes / 2 || bodies_bytes(ctx) >= PRESSURE_BODIES_BYTES;
    return high ? PRESSURE_HIGH : PRESSURE_NONE;
}

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
    size_t low = conn_low_water(c), pressed = PRESSURE_BODY_BYTES / 2;
    return pressure_now(ctx) == PRESSURE_NONE || low < pressed ? low : pressed;
}

void pressure_refresh(struct context *ctx)
{
    const struct snapshot *s = ctx->view->snapshot;
    struct iobuf_pool *pool = loop_pool(ctx->loop);
    uint64_t share = s->memory_bytes / s->workers;
    ctx->memory_bytes = share > 0 && share < SIZE_MAX ? (size_t)share : SIZE_MAX;
    size_t blocks = ctx->memory_bytes / pool->block_bytes + SPARE_BLOCKS;
    pool->blocks_max = blocks < LOOP_BLOCKS_MAX ? blocks : LOOP_BLOCKS_MAX;
    pool->blocks_kept = pool->blocks_max / KEPT_PART;
    size_t h2 = ctx->memory_bytes / H2_PART;
    ctx->h2_alloc.bytes_max = h2 < CONTEXT_H2_BYTES_MAX ? h2 : CONTEXT_H2_BYTES_MAX;
}

void pressure_shed(struct context *ctx, const char *what)
{
    metrics_count(ctx->metrics, METRICS_SHED_MEMORY, 1);
    log_limited(ctx->log, LOG_LEVEL_WARN, hash_mix((uint64_t)(uintptr_t)what), "shed",
                "worker=%u what=%s because=memory used_bytes=%zu limit_bytes=%zu", ctx->index, what,
                in_use(ctx), ctx->memory_bytes);
}
