#include "proxy/http/exchange_idle.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "proxy/http/exchange.h"
#include "proxy/net/pressure.h"

#define IDLE_MAX 512u

static void give_back(struct exchange *ex)
{
    arena_fini(&ex->arena);
    ex->magic = MAGIC_POISON;
    free(ex);
}

struct exchange *exchange_idle_take(struct context *ctx)
{
    struct list *node = list_first(&ctx->idle_exchanges);
    if (node == NULL) return NULL;
    list_remove(node);
    ctx->idle_exchange_count--;
    if (ctx->idle_exchange_count < ctx->idle_exchange_least)
        ctx->idle_exchange_least = ctx->idle_exchange_count;
    return LIST_ENTRY(node, struct exchange, node);
}

void exchange_idle_put(struct context *ctx, struct exchange *take_ex)
{
    bool keep = ctx->idle_exchange_count < IDLE_MAX && !ctx->stopping;
    if (!keep || pressure_now(ctx) != PRESSURE_NONE) {
        give_back(take_ex);
        return;
    }
    arena_reset(&take_ex->arena);
    ctx->idle_exchange_count++;
    list_push_front(&ctx->idle_exchanges, &take_ex->node);
    context_trim_later(ctx);
}

static void drop(struct context *ctx, size_t count)
{
    for (; count > 0; count--) {
        struct exchange *ex = LIST_ENTRY(list_last(&ctx->idle_exchanges), struct exchange, node);
        list_remove(&ex->node);
        ctx->idle_exchange_count--;
        give_back(ex);
    }
}

size_t exchange_idle_trim(struct context *ctx, size_t kept)
{
    size_t least = ctx->idle_exchange_least;
    size_t count = least > kept ? least - kept : 0;
    drop(ctx, count);
    ctx->idle_exchange_least = ctx->idle_exchange_count;
    return count * sizeof(struct exchange);
}

void exchange_idle_free(struct context *ctx)
{
    drop(ctx, ctx->idle_exchange_count);
}
