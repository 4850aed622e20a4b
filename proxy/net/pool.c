#include "proxy/net/pool.h"

#include "proxy/http/link_client.h"

struct choice {
    struct link_client *roomy, *least; /* NULL: none */
    size_t count;
};

static struct choice survey(const struct exchange *ex)
{
    struct choice c = {.count = 0};
    const struct trust *trust = ex->view->snapshot->trust;
    LIST_EACH(node, next, &ex->attempt.state->links)
    {
        struct link_client *l = LIST_ENTRY(node, struct link_client, back.by_state);
        bool ours = l->identity == ex->upstream->identity && l->trust == trust &&
                    addr_eq(&l->addr, &ex->attempt.endpoint->addr);
        if (!ours || l->back.draining || l->back.failed) continue;
        c.count++;
        if (!mux_back_usable(&l->back)) continue;
        size_t load = mux_back_load(&l->back);
        if (c.roomy == NULL && load < POOL_STREAMS_MANY) c.roomy = l;
        if (c.least == NULL || load < mux_back_load(&c.least->back)) c.least = l;
    }
    return c;
}

enum err pool_checkout(struct exchange *ex, enum reason *reason)
{
    struct context *ctx = ex->ctx;
    struct link_client *fresh = NULL;
    if (ex->upstream->identity == NULL || ex->view->snapshot->trust == NULL) {
        *reason = REASON_PEER_NO_CERT;
        return ERR_AUTH;
    }
    struct choice c = survey(ex);
    if (c.roomy != NULL) return mux_back_attach(&c.roomy->back, ex);
    enum err err = ERR_FULL;
    if (c.count < POOL_LINKS_MAX && context_may_handshake(ctx, CONTEXT_HANDSHAKE_TO_PEER))
        err = link_client_open(ex, &fresh);
    /* A busy link answers sooner than a handshake. */
    if (c.least != NULL) return mux_back_attach(&c.least->back, ex);
    if (fresh != NULL) return mux_back_attach(&fresh->back, ex);
    *reason = err == ERR_EXPIRED ? REASON_PEER_CERT_EXPIRED : REASON_POOL_FULL;
    return err;
}

static bool still_used(const struct snapshot *s, const struct link_client *l)
{
    if (l->trust != s->trust) return false;
    for (size_t i = 0; i < s->upstream_count; i++)
        if (s->upstream[i].identity == l->identity) return true;
    return false;
}

void pool_refresh(struct context *ctx)
{
    LIST_EACH(node, next, &ctx->links)
    {
        struct link_client *l = LIST_ENTRY(node, struct link_client, back.node);
        if (!still_used(ctx->view->snapshot, l)) l->back.draining = true;
    }
}
