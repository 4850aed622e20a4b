#include "proxy/http/attempt.h"

#include "core/base/check.h"
#include "proxy/http/affinity.h"
#include "proxy/http/deadline.h"
#include "proxy/http/reply.h"
#include "proxy/traffic/load.h"
#include "proxy/traffic/outlier.h"

/* All were tried, and it goes on with them: with another than the last if there is one. */
static void forget_tried(struct exchange *ex)
{
    struct exchange_attempt *at = &ex->attempt;
    uint64_t last = at->tried[at->tried_count - 1];
    at->tried_count = 0;
    if (ex->upstream->endpoint_count > 1) at->tried[at->tried_count++] = last;
}

/* An endpoint that was tried is tried again only when all were. */
static enum err pick(struct exchange *ex)
{
    struct exchange_attempt *at = &ex->attempt;
    if (at->same) forget_tried(ex);
    struct lb_request req = {.view = ex->view,
                             .upstream = ex->upstream,
                             .tried = at->tried,
                             .tried_count = at->tried_count,
                             .worker = ex->ctx->index,
                             .workers = ex->view->snapshot->workers,
                             .now_ms = loop_now_ms(ex->ctx->loop),
                             .rng = &ex->ctx->rng};
    size_t idx;
    req.hashed = affinity_hash(ex, &req.hash);
    CHECK(at->tried_count < LB_TRIED_MAX);
    enum err err = lb_pick(&req, &idx);
    if (err != ERR_OK) return err;
    at->endpoint = &ex->upstream->endpoint[idx];
    at->tried[at->tried_count++] = at->endpoint->id;
    at->state = view_endpoint(ex->view, ex->upstream, idx);
    at->state->in_flight++;
    at->probe = circuit_picked(&at->state->circuit, req.now_ms);
    return ERR_OK;
}

enum err attempt_begin(struct exchange *ex)
{
    struct exchange_attempt *at = &ex->attempt;
    if (ex->direction == DIRECTION_INBOUND) {
        at->state = view_local(ex->view, ex->service);
        at->state->serving++;
    } else {
        if (at->count == 0)
            edge_state_request(view_edge(ex->view, ex->upstream),
                               ex->upstream->retry.budget_percent, ex->view->snapshot->workers,
                               loop_now_ms(ex->ctx->loop));
        enum err err = pick(ex);
        if (err != ERR_OK) return err;
    }
    at->count++;
    at->begun_us = at->sent_us = loop_now_us(ex->ctx->loop);
    at->waited = false;
    at->seen_before |= at->reached;
    at->final = at->not_taken = at->app_reset = false;
    at->reached = at->reused = at->try_expired = false;
    at->try_deadline_ms = 0;
    at->failure = REASON_NONE;
    return ERR_OK;
}

void attempt_sent(struct exchange *ex)
{
    struct exchange_attempt *at = &ex->attempt;
    if (at->waited) at->sent_us = loop_now_us(ex->ctx->loop);
    if (ex->direction == DIRECTION_OUTBOUND && ex->upstream->try_timeout_ms > 0)
        at->try_deadline_ms = loop_now_ms(ex->ctx->loop) + ex->upstream->try_timeout_ms;
}

/* --- what it teaches --- */

/* Does the failure speak against the endpoint, or the way to it? */
static bool blames(enum reason reason)
{
    return reason == REASON_CONN_REFUSED || reason == REASON_CONN_TIMEOUT ||
           reason == REASON_UPSTREAM_RESET || reason == REASON_UPSTREAM_TIMEOUT ||
           reason == REASON_PROTOCOL_ERROR || reason == REASON_PEER_CERT_EXPIRED ||
           reason == REASON_PEER_CA_UNKNOWN || reason == REASON_PEER_IDENTITY_MISMATCH ||
           reason == REASON_PEER_NO_CERT;
}

/* Why another parley answers instead of its application; only the mesh says so. */
static enum reason mesh_reason(const struct response *resp)
{
    const struct header *field = headers_find(resp->headers, "parley-reason");
    return field != NULL ? reply_reason(field->value) : REASON_NONE;
}

/* 500 is about a request; these are about who answers it, but those of an application that is a
 * proxy about the target of its tunnel. */
static bool answers_badly(const struct exchange *ex)
{
    unsigned status = ex->resp.status;
    if (ex->tcp || status < 502 || status > 504) return false;
    enum reason why = mesh_reason(&ex->resp);
    return why == REASON_NONE ? !ex->req.tunnel : blames(why);
}

static bool not_taken(const struct response *resp)
{
    if (resp->status != 503 && resp->status != 429) return false;
    enum reason why = mesh_reason(resp);
    return why == REASON_OVERLOADED || why == REASON_RATE_LIMITED;
}

static void report(struct exchange *ex, bool ok)
{
    struct exchange_attempt *at = &ex->attempt;
    size_t idx = (size_t)(at->endpoint - ex->upstream->endpoint);
    bool probe = at->probe;
    at->probe = false;
    enum circuit_change change =
        outlier_report(ex->view, ex->upstream, idx, ok, probe, loop_now_ms(ex->ctx->loop));
    if (change != CIRCUIT_SAME)
        context_circuit(ex->ctx, &ex->upstream->name, at->endpoint, &at->state->circuit);
}

void attempt_answered(struct exchange *ex)
{
    struct exchange_attempt *at = &ex->attempt;
    uint64_t now_ms = loop_now_ms(ex->ctx->loop);
    endpoint_state_succeeded(at->state);
    if (ex->direction == DIRECTION_INBOUND) return;
    const struct header *field = headers_find(ex->resp.headers, "parley-load");
    uint32_t load;
    if (field != NULL && load_parse(field->value, &load))
        endpoint_state_stamped(at->state, load, now_ms);
    if (!ex->tcp) endpoint_state_answered(at->state, ex->first_byte_us - at->sent_us, now_ms);
    at->not_taken = not_taken(&ex->resp);
    at->app_reset = !ex->tcp && mesh_reason(&ex->resp) == REASON_UPSTREAM_RESET;
    at->final = deadline_says_final(&ex->resp);
    report(ex, !answers_badly(ex));
}

void attempt_failed(struct exchange *ex)
{
    struct exchange_attempt *at = &ex->attempt;
    if (ex->direction == DIRECTION_INBOUND || at->state == NULL || !blames(at->failure)) return;
    if (at->failure == REASON_UPSTREAM_TIMEOUT && !ex->tcp)
        endpoint_state_answered(at->state, loop_now_us(ex->ctx->loop) - at->sent_us,
                                loop_now_ms(ex->ctx->loop));
    report(ex, false);
}

void attempt_end(struct exchange *ex)
{
    struct exchange_attempt *at = &ex->attempt;
    if (at->state == NULL) return;
    if (at->probe) circuit_unproved(&at->state->circuit);
    at->probe = false;
    if (ex->direction == DIRECTION_INBOUND)
        at->state->serving--;
    else
        at->state->in_flight--;
    at->state = NULL;
}

/* --- again? --- */

bool attempt_repeats(struct exchange *ex, unsigned status)
{
    struct exchange_attempt *at = &ex->attempt;
    struct edge_state *edge = view_edge(ex->view, ex->upstream);
    bool storm = edge->suspended || ex->again_above || at->final;
    struct filter_attempt result = {.failure = at->failure,
                                    .reached_application = at->reached || status != 0,
                                    .response_begun = ex->responded,
                                    .attempts = at->count,
                                    .replay_safe = ex->req.replay_safe,
                                    .forbidden = storm || ex->req.tunnel,
                                    .try_expired = at->try_expired,
                                    .status = status};
    if (at->not_taken) {
        result.failure = REASON_POOL_FULL;
        result.reached_application = false;
        result.status = 0;
    }
    at->same = at->tried_count >= ex->upstream->endpoint_count || at->tried_count == LB_TRIED_MAX;
    /* The same one again may do better, as Envoy has it too, but not in a storm: a hop further out
     * repeats it, or the host itself has asked for less. */
    if (at->same && (storm || at->not_taken)) return false;
    uint64_t now_ms = loop_now_ms(ex->ctx->loop);
    if (ex->deadline_ms != 0 && now_ms >= ex->deadline_ms) return false;
    bool again = chain_attempt_end(&ex->chain, &result, now_ms) == FILTER_RETRY;
    if (!again && at->app_reset) {
        /* It died before its answer began, says its host: the same as if we had seen it. */
        result.failure = REASON_UPSTREAM_RESET;
        result.status = 0;
        again = chain_attempt_end(&ex->chain, &result, now_ms) == FILTER_RETRY;
    }
    if (!again) return false;
    bool cash = result.reached_application || at->not_taken || at->same;
    ex->out_of_budget = !edge_state_pays(edge, cash);
    return !ex->out_of_budget;
}

uint64_t attempt_pause_ms(struct exchange *ex)
{
    const struct exchange_attempt *at = &ex->attempt;
    if (ex->direction == DIRECTION_INBOUND || !(at->reached || at->same)) return 0;
    uint64_t least = ex->upstream->retry.backoff_least_ms, most = least << at->count;
    if (most > ex->upstream->retry.backoff_most_ms) most = ex->upstream->retry.backoff_most_ms;
    return most > least ? least + rng_below(&ex->ctx->rng, most - least) : least;
}

void attempt_stamp(struct exchange *ex)
{
    if (ex->direction != DIRECTION_INBOUND || ex->service == NULL) return;
    /* This worker knows its own share; those of its siblings are alike, for the kernel spreads
     * links over them. */
    const struct endpoint_state *state = view_local(ex->view, ex->service);
    uint64_t waiting = (uint64_t)state->serving + state->waiting_count;
    waiting *= ex->view->snapshot->workers;
    /* Without room it goes without: a hint. */
    (void)!headers_add(ex->resp.headers, SPAN_LIT("parley-load"), load_stamp(waiting));
}
