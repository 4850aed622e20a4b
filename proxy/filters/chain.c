#include "proxy/filters/chain.h"

#include "core/base/check.h"

void chain_init(struct chain *c, const struct filter_slot *slot, size_t count,
                enum filter_direction direction, struct arena *arena, const struct addr *client)
{
    CHECK(count <= FILTERS_MAX);
    *c = (struct chain){
        .slot = slot,
        .count = count,
        .ctx = {.direction = direction,
                .arena = arena,
                .client = client,
                .rule = "",
                .verdict = "",
                .layer = ""},
    };
}

/* Turns the shared context to filter `i`. */
static struct filter_ctx *enter(struct chain *c, size_t i, uint64_t now_ms)
{
    c->ctx.conf = c->slot[i].conf;
    c->ctx.state = c->state[i];
    c->ctx.now_ms = now_ms;
    return &c->ctx;
}

/* From here on filter `i` gets a finish. False: no memory for its state. */
static bool start(struct chain *c, size_t i)
{
    size_t state_size = c->slot[i].ops->state_size;
    if (state_size > 0) c->state[i] = arena_alloc(c->ctx.arena, state_size);
    if (state_size > 0 && c->state[i] == NULL) {
        c->ctx.reason = REASON_INTERNAL;
        return false;
    }
    c->started = i + 1;
    return true;
}

enum filter_verdict chain_session(struct chain *c, const struct filter_session *s, uint64_t now_ms)
{
    CHECK(c->started == 0);
    for (size_t i = 0; i < c->count; i++) {
        const struct filter_ops *ops = c->slot[i].ops;
        if (!start(c, i)) return FILTER_ABORT;
        if (ops->session == NULL) continue;
        enum filter_verdict verdict = ops->session(enter(c, i, now_ms), s);
        if (verdict != FILTER_NEXT) return verdict;
    }
    return FILTER_NEXT;
}

enum filter_verdict chain_request(struct chain *c, struct request *req, uint64_t now_ms)
{
    CHECK(c->started == 0);
    for (size_t i = 0; i < c->count; i++) {
        const struct filter_ops *ops = c->slot[i].ops;
        if (!start(c, i)) return FILTER_REPLY;
        if (ops->request == NULL) continue;
        enum filter_verdict verdict = ops->request(enter(c, i, now_ms), req);
        if (verdict != FILTER_NEXT) return verdict;
    }
    return FILTER_NEXT;
}

enum filter_verdict chain_response(struct chain *c, struct response *resp, uint64_t now_ms)
{
    for (size_t i = c->started; i-- > 0;) {
        const struct filter_ops *ops = c->slot[i].ops;
        if (ops->response == NULL) continue;
        enum filter_verdict verdict = ops->response(enter(c, i, now_ms), resp);
        if (verdict != FILTER_NEXT) return verdict;
    }
    return FILTER_NEXT;
}

enum filter_verdict chain_attempt_end(struct chain *c, const struct filter_attempt *a,
                                      uint64_t now_ms)
{
    for (size_t i = c->started; i-- > 0;) {
        const struct filter_ops *ops = c->slot[i].ops;
        if (ops->attempt_end == NULL) continue;
        enum filter_verdict verdict = ops->attempt_end(enter(c, i, now_ms), a);
        if (verdict != FILTER_NEXT) return verdict;
    }
    return FILTER_NEXT;
}

void chain_finish(struct chain *c, const struct filter_outcome *o, uint64_t now_ms)
{
    while (c->started > 0) {
        size_t i = --c->started;
        const struct filter_ops *ops = c->slot[i].ops;
        if (ops->finish != NULL) ops->finish(enter(c, i, now_ms), o);
    }
}
