#include "proxy/http/exchange_steps.h"

#include "core/base/check.h"
#include "proxy/http/account.h"
#include "proxy/http/admission.h"
#include "proxy/http/attempt.h"
#include "proxy/http/deadline.h"
#include "proxy/http/grpc.h"
#include "proxy/http/h1_client.h"
#include "proxy/http/h2_app.h"
#include "proxy/http/local.h"
#include "proxy/http/reply.h"
#include "proxy/net/pool.h"
#include "proxy/net/pressure.h"
#include "proxy/net/tcp_client.h"

/* A chain of services is shorter; a request that went this often from parley to parley goes round
 * (508). */
#define HOPS_MAX 16u

static enum exchange_verdict more(struct exchange *ex, enum exchange_step step)
{
    ex->step = step;
    return EX_MORE;
}

static enum exchange_verdict answer(struct exchange *ex, enum reason reason)
{
    ex->reason = reason;
    return more(ex, EX_REPLY);
}

static enum exchange_verdict cut(struct exchange *ex, enum reason reason)
{
    ex->reason = reason;
    ex->aborted = true;
    return more(ex, EX_FINISH);
}

/* --- EX_ROUTE --- */

/* Does `host` name a service of the mesh other than `self` (G09)? */
static bool names_other_service(const struct snapshot *s, const struct snapshot_service *self,
                                struct span host)
{
    struct span own = span_str(self->name.text), mesh = span_str(s->mesh.text);
    struct span name = host;
    if (host.len > mesh.len + 1 && host.p[host.len - mesh.len - 1] == '.' &&
        span_eq(span_skip(host, host.len - mesh.len), mesh))
        name.len = host.len - mesh.len - 1;
    if (span_eq(name, own)) return false;
    if (name.len != host.len) return name_valid(name);
    if (snapshot_service(s, name) != NULL) return true;
    for (size_t i = 0; i < s->upstream_count; i++)
        if (span_eq_str(name, s->upstream[i].name.text)) return true;
    return false;
}

static enum reason check_inbound(struct exchange *ex)
{
    const struct snapshot_service *service = ex->service;
    /* What it shall reach is the application's to judge, not a service of the mesh. */
    if (ex->req.tunnel) return service->connect ? REASON_NONE : REASON_METHOD_NOT_ALLOWED;
    if (ex->req.connect != (service->protocol == PROTOCOL_TCP))
        return ex->req.connect ? REASON_METHOD_NOT_ALLOWED : REASON_PROTOCOL_ERROR;
    if (!ex->tcp && names_other_service(ex->view->snapshot, service, ex->req.host))
        return REASON_MISDIRECTED;
    return REASON_NONE;
}

/* RFC 9110 9.3.6: we are no tunnel to anywhere (F05), only a way to applications that are. */
static enum reason check_outbound(const struct exchange *ex)
{
    return ex->req.tunnel && !ex->upstream->connect ? REASON_METHOD_NOT_ALLOWED : REASON_NONE;
}

/* Hop-by-hop fields, which went already, do not count. */
static enum reason check_bounds(struct exchange *ex)
{
    const struct config_bounds *b = &ex->view->snapshot->bounds;
    if (pressure_now(ex->ctx) == PRESSURE_FULL) {
        pressure_shed(ex->ctx, "request");
        return REASON_OVERLOADED;
    }
    if (ex->tcp) return REASON_NONE;
    if (ex->req.target.path.len + ex->req.target.query.len > b->url_bytes)
        return REASON_TARGET_TOO_LONG;
    bool large =
        ex->req_headers.count > b->header_fields || ex->req_headers.bytes > b->header_bytes;
    return large ? REASON_HEADERS_TOO_LARGE : REASON_NONE;
}

enum exchange_verdict exchange_steps_route(struct exchange *ex)
{
    enum reason reason;
    if (ex->upstream == NULL && ex->service == NULL) return answer(ex, REASON_NO_ROUTE);
    account_begin(ex);
    reason = check_bounds(ex);
    if (reason == REASON_NONE)
        reason = ex->direction == DIRECTION_INBOUND ? check_inbound(ex) : check_outbound(ex);
    if (reason == REASON_NONE && ex->hops >= HOPS_MAX) reason = REASON_LOOP_DETECTED;
    if (reason == REASON_NONE) reason = deadline_begin(ex);
    return reason == REASON_NONE ? more(ex, EX_FILTER_REQUEST) : answer(ex, reason);
}

/* --- EX_FILTER_REQUEST --- */

enum exchange_verdict exchange_steps_filter_request(struct exchange *ex)
{
    bool outbound = ex->direction == DIRECTION_OUTBOUND;
    const struct filter_slot *slot = outbound ? ex->upstream->filter : ex->service->filter;
    size_t count = outbound ? ex->upstream->filter_count : ex->service->filter_count;
    uint64_t now_ms = loop_now_ms(ex->ctx->loop);
    enum filter_verdict verdict;
    chain_init(&ex->chain, slot, count, ex->direction, &ex->arena, &ex->client);
    if (ex->tcp) {
        struct filter_session session = {
            .peer = &ex->peer, .service = outbound ? &ex->upstream->name : &ex->service->name};
        verdict = chain_session(&ex->chain, &session, now_ms);
    } else {
        verdict = chain_request(&ex->chain, &ex->req, now_ms);
    }
    if (verdict == FILTER_NEXT) return more(ex, EX_ADMIT);
    /* A TCP caller's parley learns the reason too; for HTTP an abort is an abort. */
    if (verdict == FILTER_REPLY || ex->tcp) return answer(ex, ex->chain.ctx.reason);
    return cut(ex, ex->chain.ctx.reason);
}

/* --- EX_ADMIT, EX_PICK --- */

enum exchange_verdict exchange_steps_admit(struct exchange *ex)
{
    bool admitted;
    enum reason reason = admission_try(ex, &admitted);
    if (reason != REASON_NONE) return answer(ex, reason);
    return admitted ? more(ex, EX_PICK) : EX_WAIT;
}

enum exchange_verdict exchange_steps_pick(struct exchange *ex)
{
    struct exchange_attempt *at = &ex->attempt;
    if (attempt_begin(ex) == ERR_OK) return more(ex, EX_CONNECT);
    return answer(ex, at->count == 0 ? REASON_NO_ENDPOINT : at->failure);
}

/* --- EX_CONNECT, EX_FORWARD --- */

/* ERR_OK: connected; ERR_AGAIN: exchange_connected or exchange_failed will say; else why not. */
static enum err connect_up(struct exchange *ex, enum reason *reason)
{
    *reason = REASON_INTERNAL;
    if (ex->direction == DIRECTION_OUTBOUND) {
        if (ex->attempt.endpoint->local_service >= 0) return local_open(ex);
        return pool_checkout(ex, reason);
    }
    if (ex->tcp) return tcp_client_open(ex);
    return ex->service->protocol == PROTOCOL_HTTP ? h1_client_open(ex) : h2_app_open(ex, reason);
}

enum exchange_verdict exchange_steps_connect(struct exchange *ex)
{
    enum reason reason;
    exchange_arm(ex);
    enum err err = connect_up(ex, &reason);
    if (err == ERR_OK) return more(ex, EX_FORWARD);
    if (err == ERR_AGAIN) {
        ex->attempt.waited = true;
        return EX_WAIT;
    }
    ex->attempt.failure = reason;
    return more(ex, EX_ATTEMPT_END);
}

enum exchange_verdict exchange_steps_forward(struct exchange *ex)
{
    if (ex->attempt.sent) return EX_WAIT;
    attempt_sent(ex);
    if (ex->connect_us == 0) ex->connect_us = ex->attempt.sent_us - ex->attempt.begun_us;
    exchange_arm(ex);
    ex->attempt.sent = true;
    enum reason reason = ex->up_ops->send(ex);
    if (reason != REASON_NONE) {
        ex->attempt.failure = reason;
        return more(ex, EX_ATTEMPT_END);
    }
    /* The upstream may have answered, or failed, at once. */
    if (ex->step != EX_FORWARD || ex->up_ops == NULL) return EX_MORE;
    ex->up_ops->flush(ex);
    return ex->step == EX_FORWARD ? EX_WAIT : EX_MORE;
}

/* --- EX_ATTEMPT_END --- */

static bool body_can_be_sent_again(const struct exchange *ex)
{
    return ex->req_body.bytes_total == ex->req_body.buf.len || ex->replayable;
}

/* Puts back what the failed attempt had taken. False: no memory. */
static bool rewind_body(struct exchange *ex)
{
    struct iobuf again;
    if (ex->req_body.bytes_total == ex->req_body.buf.len) return true;
    iobuf_init(&again, loop_pool(ex->ctx->loop));
    ex->again_bytes += ex->req_body.bytes_total - ex->req_body.buf.len;
    iobuf_clear(&ex->req_body.buf);
    iobuf_move(&again, &ex->replay);
    while (again.len > 0) {
        struct span part = iobuf_front(&again);
        if (iobuf_append_span(&ex->replay, part) != ERR_OK ||
            iobuf_append_span(&ex->req_body.buf, part) != ERR_OK) {
            iobuf_clear(&again);
            return false;
        }
        iobuf_consume(&again, part.len);
    }
    return true;
}

static bool try_again(struct exchange *ex)
{
    struct exchange_attempt *at = &ex->attempt;
    if (ex->responded || !body_can_be_sent_again(ex)) return false;
    if (ex->direction == DIRECTION_OUTBOUND) return attempt_repeats(ex, 0);
    /* The application closed a connection just as we used it again (RFC 9112 9.3.1). */
    bool stale = at->reused && !at->fresh && at->failure == REASON_UPSTREAM_RESET;
    if (!stale || (at->reached && !ex->req.replay_safe)) return false;
    at->fresh = true;
    return true;
}

/* What an attempt has left of a response is not the next one's. */
static void forget_response(struct exchange *ex)
{
    ex->resp_headers.count = ex->resp_headers.bytes = 0;
    iobuf_clear(&ex->resp_body.buf);
    ex->resp_body.ended = false;
    ex->response_done = false;
}

/* The next attempt, after the pause that the last one asks for. */
static enum exchange_verdict again(struct exchange *ex)
{
    uint64_t pause_ms = attempt_pause_ms(ex);
    if (pause_ms == 0) return more(ex, EX_PICK);
    ex->step = EX_BACKOFF;
    ex->attempt.deadline_ms = loop_now_ms(ex->ctx->loop) + pause_ms;
    exchange_arm(ex);
    return EX_WAIT;
}

enum exchange_verdict exchange_steps_backoff(struct exchange *ex)
{
    (void)ex;
    return EX_WAIT;
}

/* One failure is told as it is; when every try that was allowed is used up, that is the news,
 * unless there was nobody else to try. */
static enum reason final_reason(const struct exchange *ex)
{
    const struct exchange_attempt *at = &ex->attempt;
    bool outbound = ex->direction == DIRECTION_OUTBOUND;
    bool tired = outbound && !at->same && at->count > 1 && at->count >= ex->upstream->retry.tries;
    bool timed_out = at->failure == REASON_CLIENT_TIMEOUT || at->failure == REASON_UPSTREAM_TIMEOUT;
    return tired && !timed_out ? REASON_RETRY_EXHAUSTED : at->failure;
}

enum exchange_verdict exchange_steps_attempt_end(struct exchange *ex)
{
    struct exchange_attempt *at = &ex->attempt;
    attempt_failed(ex);
    exchange_drop_attempt(ex);
    if (!ex->responded) forget_response(ex);
    if (try_again(ex)) {
        if (rewind_body(ex)) return again(ex);
        at->failure = REASON_INTERNAL;
    }
    if (ex->responded) return cut(ex, at->failure);
    if (ex->direction == DIRECTION_INBOUND && !at->reached && ex->down_ops->refuse != NULL &&
        at->failure != REASON_CLIENT_TIMEOUT) {
        ex->refused = true;
        ex->reason = at->failure;
        return more(ex, EX_FINISH);
    }
    return answer(ex, final_reason(ex));
}

/* --- EX_RESPONSE, EX_STREAM, EX_REPLY --- */

/* Another parley's answer says so in parley-reason, which the headers filter lets through from the
 * mesh only. */
static void note_origin(struct exchange *ex)
{
    const struct header *field = headers_find(ex->resp.headers, "parley-reason");
    bool mesh = ex->direction == DIRECTION_OUTBOUND && field != NULL;
    if (mesh) {
        ex->reason = reply_reason(field->value);
        return;
    }
    ex->origin_app = true;
    if (ex->resp.status >= 500) ex->reason = REASON_APP;
}

/* An answer that is not passed on, for another endpoint may have a better one. */
static bool better_elsewhere(struct exchange *ex)
{
    if (ex->direction == DIRECTION_INBOUND || ex->tcp) return false;
    if (ex->resp.status < 400 && !ex->attempt.app_reset) return false;
    return body_can_be_sent_again(ex) && attempt_repeats(ex, ex->resp.status);
}

enum exchange_verdict exchange_steps_response(struct exchange *ex)
{
    ex->first_byte_us = loop_now_us(ex->ctx->loop);
    ex->attempt.failure = REASON_NONE;
    attempt_answered(ex);
    if (better_elsewhere(ex)) {
        ex->attempt.reached = !ex->attempt.not_taken;
        exchange_drop_attempt(ex);
        forget_response(ex);
        if (rewind_body(ex)) return again(ex);
        return answer(ex, REASON_INTERNAL);
    }
    iobuf_clear(&ex->replay);
    ex->replayable = false;
    note_origin(ex);
    if (ex->req.grpc) grpc_note(ex, ex->resp.headers);
    if (!ex->tcp) {
        enum filter_verdict verdict =
            chain_response(&ex->chain, &ex->resp, loop_now_ms(ex->ctx->loop));
        if (verdict != FILTER_NEXT) {
            ex->origin_app = false;
            return answer(ex, ex->chain.ctx.reason);
        }
    }
    if (ex->resp.upgrade || (ex->tcp && ex->resp.status == 200)) ex->tunnelled = true;
    if (ex->tcp && !ex->tunnelled)
        return answer(ex, ex->reason != REASON_NONE ? ex->reason : REASON_PROTOCOL_ERROR);
    if (ex->tunnelled && ex->direction == DIRECTION_INBOUND && !list_linked(&ex->tunnel))
        list_push_back(&ex->ctx->tunnels, &ex->tunnel);
    attempt_stamp(ex);
    deadline_stamp_response(ex);
    if (!ex->down_ops->respond(ex)) return cut(ex, REASON_INTERNAL);
    ex->responded = true;
    return more(ex, EX_STREAM);
}

enum exchange_verdict exchange_steps_stream(struct exchange *ex)
{
    if (!ex->streaming) {
        ex->streaming = true;
        exchange_arm(ex);
        if (ex->tunnelled && ex->up_ops != NULL) ex->up_ops->flush(ex);
        if (ex->step != EX_STREAM) return EX_MORE;
        if (ex->resp_body.buf.len > 0 || ex->resp_body.ended) ex->down_ops->flush(ex);
        if (ex->step != EX_STREAM) return EX_MORE;
    }
    bool done = ex->delivered && (!ex->tunnelled || ex->request_sent);
    return done ? more(ex, EX_FINISH) : EX_WAIT;
}

enum exchange_verdict exchange_steps_reply(struct exchange *ex)
{
    exchange_drop_attempt(ex);
    if (!reply_make(ex)) return cut(ex, ex->reason);
    attempt_stamp(ex);
    deadline_stamp_response(ex);
    if (!ex->down_ops->respond(ex)) return cut(ex, ex->reason);
    ex->responded = true;
    return more(ex, EX_STREAM);
}

/* --- EX_FINISH --- */

enum exchange_verdict exchange_steps_finish(struct exchange *ex)
{
    exchange_drop_attempt(ex);
    loop_timer_clear(ex->ctx->loop, &ex->timer);
    list_remove(&ex->tunnel);
    account_end(ex);
    deadline_end(ex);
    admission_end(ex);
    if (ex->refused)
        ex->down_ops->refuse(ex);
    else if (ex->aborted)
        ex->down_ops->abort(ex);
    ex->down_ops->release(ex);
    context_count(&ex->ctx->in_flight, -1);
    context_unpin(ex->ctx, ex->view);
    ex->view = NULL;
    return EX_DONE;
}
