#include "proxy/http/deadline.h"

#include "proxy/http/mux_back.h"

#define LEFT_MS_MAX 86400000u

static void sooner(struct exchange *ex, uint64_t deadline_ms)
{
    if (deadline_ms == 0) return;
    if (ex->deadline_ms == 0 || deadline_ms < ex->deadline_ms) ex->deadline_ms = deadline_ms;
}

static void begin_outbound(struct exchange *ex, uint64_t now_ms)
{
    const struct snapshot_upstream *u = ex->upstream;
    ex->lineage = lineage_place(ex->ctx->lineage, ex->req.traceparent, span_str(u->as.name.text));
    struct lineage_facts above = lineage_look(&ex->lineage, now_ms);
    sooner(ex, ex->begun_ms + u->request_timeout_ms);
    sooner(ex, above.deadline_ms);
    ex->again_above = above.again;
}

static void begin_inbound(struct exchange *ex, uint64_t now_ms)
{
    const struct header *left = headers_find(ex->req.headers, "parley-deadline-ms");
    uint64_t ms;
    if (left != NULL && span_u64(left->value, &ms) && ms <= LEFT_MS_MAX) sooner(ex, now_ms + ms);
    if (headers_find(ex->req.headers, "parley-attempt") != NULL) ex->again_above = true;
    struct lineage_facts f = {.deadline_ms = ex->deadline_ms, .again = ex->again_above};
    ex->lineage =
        lineage_place(ex->ctx->lineage, ex->req.traceparent, span_str(ex->service->name.text));
    lineage_note(&ex->lineage, &f);
}

enum reason deadline_begin(struct exchange *ex)
{
    uint64_t now_ms = loop_now_ms(ex->ctx->loop);
    if (ex->tcp) return REASON_NONE;
    if (ex->req.timeout_ms > 0) sooner(ex, ex->begun_ms + ex->req.timeout_ms);
    if (ex->direction == DIRECTION_OUTBOUND)
        begin_outbound(ex, now_ms);
    else
        begin_inbound(ex, now_ms);
    bool over = ex->deadline_ms != 0 && ex->deadline_ms <= now_ms;
    return over ? REASON_DEADLINE_EXPIRED : REASON_NONE;
}

bool deadline_stamp_request(struct exchange *ex)
{
    uint64_t now_ms = loop_now_ms(ex->ctx->loop);
    if (ex->tcp) return true;
    unsigned attempt = ex->attempt.seen_before ? ex->attempt.count : 1;
    if (ex->again_above) attempt++;
    if (attempt > 1 && !mux_back_add_number(ex, SPAN_LIT("parley-attempt"), attempt)) return false;
    if (ex->deadline_ms == 0) return true;
    uint64_t left_ms = ex->deadline_ms > now_ms ? ex->deadline_ms - now_ms : 0;
    if (left_ms > LEFT_MS_MAX) left_ms = LEFT_MS_MAX;
    return mux_back_add_number(ex, SPAN_LIT("parley-deadline-ms"), (unsigned)left_ms);
}

void deadline_stamp_response(struct exchange *ex)
{
    if (ex->tcp || ex->resp.status < 500) return;
    if (ex->direction == DIRECTION_OUTBOUND) {
        lineage_fail(&ex->lineage);
        return;
    }
    /* Without room it goes without: a hint. */
    if (lineage_look(&ex->lineage, loop_now_ms(ex->ctx->loop)).failed)
        (void)!headers_add(ex->resp.headers, SPAN_LIT("parley-retry"), SPAN_LIT("no"));
}

bool deadline_says_final(const struct response *resp)
{
    return resp->status >= 500 && headers_find(resp->headers, "parley-retry") != NULL;
}

void deadline_end(struct exchange *ex)
{
    if (ex->direction == DIRECTION_INBOUND) lineage_forget(&ex->lineage);
}
