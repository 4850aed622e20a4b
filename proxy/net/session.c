#include "proxy/net/session.h"

#include "core/base/check.h"
#include "core/base/hash.h"
#include "core/base/limits.h"
#include "proxy/net/clients.h"
#include "proxy/net/pressure.h"

static void on_free(struct loop_flush *f)
{
    struct session *s = CONTAINER_OF(f, struct session, free);
    slab_put(loop_slab(s->ctx->loop, s->ops->size), s);
}

static size_t bytes_of(const struct session_ops *ops)
{
    return ops->bytes > 0 ? ops->bytes : SESSION_BYTES;
}

static struct session *make(struct context *ctx, const struct session_ops *ops)
{
    struct session *s = NULL;
    if (ctx->session_count < WORKER_SESSIONS_MAX && !ctx->stopping)
        s = slab_get(loop_slab(ctx->loop, ops->size));
    if (s == NULL) {
        metrics_count(ctx->metrics, METRICS_SESSIONS_REFUSED, 1);
        return NULL;
    }
    s->ctx = ctx;
    s->ops = ops;
    s->free.on_flush = on_free;
    list_push_back(&ctx->sessions, &s->node);
    ctx->session_count++;
    ctx->session_bytes += bytes_of(ops);
    context_count(&ctx->sessions_total, 1);
    return s;
}

static void refuse(struct context *ctx, const struct addr *from, enum metrics_count why)
{
    char text[ADDR_TEXT_MAX];
    metrics_count(ctx->metrics, METRICS_SESSIONS_REFUSED, 1);
    metrics_count(ctx->metrics, why, 1);
    log_limited(ctx->log, LOG_LEVEL_WARN, hash_mix((uint64_t)why), "shed",
                "worker=%u what=connection because=%s from=%s", ctx->index,
                why == METRICS_SHED_CLIENT ? "connections_per_client" : "connections",
                addr_format(from, text));
}

/* False: at a cap, which is counted. */
static bool enter(struct context *ctx, const struct addr *from, struct clients_cell **out)
{
    if (pressure_now(ctx) == PRESSURE_FULL) {
        metrics_count(ctx->metrics, METRICS_SESSIONS_REFUSED, 1);
        pressure_shed(ctx, "connection");
        return false;
    }
    if (ctx->clients == NULL) return true;
    const struct config_bounds *b = &ctx->view->snapshot->bounds;
    *out = clients_enter(ctx->clients, from, b->connections, b->connections_per_client);
    if (*out != NULL) return true;
    bool own = clients_room(ctx->clients, b->connections) > 0;
    refuse(ctx, from, own ? METRICS_SHED_CLIENT : METRICS_SHED_CONNECTIONS);
    return false;
}

void *session_new(struct context *ctx, const struct session_ops *ops, const struct addr *from)
{
    struct clients_cell *client = NULL;
    if (!enter(ctx, from, &client)) return NULL;
    struct session *s = make(ctx, ops);
    if (s == NULL) {
        if (client != NULL) clients_leave(ctx->clients, client);
        return NULL;
    }
    s->client = client;
    metrics_count(ctx->metrics, METRICS_SESSIONS_OPENED, 1);
    return s;
}

void *session_replace(struct session *old, const struct session_ops *ops)
{
    struct clients_cell *client = old->client;
    old->client = NULL;
    session_end(old);
    struct session *s = make(old->ctx, ops);
    if (s != NULL)
        s->client = client;
    else if (client != NULL)
        clients_leave(old->ctx->clients, client);
    return s;
}

void session_give(struct session *s)
{
    if (s->client != NULL) clients_leave(s->ctx->clients, s->client);
    s->client = NULL;
}

/* The loop has no metrics; sessions are what closes in masses. */
static void count_cut(struct context *ctx)
{
    uint64_t cut = loop_orphans_cut(ctx->loop);
    metrics_count(ctx->metrics, METRICS_SHED_CLOSING, cut - ctx->cut_seen);
    ctx->cut_seen = cut;
}

void session_end(struct session *s)
{
    CHECK(!s->gone);
    s->gone = true;
    session_give(s);
    list_remove(&s->node);
    s->ctx->session_count--;
    s->ctx->session_bytes -= bytes_of(s->ops);
    context_count(&s->ctx->sessions_total, -1);
    count_cut(s->ctx);
    loop_flush_mark(s->ctx->loop, &s->free, LOOP_FLUSH_FREE);
}

void session_refresh_all(struct context *ctx)
{
    LIST_EACH(node, next, &ctx->sessions)
    {
        struct session *s = LIST_ENTRY(node, struct session, node);
        if (s->ops->refresh != NULL) s->ops->refresh(s);
    }
}

void session_close_all(struct context *ctx)
{
    struct list *node;
    while ((node = list_first(&ctx->sessions)) != NULL) {
        struct session *s = LIST_ENTRY(node, struct session, node);
        s->ops->close(s);
        CHECK(s->gone);
    }
}
