/* Pressure: how much of its share of the memory budget ([limits] memory) a worker has in use, and
 * what follows from it (security.md O03, O09).
 *
 *      0 ........ half ........ all
 *      | NONE      | HIGH        | FULL       HIGH too: PRESSURE_BODIES_BYTES of bodies wait
 *
 * HIGH: a body is read in pieces of PRESSURE_BODY_BYTES and paused at as much, its next block goes
 * to a client when the last has left, and what is freed goes back to the system. FULL: new requests
 * get 503, new connections are refused or, of local clients, not accepted.
 *
 * Worker thread. Nothing is measured: what there is is counted, each thing with what it takes at
 * most, so that the answer is exact at any time and costs a few additions.
 */
#ifndef PROXY_NET_PRESSURE_H
#define PROXY_NET_PRESSURE_H

#include "core/io/conn.h"
#include "proxy/net/context.h"

#define PRESSURE_BODIES_BYTES ((size_t)4 * 1024 * 1024)
#define PRESSURE_BODY_BYTES   (16u * 1024)
/* Its struct and the first chunk of its arena. */
#define PRESSURE_EXCHANGE_BYTES ((size_t)16 * 1024)

enum pressure { PRESSURE_NONE, PRESSURE_HIGH, PRESSURE_FULL };

/* Bytes that are counted. */
static inline size_t pressure_in_use(const struct context *ctx)
{
    uint64_t exchanges = atomic_load_explicit(&ctx->in_flight, memory_order_relaxed);
    return ctx->session_bytes + ctx->mux_alloc.bytes_held + loop_held(ctx->loop)->bytes +
           ctx->pool->blocks_live * ctx->pool->block_bytes +
           ((size_t)exchanges + ctx->idle_exchange_count) * PRESSURE_EXCHANGE_BYTES;
}

static inline enum pressure pressure_now(const struct context *ctx)
{
    size_t used = pressure_in_use(ctx);
    if (used >= ctx->memory_bytes) return PRESSURE_FULL;
    bool high = used >= ctx->memory_bytes / 2 ||
                ctx->pool->blocks_live * ctx->pool->block_bytes >= PRESSURE_BODIES_BYTES;
    return high ? PRESSURE_HIGH : PRESSURE_NONE;
}

/* Bytes that a body may have waiting before its source is paused, and at which it goes on. To be
 * asked for the first after each piece of a body: it also sets how much the next read takes. */
size_t pressure_high_water(const struct context *ctx);
size_t pressure_low_water(const struct context *ctx);
/* Bytes that a response may have waiting for its client's socket before more is taken from its body
 * (then conn_ask_drain). */
size_t pressure_out_water(const struct context *ctx, const struct conn *c);
/* A new view: its budget holds from now on. */
void pressure_refresh(struct context *ctx);
/* Counts, and says in the log now and then, that a connection with `peer` was ended or refused:
 * it, all of its client or all of the worker held as much as they may (core/wire/mux_purse.h). */
void pressure_share(struct context *ctx, const struct addr *peer);
/* Counts, and says in the log now and then, that something was refused, or a link ended, for want
 * of memory. */
void pressure_shed(struct context *ctx, const char *what);

#endif
