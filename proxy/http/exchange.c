#include "proxy/http/exchange.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "proxy/http/attempt.h"
#include "proxy/http/exchange_idle.h"
#include "proxy/http/exchange_steps.h"
#include "proxy/http/grpc.h"
#include "proxy/http/pacing.h"
#include "proxy/net/pressure.h"

#define EXCHANGE_MAGIC       0x65786368u
#define EXCHANGE_ARENA_CHUNK 4096u
/* Two heads, two trailer sections, what filters and the forwarded heads take. */
#define EXCHANGE_ARENA_BYTES_MAX (6u * HEADER_BYTES_MAX)
/* A request body that is kept until an application is known to have it, so that a refused attempt
 * can be made again. */
#define REPLAY_BYTES_MAX (64u * 1024)

/* --- life --- */

static void on_free(struct loop_flush *f)
{
    struct exchange *ex = CONTAINER_OF(f, struct exchange, free);
    iobuf_clear(&ex->req_body.buf);
    iobuf_clear(&ex->resp_body.buf);
    iobuf_clear(&ex->replay);
    exchange_idle_put(ex->ctx, ex);
}

static void on_expire(struct loop_timer *t);

/* Everything but the arena and the header tables, which need no zeros. */
static void reset(struct exchange *ex)
{
    struct arena arena = ex->arena;
    size_t tables = offsetof(struct exchange, req_headers);
    size_t behind = offsetof(struct exchange, req_body);
    memset(ex, 0, tables);
    memset((char *)ex + behind, 0, sizeof *ex - behind);
    ex->arena = arena;
    ex->req_headers.count = ex->req_headers.bytes = 0;
    ex->resp_headers.count = ex->resp_headers.bytes = 0;
    ex->magic = EXCHANGE_MAGIC;
}

static struct exchange *idle_or_fresh(struct context *ctx)
{
    struct exchange *ex = exchange_idle_take(ctx);
    if (ex != NULL) return ex;
    ex = malloc(sizeof *ex);
    if (ex != NULL) arena_init(&ex->arena, EXCHANGE_ARENA_CHUNK, EXCHANGE_ARENA_BYTES_MAX);
    return ex;
}

static bool full(const struct context *ctx)
{
    const struct snapshot *s = ctx->view->snapshot;
    uint64_t share = (s->bounds.requests + s->workers - 1) / s->workers;
    uint64_t most = share < WORKER_EXCHANGES_MAX ? share : WORKER_EXCHANGES_MAX;
    return atomic_load_explicit(&ctx->in_flight, memory_order_relaxed) >= most;
}

struct exchange *exchange_new(struct context *ctx, enum filter_direction direction,
                              const struct downstream_ops *ops, void *down,
                              const struct addr *client)
{
    if (ctx->view == NULL || full(ctx)) return NULL;
    struct exchange *ex = idle_or_fresh(ctx);
    if (ex == NULL) return NULL;
    reset(ex);
    ex->ctx = ctx;
    ex->view = context_pin(ctx);
    ex->direction = direction;
    ex->down_ops = ops;
    ex->down = down;
    ex->client = *client;
    ex->req.headers = &ex->req_headers;
    ex->req.body_length = BODY_LENGTH_NONE;
    ex->resp.headers = &ex->resp_headers;
    ex->replayable = direction == DIRECTION_OUTBOUND;
    ex->timer.on_expire = on_expire;
    ex->free.on_flush = on_free;
    iobuf_init(&ex->req_body.buf, loop_pool(ctx->loop));
    iobuf_init(&ex->resp_body.buf, loop_pool(ctx->loop));
    iobuf_init(&ex->replay, loop_pool(ctx->loop));
    ex->begun_us = loop_now_us(ctx->loop);
    ex->begun_wall_us = loop_wall_at(ctx->loop, ex->begun_us);
    ex->begun_ms = ex->active_ms = loop_now_ms(ctx->loop);
    /* A caller's parley has named it already. */
    if (direction == DIRECTION_OUTBOUND) exchange_name(ex);
    context_count(&ctx->in_flight, 1);
    return ex;
}

void exchange_name(struct exchange *ex)
{
    request_id_make(ex->begun_wall_us, &ex->ctx->rng, ex->id);
    ex->req.id = span_of(ex->id, REQUEST_ID_BYTES);
}

static void active(struct exchange *ex)
{
    ex->active_ms = loop_now_ms(ex->ctx->loop);
}

static void go(struct exchange *ex, enum exchange_step step)
{
    ex->step = step;
    exchange_run(ex);
}

void exchange_start(struct exchange *ex)
{
    CHECK_OBJ(ex, EXCHANGE_MAGIC);
    go(ex, EX_ROUTE);
}

void exchange_reject(struct exchange *ex, enum reason reason)
{
    CHECK_OBJ(ex, EXCHANGE_MAGIC);
    ex->reason = reason;
    ex->req_body.ended = true;
    go(ex, EX_REPLY);
}

/* --- deadlines --- */

static uint64_t timeout_ms(const struct exchange *ex, enum exchange_step step)
{
    if (ex->direction == DIRECTION_OUTBOUND) {
        if (step == EX_CONNECT) return ex->upstream->connect_timeout_ms;
        return step == EX_FORWARD ? ex->upstream->request_timeout_ms
                                  : ex->upstream->idle_timeout_ms;
    }
    if (step == EX_CONNECT) return ex->service->connect_timeout_ms;
    /* The time of a whole request is its caller's host's to keep. */
    return step == EX_FORWARD ? 0 : ex->service->idle_timeout_ms;
}

/* Until the response begins, all attempts together; 0: no limit. */
static uint64_t answer_deadline_ms(const struct exchange *ex)
{
    if (ex->direction == DIRECTION_OUTBOUND) return ex->deadline_ms;
    uint64_t limit = timeout_ms(ex, EX_FORWARD);
    return limit != 0 ? ex->begun_ms + limit : 0;
}

static uint64_t step_deadline_ms(const struct exchange *ex)
{
    if (ex->upstream == NULL && ex->service == NULL) return 0;
    if (ex->step == EX_CONNECT || ex->step == EX_BACKOFF || ex->step == EX_ADMIT)
        return ex->attempt.deadline_ms;
    if (ex->step == EX_FORWARD && !ex->tcp) {
        /* A service has no limit of its own: the caller's parley keeps it. */
        uint64_t whole = answer_deadline_ms(ex), one_try = ex->attempt.try_deadline_ms;
        return one_try != 0 && (whole == 0 || one_try < whole) ? one_try : whole;
    }
    return ex->active_ms + timeout_ms(ex, EX_STREAM);
}

/* The caller's own, which holds at every step until the answer is here; 0: none. */
static uint64_t whole_deadline_ms(const struct exchange *ex)
{
    if (ex->req.timeout_ms == 0 || ex->resp_body.ended) return 0;
    return ex->begun_ms + ex->req.timeout_ms;
}

/* 0: none. */
static uint64_t sooner(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0) return a + b;
    return a < b ? a : b;
}

static uint64_t deadline_ms(const struct exchange *ex)
{
    return sooner(step_deadline_ms(ex), whole_deadline_ms(ex));
}

void exchange_arm(struct exchange *ex)
{
    if (ex->step == EX_CONNECT)
        ex->attempt.deadline_ms = loop_now_ms(ex->ctx->loop) + timeout_ms(ex, EX_CONNECT);
    /* A window begins. */
    (void)pacing_slow(ex);
    uint64_t deadline = sooner(deadline_ms(ex), pacing_look_ms(ex));
    if (deadline == 0) return;
    /* A timer that is due earlier looks again when it fires; most exchanges end before. */
    if (ex->timer.node.pos != 0 && ex->timer.node.key <= deadline) return;
    loop_timer_set(ex->ctx->loop, &ex->timer, deadline);
}

/* Then no other endpoint is tried either. */
static bool is_late(const struct exchange *ex)
{
    uint64_t whole = whole_deadline_ms(ex);
    return whole != 0 && loop_now_ms(ex->ctx->loop) >= whole;
}

static bool whole_time_is_over(const struct exchange *ex)
{
    uint64_t answer = answer_deadline_ms(ex);
    return is_late(ex) || (answer != 0 && loop_now_ms(ex->ctx->loop) >= answer);
}

static void no_answer_in_time(struct exchange *ex)
{
    /* An upgrade has no body: the next word is the application's. */
    bool waits_for_client = !ex->req_body.ended && ex->req_body.buf.len == 0 && !ex->req.upgrade &&
                            !ex->tcp && !is_late(ex);
    ex->attempt.failure = waits_for_client ? REASON_CLIENT_TIMEOUT : REASON_UPSTREAM_TIMEOUT;
    ex->attempt.reached = true;
    ex->attempt.try_expired = ex->attempt.try_deadline_ms != 0 && !whole_time_is_over(ex);
    go(ex, EX_ATTEMPT_END);
}

static void expired(struct exchange *ex)
{
    bool late = is_late(ex);
    if (ex->step == EX_ADMIT) {
        exchange_run(ex);
    } else if (ex->step == EX_CONNECT && !late) {
        ex->attempt.failure = REASON_CONN_TIMEOUT;
        go(ex, EX_ATTEMPT_END);
    } else if (ex->step == EX_BACKOFF && !late) {
        go(ex, EX_PICK);
    } else if (ex->step == EX_BACKOFF) {
        ex->reason = REASON_UPSTREAM_TIMEOUT;
        go(ex, EX_REPLY);
    } else if (ex->step == EX_CONNECT || ex->step == EX_FORWARD) {
        no_answer_in_time(ex);
    } else {
        exchange_cut(ex, late ? REASON_UPSTREAM_TIMEOUT : REASON_IDLE_TIMEOUT);
    }
}

static void client_is_slow(struct exchange *ex)
{
    if (ex->step != EX_FORWARD) {
        exchange_cut(ex, REASON_CLIENT_TIMEOUT);
        return;
    }
    ex->attempt.failure = REASON_CLIENT_TIMEOUT;
    ex->attempt.reached = true;
    go(ex, EX_ATTEMPT_END);
}

static void on_expire(struct loop_timer *t)
{
    struct exchange *ex = CONTAINER_OF(t, struct exchange, timer);
    if (ex->ended) return;
    if (pacing_slow(ex)) {
        client_is_slow(ex);
        return;
    }
    uint64_t deadline = sooner(deadline_ms(ex), pacing_look_ms(ex));
    if (deadline == 0) return;
    if (deadline > loop_now_ms(ex->ctx->loop))
        loop_timer_set(ex->ctx->loop, &ex->timer, deadline);
    else
        expired(ex);
}

/* --- events of the downstream end --- */

bool exchange_request_ended(const struct exchange *ex)
{
    return ex->req_body.ended && ex->req_body.buf.len == 0;
}

static void flush_up(struct exchange *ex)
{
    if (ex->up_ops != NULL && ex->attempt.sent) ex->up_ops->flush(ex);
}

static void keep_for_replay(struct exchange *ex, struct span data)
{
    if (!ex->replayable) return;
    if (ex->tcp || ex->req_body.bytes_total > REPLAY_BYTES_MAX ||
        iobuf_append_span(&ex->replay, data) != ERR_OK) {
        ex->replayable = false;
        iobuf_clear(&ex->replay);
    }
}

void exchange_request_data(struct exchange *ex, struct span data)
{
    CHECK_OBJ(ex, EXCHANGE_MAGIC);
    if (ex->ended || ex->req_body.ended) return;
    active(ex);
    ex->req_body.bytes_total += data.len;
    keep_for_replay(ex, data);
    if (iobuf_append_span(&ex->req_body.buf, data) != ERR_OK) {
        exchange_cut(ex, REASON_OVERLOADED);
        return;
    }
    flush_up(ex);
}

void exchange_request_end(struct exchange *ex, struct headers *trailers)
{
    CHECK_OBJ(ex, EXCHANGE_MAGIC);
    if (ex->ended || ex->req_body.ended) return;
    active(ex);
    ex->req_body.ended = true;
    ex->req_body.trailers = trailers;
    flush_up(ex);
}

void exchange_response_taken(struct exchange *ex, size_t bytes)
{
    active(ex);
    if (bytes > 0 && ex->up_ops != NULL) ex->up_ops->consumed(ex, bytes);
}

void exchange_delivered(struct exchange *ex)
{
    CHECK_OBJ(ex, EXCHANGE_MAGIC);
    if (ex->ended || ex->delivered) return;
    ex->delivered = true;
    exchange_run(ex);
}

void exchange_client_gone(struct exchange *ex, enum reason reason)
{
    CHECK_OBJ(ex, EXCHANGE_MAGIC);
    exchange_cut(ex, reason);
}

void exchange_refuse(struct exchange *ex, enum reason reason)
{
    CHECK_OBJ(ex, EXCHANGE_MAGIC);
    if (ex->ended) return;
    ex->reason = reason;
    ex->refused = true;
    go(ex, EX_FINISH);
}

void exchange_cut(struct exchange *ex, enum reason reason)
{
    CHECK_OBJ(ex, EXCHANGE_MAGIC);
    if (ex->ended || ex->aborted) return;
    ex->reason = reason;
    ex->aborted = true;
    go(ex, EX_FINISH);
}

/* --- events of the upstream end --- */

void exchange_connected(struct exchange *ex)
{
    CHECK_OBJ(ex, EXCHANGE_MAGIC);
    if (ex->ended || ex->step != EX_CONNECT) return;
    go(ex, EX_FORWARD);
}

void exchange_request_taken(struct exchange *ex, size_t bytes)
{
    active(ex);
    size_t known = bytes < ex->again_bytes ? bytes : ex->again_bytes;
    ex->again_bytes -= known;
    if (bytes > known && !ex->ended) ex->down_ops->consumed(ex, bytes - known);
}

void exchange_request_sent(struct exchange *ex)
{
    CHECK_OBJ(ex, EXCHANGE_MAGIC);
    if (ex->ended || ex->request_sent) return;
    ex->request_sent = true;
    if (ex->tunnelled && ex->step == EX_STREAM) exchange_run(ex);
}

void exchange_interim(struct exchange *ex, unsigned status, const struct headers *h)
{
    CHECK_OBJ(ex, EXCHANGE_MAGIC);
    if (ex->ended || ex->step != EX_FORWARD) return;
    active(ex);
    if (++ex->interims > INTERIM_RESPONSES_MAX) {
        ex->attempt.failure = REASON_PROTOCOL_ERROR;
        ex->attempt.reached = true;
        go(ex, EX_ATTEMPT_END);
        return;
    }
    if (ex->down_ops->interim != NULL) ex->down_ops->interim(ex, status, h);
}

void exchange_response_head(struct exchange *ex)
{
    CHECK_OBJ(ex, EXCHANGE_MAGIC);
    if (ex->ended || ex->step != EX_FORWARD) return;
    active(ex);
    go(ex, EX_RESPONSE);
}

void exchange_response_data(struct exchange *ex, struct span data)
{
    CHECK_OBJ(ex, EXCHANGE_MAGIC);
    if (ex->ended || ex->resp_body.ended) return;
    active(ex);
    ex->resp_body.bytes_total += data.len;
    if (iobuf_append_span(&ex->resp_body.buf, data) != ERR_OK) {
        exchange_cut(ex, REASON_OVERLOADED);
        return;
    }
    if (ex->responded) ex->down_ops->flush(ex);
}

void exchange_response_blocks(struct exchange *ex, struct iobuf *data)
{
    CHECK_OBJ(ex, EXCHANGE_MAGIC);
    if (ex->ended || ex->resp_body.ended) {
        iobuf_clear(data);
        return;
    }
    active(ex);
    ex->resp_body.bytes_total += data->len;
    iobuf_move(&ex->resp_body.buf, data);
    if (ex->responded) ex->down_ops->flush(ex);
}

void exchange_response_end(struct exchange *ex, struct headers *trailers)
{
    CHECK_OBJ(ex, EXCHANGE_MAGIC);
    if (ex->ended || ex->resp_body.ended) return;
    active(ex);
    ex->response_done = true;
    ex->resp_body.ended = true;
    ex->resp_body.trailers = trailers;
    if (ex->req.grpc && trailers != NULL) grpc_note(ex, trailers);
    if (ex->responded) ex->down_ops->flush(ex);
}

void exchange_failed(struct exchange *ex, enum reason reason, bool reached)
{
    CHECK_OBJ(ex, EXCHANGE_MAGIC);
    ex->up_ops = NULL;
    ex->up = NULL;
    if (ex->ended || (ex->response_done && !ex->tunnelled)) return;
    ex->attempt.failure = reason;
    ex->attempt.reached |= reached;
    go(ex, EX_ATTEMPT_END);
}

/* --- the machine --- */

void exchange_drop_attempt(struct exchange *ex)
{
    if (ex->up_ops != NULL) ex->up_ops->cancel(ex);
    ex->up_ops = NULL;
    ex->up = NULL;
    ex->attempt.sent = false;
    attempt_end(ex);
}

void exchange_run(struct exchange *ex)
{
#define EXCHANGE_STEP_FUNCTION(step, function) [step] = exchange_steps_##function,
    static enum exchange_verdict (*const step[EX_STEP_COUNT])(struct exchange *) = {
        EXCHANGE_STEPS(EXCHANGE_STEP_FUNCTION)};
#undef EXCHANGE_STEP_FUNCTION
    CHECK_OBJ(ex, EXCHANGE_MAGIC);
    if (ex->ended) return;
    /* An event from inside a step (an exchange on this host answers at once) has set the step; the
     * loop below goes on with it. */
    ex->again = true;
    if (ex->running) return;
    ex->running = true;
    enum exchange_verdict verdict = EX_MORE;
    while (verdict != EX_DONE && (verdict == EX_MORE || ex->again)) {
        ex->again = false;
        /* An end may cut it from inside a step, which then still goes on to its own next one. */
        if (ex->aborted || ex->refused) ex->step = EX_FINISH;
        verdict = step[ex->step](ex);
    }
    ex->running = false;
    if (verdict == EX_DONE) {
        ex->ended = true;
        loop_flush_mark(ex->ctx->loop, &ex->free, LOOP_FLUSH_FREE);
    }
}
