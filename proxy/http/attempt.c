#include "proxy/http/attempt.h"

#include "proxy/http/affinity.h"
#include "proxy/traffic/load.h"

/* An endpoint that was tried is tried again only when there is no other. */
static enum err pick(struct exchange *ex)
{
    struct exchange_attempt *at = &ex->attempt;
    struct lb_request req = {.view = ex->view,
                             .upstream = ex->upstream,
                             .tried = at->tried,
                             .tried_count = at->tried_count,
                             .now_ms = loop_now_ms(ex->ctx->loop),
                             .rng = &ex->ctx->rng};
    size_t idx;
    req.hashed = affinity_hash(ex, &req.hash);
    if (at->tried_count == LB_TRIED_MAX) return ERR_NO_ENDPOINT;
    enum err err = lb_pick(&req, &idx);
    if (err != ERR_OK) return err;
    at->endpoint = &ex->upstream->endpoint[idx];
    at->tried[at->tried_count++] = at->endpoint->id;
    at->state = view_endpoint(ex->view, ex->upstream, idx);
    at->state->in_flight++;
    return ERR_OK;
}

enum err attempt_begin(struct exchange *ex)
{
    struct exchange_attempt *at = &ex->attempt;
    if (ex->direction == DIRECTION_INBOUND) {
        at->state = view_local(ex->view, ex->service);
        at->state->serving++;
    } else {
        enum err err = pick(ex);
        if (err != ERR_OK) return err;
    }
    at->count++;
    at->begun_us = loop_now_us(ex->ctx->loop);
    at->reached = at->reused = false;
    at->failure = REASON_NONE;
    return ERR_OK;
}

void attempt_answered(struct exchange *ex)
{
    struct endpoint_state *state = ex->attempt.state;
    uint64_t now_ms = loop_now_ms(ex->ctx->loop);
    endpoint_state_succeeded(state);
    if (ex->direction == DIRECTION_INBOUND) return;
    const struct header *field = headers_find(ex->resp.headers, "parley-load");
    uint32_t load;
    if (field != NULL && load_parse(field->value, &load))
        endpoint_state_stamped(state, load, now_ms);
    if (!ex->tcp)
        endpoint_state_answered(state, loop_now_us(ex->ctx->loop) - ex->attempt.sent_us, now_ms);
}

void attempt_end(struct exchange *ex)
{
    struct endpoint_state *state = ex->attempt.state;
    if (state == NULL) return;
    if (ex->direction == DIRECTION_INBOUND)
        state->serving--;
    else
        state->in_flight--;
    ex->attempt.state = NULL;
}

void attempt_stamp(struct exchange *ex)
{
    if (ex->direction != DIRECTION_INBOUND || ex->service == NULL) return;
    /* This worker knows its own share; those of its siblings are alike, for the kernel spreads
     * links over them. */
    uint64_t waiting = view_local(ex->view, ex->service)->serving;
    waiting *= ex->view->snapshot->workers;
    /* Without room it goes without: a hint. */
    (void)!headers_add(ex->resp.headers, SPAN_LIT("parley-load"), load_stamp(waiting));
}
