#include "proxy/http/pacing.h"

#include "proxy/net/clients.h"
#include "proxy/net/pressure.h"

static bool is_exempt(const struct exchange *ex)
{
    return ex->tcp || ex->tunnelled || ex->req.upgrade || ex->req.grpc ||
           ex->view->snapshot->bounds.min_rate == 0;
}

static bool waits_for_request(const struct exchange *ex)
{
    bool invited = !ex->req.expect_continue || ex->req_body.bytes_total > 0;
    bool reading = ex->req_body.buf.len <= pressure_low_water(ex->ctx);
    return ex->step == EX_FORWARD && !ex->req_body.ended && invited && reading;
}

static bool waits_for_client(const struct exchange *ex)
{
    return ex->step == EX_STREAM && !ex->delivered && ex->resp_body.buf.len > 0;
}

/* Events as they happen: who sends them cannot say how many there will be. One holds no more than
 * an idle connection; where even those are too many, the rate holds for all. */
static bool may_be_sparse(const struct exchange *ex)
{
    const struct context *ctx = ex->ctx;
    uint32_t most = ex->view->snapshot->bounds.connections;
    bool crowded = ctx->clients != NULL && clients_room(ctx->clients, most) < most / 2;
    return ex->req.body_length == BODY_LENGTH_UNKNOWN && !crowded &&
           pressure_now(ctx) == PRESSURE_NONE;
}

static uint64_t end_of(const struct pace *p, uint64_t window_ms, uint64_t now_ms)
{
    return (p->since_ms != 0 ? p->since_ms : now_ms) + window_ms;
}

uint64_t pacing_look_ms(const struct exchange *ex)
{
    uint64_t now_ms = loop_now_ms(ex->ctx->loop);
    if (is_exempt(ex)) return 0;
    if (ex->step == EX_FORWARD && !ex->req_body.ended)
        return end_of(&ex->request_pace, PACING_REQUEST_MS, now_ms);
    if (ex->step == EX_STREAM && !ex->delivered)
        return end_of(&ex->response_pace, PACING_RESPONSE_MS, now_ms);
    return 0;
}

bool pacing_slow(struct exchange *ex)
{
    uint64_t now_ms = loop_now_ms(ex->ctx->loop);
    uint32_t rate = ex->view->snapshot->bounds.min_rate;
    uint64_t taken = ex->resp_body.bytes_total - ex->resp_body.buf.len;
    if (is_exempt(ex)) return false;
    enum pace_verdict request =
        pace_judge(&ex->request_pace, waits_for_request(ex), ex->req_body.bytes_total, rate,
                   PACING_REQUEST_MS, now_ms);
    enum pace_verdict response = pace_judge(&ex->response_pace, waits_for_client(ex), taken, rate,
                                            PACING_RESPONSE_MS, now_ms);
    return request == PACE_SLOW || (request == PACE_SPARSE && !may_be_sparse(ex)) ||
           response != PACE_FINE;
}
