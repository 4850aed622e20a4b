#include "proxy/http/local.h"

#include "core/base/check.h"
#include "proxy/http/grpc.h"
#include "proxy/net/pressure.h"

/* --- the request's way: out -> in --- */

static struct exchange *inbound_of(const struct exchange *out)
{
    return out->up;
}

/* What `in` takes may make it call back for more; the outermost call goes on then. */
static void pump_request(struct exchange *out)
{
    struct exchange *in = inbound_of(out);
    if (out->pumping) return;
    out->pumping = true;
    while (out->up == in && out->req_body.buf.len > 0 &&
           in->req_body.buf.len <= pressure_low_water(in->ctx)) {
        struct span part = iobuf_front(&out->req_body.buf);
        size_t len = part.len;
        exchange_request_data(in, part);
        if (out->up != in) break;
        iobuf_consume(&out->req_body.buf, len);
        exchange_request_taken(out, len);
    }
    if (out->up == in && exchange_request_ended(out) && !in->req_body.ended)
        exchange_request_end(in, out->req_body.trailers);
    out->pumping = false;
}

static void copy_headers(struct headers *to, const struct headers *from)
{
    memcpy(to->field, from->field, from->count * sizeof from->field[0]);
    to->count = from->count;
    to->bytes = from->bytes;
    to->seen = from->seen;
}

static enum reason up_send(struct exchange *out)
{
    struct exchange *in = inbound_of(out);
    char uri[SPIFFE_ID_BYTES_MAX + 1];
    in->req = out->req;
    in->req.headers = &in->req_headers;
    in->req.timeout_ms = grpc_left_ms(out);
    copy_headers(&in->req_headers, out->req.headers);
    in->peer = out->peer;
    in->req.peer = &in->peer;
    in->req.peer_uri = arena_span(&in->arena, span_of(uri, name_spiffe_format(&in->peer, uri)));
    in->hops = out->hops + 1;
    in->deadline_ms = out->deadline_ms;
    in->again_above = out->again_above || out->attempt.seen_before;
    in->tcp = out->tcp;
    in->req_body.ended = exchange_request_ended(out);
    if (in->tcp) list_push_back(&in->ctx->tunnels, &in->tunnel);
    exchange_start(in);
    return REASON_NONE;
}

static void up_flush(struct exchange *out)
{
    pump_request(out);
}

static void pump_response(struct exchange *in);

static void up_consumed(struct exchange *out, size_t bytes)
{
    (void)bytes;
    pump_response(inbound_of(out));
}

static void up_cancel(struct exchange *out)
{
    struct exchange *in = inbound_of(out);
    in->down = NULL;
    /* It has given all, and ends by itself. */
    if (in->delivered && !in->tunnelled) return;
    exchange_client_gone(in, REASON_CLIENT_GONE);
}

static const struct upstream_ops up_ops = {
    .send = up_send, .flush = up_flush, .consumed = up_consumed, .cancel = up_cancel};

/* --- the response's way: in -> out --- */

static struct exchange *outbound_of(const struct exchange *in)
{
    return in->down;
}

/* `out` is told and forgets this exchange. */
static void fail_out(struct exchange *in, enum reason reason, bool reached)
{
    struct exchange *out = outbound_of(in);
    if (out == NULL) return;
    in->down = NULL;
    exchange_failed(out, reason, reached);
}

static void down_interim(struct exchange *in, unsigned status, const struct headers *h)
{
    if (outbound_of(in) != NULL) exchange_interim(outbound_of(in), status, h);
}

static bool down_respond(struct exchange *in)
{
    struct exchange *out = outbound_of(in);
    if (out == NULL) return false;
    out->resp = in->resp;
    out->resp.headers = &out->resp_headers;
    copy_headers(&out->resp_headers, in->resp.headers);
    exchange_response_head(out);
    return true;
}

/* `in` is gone before `out` may have sent them. False: no memory. */
static bool copy_trailers(struct exchange *out, const struct headers *from, struct headers **to)
{
    *to = NULL;
    if (from == NULL) return true;
    *to = arena_alloc(&out->arena, sizeof **to);
    if (*to == NULL) return false;
    for (size_t i = 0; i < from->count; i++) {
        struct span name = arena_span(&out->arena, from->field[i].name);
        struct span value = arena_span(&out->arena, from->field[i].value);
        if (name.p == NULL || value.p == NULL || headers_add(*to, name, value) != ERR_OK)
            return false;
    }
    return true;
}

static void end_response(struct exchange *in, struct exchange *out)
{
    struct headers *trailers;
    if (!copy_trailers(out, in->resp_body.trailers, &trailers)) {
        exchange_cut(in, REASON_INTERNAL);
        return;
    }
    /* First this side: the other may end with it and would take it for cancelled. */
    exchange_delivered(in);
    exchange_response_end(out, trailers);
}

static void pump_response(struct exchange *in)
{
    struct exchange *out = outbound_of(in);
    if (in->pumping || out == NULL || in->delivered) return;
    in->pumping = true;
    while (in->down == out && in->resp_body.buf.len > 0 &&
           out->resp_body.buf.len <= pressure_low_water(out->ctx)) {
        struct span part = iobuf_front(&in->resp_body.buf);
        size_t len = part.len;
        exchange_response_data(out, part);
        if (in->down != out) break;
        iobuf_consume(&in->resp_body.buf, len);
        exchange_response_taken(in, len);
    }
    bool all = in->down == out && in->resp_body.ended && in->resp_body.buf.len == 0;
    in->pumping = false;
    if (all) end_response(in, out);
}

static void down_consumed(struct exchange *in, size_t bytes)
{
    struct exchange *out = outbound_of(in);
    (void)bytes;
    if (out != NULL && out->up == in && out->attempt.sent) pump_request(out);
}

static void down_refuse(struct exchange *in)
{
    fail_out(in, in->reason, false);
}

static void down_abort(struct exchange *in)
{
    fail_out(in, REASON_UPSTREAM_RESET, true);
}

static void down_release(struct exchange *in)
{
    struct exchange *out = outbound_of(in);
    in->down = NULL;
    if (out == NULL || out->up != in) return;
    out->up_ops = NULL;
    out->up = NULL;
    if (in->request_sent) exchange_request_sent(out);
}

static const struct downstream_ops down_ops = {
    .proto = "h1",
    .interim = down_interim,
    .respond = down_respond,
    .flush = pump_response,
    .consumed = down_consumed,
    .refuse = down_refuse,
    .abort = down_abort,
    .release = down_release,
};

enum err local_open(struct exchange *out)
{
    struct context *ctx = out->ctx;
    struct exchange *in = exchange_new(ctx, DIRECTION_INBOUND, &down_ops, out, &out->client);
    if (in == NULL) return ERR_NOMEM;
    /* Both sides of one call see one policy. */
    context_unpin(ctx, in->view);
    in->view = view_pin(out->view);
    in->service = &in->view->snapshot->service[out->attempt.endpoint->local_service];
    out->up_ops = &up_ops;
    out->up = in;
    return ERR_OK;
}
