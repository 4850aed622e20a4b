#include "tests/sim/memberlist/ml_probe.h"

#include "tests/sim/memberlist/ml_state.h"
#include "tests/sim/memberlist/ml_stream.h"

#define INDIRECT_CHECKS 3u

/* A Go ticker: ticks on its grid, of which one waits when nobody takes it. */
static uint64_t tick_after(const struct ml_agent *a, uint64_t ms)
{
    uint64_t phase = a->probe.next_ms % ML_PROBE_INTERVAL_MS;
    uint64_t grid = ms - ms % ML_PROBE_INTERVAL_MS + phase;
    return grid > ms ? grid : grid + ML_PROBE_INTERVAL_MS;
}

void ml_probe_init(struct ml_agent *a, uint64_t phase_ms)
{
    a->probe = (struct ml_probe){.next_ms = phase_ms};
}

static void begin(struct ml_agent *a)
{
    struct ml_probe *p = &a->probe;
    p->next_ms = tick_after(a, a->now_ms);
    uint32_t target = ml_roster_next(&a->roster, &a->rng, a->self, (uint32_t)a->now_ms);
    if (target == a->nodes) return;
    const struct ml_entry *e = &a->roster.entry[target];
    *p = (struct ml_probe){.active = true,
                           .target = target,
                           .inc = e->inc,
                           .seq = a->seq_next++,
                           .began_ms = a->now_ms,
                           .until_ms = a->now_ms + ML_PROBE_INTERVAL_MS * (a->score + 1),
                           .next_ms = p->next_ms};
    struct ml_letter l = {.kind = ML_LETTER_PING, .seq = p->seq, .target = target};
    if (e->status == ML_ALIVE) {
        (void)ml_agent_send(a, target, &l);
        return;
    }
    struct ml_rumour r = {.status = ML_SUSPECT, .subject = target, .inc = e->inc, .from = a->self};
    ml_agent_send_suspected(a, target, &l, &r);
}

static void succeed(struct ml_agent *a)
{
    a->probe.active = false;
    ml_agent_score(a, -1);
}

static void ask_others(struct ml_agent *a)
{
    struct ml_probe *p = &a->probe;
    uint32_t helper[INDIRECT_CHECKS];
    struct ml_letter l = {.kind = ML_LETTER_INDIRECT, .seq = p->seq, .target = p->target};
    p->indirect = true;
    struct ml_draw draw = {.want = INDIRECT_CHECKS, .self = a->self, .except = p->target};
    p->nacks_expected = ml_roster_random(&a->roster, &a->rng, &draw, helper);
    for (uint32_t i = 0; i < p->nacks_expected; i++)
        (void)ml_agent_send(a, helper[i], &l);
    ml_stream_ping(a, p->target, p->seq, p->until_ms);
}

static void conclude(struct ml_agent *a)
{
    struct ml_probe *p = &a->probe;
    if (p->contact) {
        succeed(a);
        return;
    }
    p->active = false;
    if (p->nacks_expected == 0)
        ml_agent_score(a, 1);
    else if (p->nacks < p->nacks_expected)
        ml_agent_score(a, (int)(p->nacks_expected - p->nacks));
    struct ml_rumour r = {
        .status = ML_SUSPECT, .subject = p->target, .inc = p->inc, .from = a->self};
    ml_state_take(a, &r);
}

static void relay(struct ml_agent *a, uint32_t from, const struct ml_letter *l)
{
    uint32_t i = 0;
    while (i < ML_RELAYS_MAX && a->relay[i].used)
        i++;
    if (i == ML_RELAYS_MAX || l->target >= a->nodes) return;
    a->relay[i] = (struct ml_relay){.used = true,
                                    .origin = from,
                                    .origin_seq = l->seq,
                                    .seq = a->seq_next++,
                                    .due_ms = a->now_ms + ML_PROBE_TIMEOUT_MS};
    a->relays_used++;
    struct ml_letter ping = {.kind = ML_LETTER_PING, .seq = a->relay[i].seq, .target = l->target};
    (void)ml_agent_send(a, l->target, &ping);
}

static void relay_end(struct ml_agent *a, struct ml_relay *r, enum ml_letter_kind kind)
{
    struct ml_letter l = {.kind = kind, .seq = r->origin_seq};
    r->used = false;
    a->relays_used--;
    (void)ml_agent_send(a, r->origin, &l);
}

static void acked(struct ml_agent *a, uint32_t seq)
{
    if (a->probe.active && a->probe.seq == seq) {
        succeed(a);
        return;
    }
    for (uint32_t i = 0; i < ML_RELAYS_MAX && a->relays_used > 0; i++)
        if (a->relay[i].used && a->relay[i].seq == seq)
            relay_end(a, &a->relay[i], ML_LETTER_RELAYED_ACK);
}

void ml_probe_letter(struct ml_agent *a, uint32_t from, const struct ml_letter *l)
{
    struct ml_letter ack = {.kind = ML_LETTER_ACK, .seq = l->seq};
    switch (l->kind) {
    case ML_LETTER_PING:
        if (l->target == a->self) (void)ml_agent_send(a, from, &ack);
        break;
    case ML_LETTER_ACK:
    case ML_LETTER_RELAYED_ACK:
        acked(a, l->seq);
        break;
    case ML_LETTER_NACK:
        if (a->probe.active && a->probe.seq == l->seq) a->probe.nacks++;
        break;
    case ML_LETTER_INDIRECT:
        relay(a, from, l);
        break;
    case ML_LETTER_GOSSIP:
    case ML_LETTER_STATE:
    case ML_LETTER_STREAM_PING:
    case ML_LETTER_STREAM_ACK:
        break;
    }
}

void ml_probe_contact(struct ml_agent *a, uint32_t seq)
{
    if (a->probe.active && a->probe.seq == seq) a->probe.contact = true;
}

void ml_probe_tick(struct ml_agent *a)
{
    struct ml_probe *p = &a->probe;
    for (uint32_t i = 0; i < ML_RELAYS_MAX && a->relays_used > 0; i++)
        if (a->relay[i].used && a->relay[i].due_ms <= a->now_ms)
            relay_end(a, &a->relay[i], ML_LETTER_NACK);
    if (p->active && !p->indirect && p->began_ms + ML_PROBE_TIMEOUT_MS <= a->now_ms) ask_others(a);
    if (p->active && p->until_ms <= a->now_ms) conclude(a);
    if (!p->active && p->next_ms <= a->now_ms) begin(a);
}

uint64_t ml_probe_deadline_ms(const struct ml_agent *a)
{
    const struct ml_probe *p = &a->probe;
    uint64_t due = p->next_ms;
    if (p->active) due = p->indirect ? p->until_ms : p->began_ms + ML_PROBE_TIMEOUT_MS;
    for (uint32_t i = 0; i < ML_RELAYS_MAX && a->relays_used > 0; i++)
        if (a->relay[i].used && a->relay[i].due_ms < due) due = a->relay[i].due_ms;
    return due;
}
