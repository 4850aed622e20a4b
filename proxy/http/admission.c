#include "proxy/http/admission.h"

#include "proxy/http/account.h"

static bool enter(struct exchange *ex)
{
    ex->admitted = gate_enter(ex->service->gate, ex->service->limits.in_flight);
    return ex->admitted;
}

static void leave_queue(struct exchange *ex)
{
    if (!list_linked(&ex->on_gate)) return;
    list_remove(&ex->on_gate);
    view_local(ex->view, ex->service)->waiting_count--;
    gate_unqueue(ex->service->gate);
    account_queued(ex, -1);
}

static bool is_next(const struct exchange *ex)
{
    const struct endpoint_state *state = view_local(ex->view, ex->service);
    const struct list *first = list_first(&state->waiting);
    return first == NULL || first == &ex->on_gate;
}

/* By its timer: each that ends at once would else call the next from within itself. */
static void wake_next(struct exchange *ex)
{
    struct loop *loop = ex->ctx->loop;
    struct list *first = list_first(&view_local(ex->view, ex->service)->waiting);
    if (first == NULL) return;
    struct exchange *next = LIST_ENTRY(first, struct exchange, on_gate);
    next->attempt.deadline_ms = loop_now_ms(loop);
    loop_timer_set(loop, &next->timer, next->attempt.deadline_ms);
}

/* It waits already: is it its turn, or has it waited for too long? */
static enum reason wait_on(struct exchange *ex, bool *admitted)
{
    uint64_t now_ms = loop_now_ms(ex->ctx->loop);
    *admitted = is_next(ex) && enter(ex);
    bool late = ex->deadline_ms != 0 && now_ms >= ex->deadline_ms;
    bool over = now_ms >= ex->begun_ms + ex->service->limits.wait_ms;
    if (*admitted || late || over) {
        leave_queue(ex);
        wake_next(ex);
    }
    if (*admitted) return REASON_NONE;
    if (late) return REASON_DEADLINE_EXPIRED;
    if (over) return REASON_OVERLOADED;
    ex->attempt.deadline_ms = now_ms + ADMISSION_LOOK_MS;
    exchange_arm(ex);
    return REASON_NONE;
}

enum reason admission_try(struct exchange *ex, bool *admitted)
{
    const struct snapshot_service *s = ex->service;
    *admitted = true;
    if (ex->direction == DIRECTION_OUTBOUND || s->gate == NULL || ex->admitted) return REASON_NONE;
    if (list_linked(&ex->on_gate)) return wait_on(ex, admitted);
    if (!gate_rate(s->gate, s->limits.rps, loop_now_us(ex->ctx->loop))) return REASON_RATE_LIMITED;
    if (is_next(ex) && enter(ex)) return REASON_NONE;
    if (!gate_queue(s->gate, s->limits.queue)) return REASON_OVERLOADED;
    struct endpoint_state *state = view_local(ex->view, s);
    list_push_back(&state->waiting, &ex->on_gate);
    state->waiting_count++;
    account_queued(ex, 1);
    return wait_on(ex, admitted);
}

void admission_end(struct exchange *ex)
{
    if (ex->direction == DIRECTION_OUTBOUND || ex->service == NULL || ex->service->gate == NULL)
        return;
    leave_queue(ex);
    if (!ex->admitted) return;
    ex->admitted = false;
    gate_leave(ex->service->gate);
    wake_next(ex);
}
