#include "proxy/filters/filter_headers.h"

#include "core/base/check.h"
#include "core/model/addr.h"

struct headers_state {
    struct span id; /* of the request, for its response */
};

static void strip(struct headers *h)
{
    headers_remove_prefix(h, "parley-");
    headers_remove(h, "forwarded");
    headers_remove(h, "x-forwarded-for");
    headers_remove(h, "x-real-ip");
    headers_remove(h, "x-forwarded-client-cert");
    headers_remove(h, "client-cert");
    headers_remove(h, "client-cert-chain");
}

static enum filter_verdict refuse(struct filter_ctx *ctx, enum reason reason)
{
    ctx->reason = reason;
    return FILTER_REPLY;
}

static enum filter_verdict stamp_inbound(struct filter_ctx *ctx, struct request *req)
{
    char text[ADDR_TEXT_MAX];
    if (req->peer_uri.len > 0 &&
        headers_add(req->headers, SPAN_LIT("parley-peer"), req->peer_uri) != ERR_OK)
        return refuse(ctx, REASON_HEADERS_TOO_LARGE);
    if (ctx->client == NULL || ctx->client->family == ADDR_NONE) return FILTER_NEXT;
    struct span ip = arena_span(ctx->arena, addr_format_ip(ctx->client, text));
    if (ip.p == NULL) return refuse(ctx, REASON_INTERNAL);
    if (headers_add(req->headers, SPAN_LIT("x-forwarded-for"), ip) != ERR_OK)
        return refuse(ctx, REASON_HEADERS_TOO_LARGE);
    return FILTER_NEXT;
}

static enum filter_verdict headers_request(struct filter_ctx *ctx, struct request *req)
{
    struct headers_state *state = ctx->state;
    state->id = req->id;
    strip(req->headers);
    if (headers_add(req->headers, SPAN_LIT("parley-request-id"), req->id) != ERR_OK)
        return refuse(ctx, REASON_HEADERS_TOO_LARGE);
    return ctx->direction == DIRECTION_INBOUND ? stamp_inbound(ctx, req) : FILTER_NEXT;
}

static enum filter_verdict headers_response(struct filter_ctx *ctx, struct response *resp)
{
    const struct headers_state *state = ctx->state;
    const struct header *field = headers_find(resp->headers, "parley-reason");
    bool keep = ctx->direction == DIRECTION_OUTBOUND && field != NULL;
    struct span reason = keep ? field->value : span_of(NULL, 0);
    headers_remove_prefix(resp->headers, "parley-");
    if (ctx->direction == DIRECTION_INBOUND) return FILTER_NEXT;
    if (keep && headers_add(resp->headers, SPAN_LIT("parley-reason"), reason) != ERR_OK)
        return refuse(ctx, REASON_PROTOCOL_ERROR);
    if (headers_add(resp->headers, SPAN_LIT("parley-request-id"), state->id) != ERR_OK)
        return refuse(ctx, REASON_PROTOCOL_ERROR);
    return FILTER_NEXT;
}

const struct filter_ops filter_headers = {
    .name = "headers",
    .state_size = sizeof(struct headers_state),
    .request = headers_request,
    .response = headers_response,
};
