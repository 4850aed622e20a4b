#include "proxy/net/drain.h"

#include "proxy/http/exchange.h"
#include "proxy/net/pool.h"
#include "proxy/net/session.h"

static bool still_allowed(struct context *ctx, const struct exchange *ex)
{
    const struct snapshot *now = ctx->view->snapshot;
    const struct snapshot_service *s = snapshot_service(now, span_str(ex->service->name.text));
    struct chain chain;
    if (s == NULL || (s->protocol == PROTOCOL_TCP) != ex->tcp) return false;
    if (ex->req.tunnel && !s->connect) return false;
    struct filter_session session = {.peer = &ex->peer, .service = &s->name};
    struct filter_outcome outcome = {.status = 0};
    uint64_t now_ms = loop_now_ms(ctx->loop);
    arena_reset(&ctx->scratch);
    chain_init(&chain, s->filter, s->filter_count, DIRECTION_INBOUND, &ctx->scratch, &ex->client);
    /* Filters may change the fields of what they judge, and judge none of them. */
    struct headers none = {.count = 0};
    struct request req = ex->req;
    req.headers = &none;
    bool allowed = ex->tcp ? chain_session(&chain, &session, now_ms) == FILTER_NEXT
                           : chain_request(&chain, &req, now_ms) == FILTER_NEXT;
    chain_finish(&chain, &outcome, now_ms);
    return allowed;
}

static void judge_tunnels(struct context *ctx)
{
    struct list judged;
    list_take(&judged, &ctx->tunnels);
    /* A cut may end the link, and other tunnels with it. */
    for (struct list *node; (node = list_first(&judged)) != NULL;) {
        struct exchange *ex = LIST_ENTRY(node, struct exchange, tunnel);
        list_remove(node);
        list_push_back(&ctx->tunnels, node);
        if (!still_allowed(ctx, ex)) exchange_cut(ex, REASON_POLICY_CHANGED);
    }
}

void drain_cut_tunnels(struct context *ctx)
{
    struct list *node;
    while ((node = list_first(&ctx->tunnels)) != NULL)
        exchange_cut(LIST_ENTRY(node, struct exchange, tunnel), REASON_DRAINING);
}

void drain_refresh(struct context *ctx)
{
    session_refresh_all(ctx);
    pool_refresh(ctx);
    judge_tunnels(ctx);
}
