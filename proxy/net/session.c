#include "proxy/net/session.h"

#include "core/base/check.h"

static void on_free(struct loop_flush *f)
{
    struct session *s = CONTAINER_OF(f, struct session, free);
    slab_put(loop_slab(s->ctx->loop, s->ops->size), s);
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
    context_count(&ctx->sessions_total, 1);
    return s;
}

void *session_new(struct context *ctx, const struct session_ops *ops)
{
    struct session *s = make(ctx, ops);
    if (s != NULL) metrics_count(ctx->metrics, METRICS_SESSIONS_OPENED, 1);
    return s;
}

void *session_replace(struct session *old, const struct session_ops *ops)
{
    session_end(old);
    return make(old->ctx, ops);
}

void session_end(struct session *s)
{
    CHECK(!s->gone);
    s->gone = true;
    list_remove(&s->node);
    s->ctx->session_count--;
    context_count(&s->ctx->sessions_total, -1);
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
