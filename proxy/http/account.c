#include "proxy/http/account.h"

#include "core/base/uncleared.h"
#include "proxy/http/grpc.h"
#include "proxy/observe/access_log.h"

static struct metrics_labels labels_of(const struct exchange *ex)
{
    struct metrics_labels l = {.direction = ex->direction};
    if (ex->direction == DIRECTION_INBOUND) {
        l.service = ex->service != NULL ? span_str(ex->service->name.text) : SPAN_LIT("");
        l.peer = span_str(ex->peer.name.text);
    } else {
        l.service = span_str(ex->peer.name.text);
        l.peer = ex->upstream != NULL ? span_str(ex->upstream->name.text) : SPAN_LIT("");
    }
    return l;
}

void account_begin(struct exchange *ex)
{
    struct metrics_labels l = labels_of(ex);
    ex->counted = true;
    if (ex->tcp)
        metrics_tcp_open(ex->ctx->metrics, &l);
    else
        metrics_in_flight(ex->ctx->metrics, &l);
}

void account_queued(struct exchange *ex, int delta)
{
    struct metrics_labels l = labels_of(ex);
    if (!ex->tcp) metrics_queued(ex->ctx->metrics, &l, delta);
}

static void count(struct exchange *ex, const struct metrics_labels *l, unsigned status,
                  uint64_t duration_us, uint64_t app_us)
{
    if (ex->tcp) {
        struct metrics_tcp x = {.labels = *l,
                                .reason = ex->reason,
                                .duration_us = duration_us,
                                .rx_bytes = ex->req_body.bytes_total,
                                .tx_bytes = ex->resp_body.bytes_total};
        if (ex->counted) metrics_tcp_close(ex->ctx->metrics, &x);
        return;
    }
    struct metrics_exchange x = {.labels = *l,
                                 .was_in_flight = ex->counted,
                                 .status = status,
                                 .origin_app = ex->origin_app,
                                 .reason = ex->reason,
                                 .duration_us = duration_us,
                                 .app_us = app_us,
                                 .rx_bytes = ex->req_body.bytes_total,
                                 .tx_bytes = ex->resp_body.bytes_total,
                                 .retries = ex->attempt.count > 1 ? ex->attempt.count - 1 : 0,
                                 .out_of_budget = ex->out_of_budget,
                                 .grpc = ex->req.grpc,
                                 .grpc_status = ex->req.grpc ? grpc_outcome(ex) : 0,
                                 .verdict = ex->chain.ctx.verdict,
                                 .rule = ex->chain.ctx.rule,
                                 .layer = ex->chain.ctx.layer};
    if (x.verdict == NULL) x.verdict = x.rule = x.layer = "";
    metrics_request(ex->ctx->metrics, &x);
}

static const char *close_word(const struct exchange *ex)
{
    if (!ex->tcp) return NULL;
    if (ex->reason != REASON_NONE) return reason_word(ex->reason);
    return "end";
}

static const char *proto_of(const struct exchange *ex)
{
    if (ex->tcp) return "tcp";
    return ex->req.grpc ? "grpc" : ex->down_ops->proto;
}

void account_end(struct exchange *ex)
{
    const struct snapshot *s = ex->view->snapshot;
    uint64_t now_us = loop_now_us(ex->ctx->loop);
    uint64_t duration_us = now_us - ex->begun_us;
    uint64_t app_us =
        ex->origin_app && ex->first_byte_us != 0 ? ex->first_byte_us - ex->begun_us : 0;
    unsigned status = ex->responded && !ex->tcp ? ex->resp.status : 0;
    struct metrics_labels l = labels_of(ex);
    char uri[SPIFFE_ID_BYTES_MAX + 1] UNCLEARED;
    struct span peer_id = ex->req.peer_uri;
    count(ex, &l, status, duration_us, app_us);
    /* A caller that ends in the middle of a head has not named it. */
    if (ex->req.id.len == 0) exchange_name(ex);
    /* A link knows it as text; one that ended in the middle of a head has not told it yet. */
    if (ex->direction == DIRECTION_INBOUND && peer_id.len == 0 && ex->peer.name.text[0] != '\0')
        peer_id = span_of(uri, name_spiffe_format(&ex->peer, uri));
    const struct header *agent = headers_find(ex->req.headers, "user-agent");
    bool outbound = ex->direction == DIRECTION_OUTBOUND;
    struct access_record r = {
        .wall_us = ex->begun_wall_us,
        .id = ex->req.id,
        .direction = ex->direction,
        .service = l.service,
        .peer = l.peer,
        .peer_id = outbound ? SPAN_LIT("") : peer_id,
        .node = span_str(s->node.text),
        .client = ex->client.family != ADDR_NONE ? &ex->client : NULL,
        .proto = proto_of(ex),
        .method = ex->tcp ? SPAN_LIT("") : ex->req.method,
        .host = ex->req.authority,
        .path = ex->req.target.path,
        .query = ex->req.target.query,
        .status = status,
        .grpc = ex->req.grpc,
        .grpc_status = ex->req.grpc ? grpc_outcome(ex) : 0,
        .reason = ex->reason,
        .origin_app = ex->origin_app,
        .verdict = ex->chain.ctx.verdict != NULL ? ex->chain.ctx.verdict : "",
        .rule = ex->chain.ctx.rule != NULL ? ex->chain.ctx.rule : "",
        .layer = ex->chain.ctx.layer != NULL ? ex->chain.ctx.layer : "",
        .endpoint =
            ex->attempt.endpoint != NULL ? span_str(ex->attempt.endpoint->node.text) : SPAN_LIT(""),
        .tries = ex->attempt.count,
        .duration_us = duration_us,
        .app_us = app_us,
        .connect_us = ex->connect_us,
        .rx = ex->req_body.bytes_total,
        .tx = ex->resp_body.bytes_total,
        .tls = outbound ? ex->attempt.endpoint != NULL && ex->attempt.endpoint->local_service < 0
                        : ex->down_tls,
        .generation = s->generation,
        .user_agent = agent != NULL ? agent->value : SPAN_LIT(""),
        .close = close_word(ex),
    };
    /* The ring counts what it has no room for. */
    (void)access_log_put(ex->ctx->access_ring, &r, s->access_only, s->access_query);
    if (byte_ring_wakes(ex->ctx->access_ring)) context_wake_control(ex->ctx);
    struct filter_outcome outcome = {
        .status = status, .reason = ex->reason, .duration_us = duration_us};
    chain_finish(&ex->chain, &outcome, loop_now_ms(ex->ctx->loop));
}
