#include "tests/sim/memberlist/ml_state.h"

#include "core/base/check.h"

#include <math.h>
#include <stdlib.h>

#define MAX_TIMEOUT_MULT 6u
#define SLOTS_FIRST      8u

static uint32_t now32(const struct ml_agent *a)
{
    return (uint32_t)a->now_ms;
}

/* The accused raises its incarnation past the accusation, and trusts itself less. */
static void refute(struct ml_agent *a, uint32_t accused_inc)
{
    struct ml_entry *me = &a->roster.entry[a->self];
    uint32_t inc = me->inc + 1;
    if (accused_inc >= inc) inc = accused_inc + 1;
    me->inc = inc & 0x1fffffff;
    ml_agent_score(a, 1);
    struct ml_rumour r = {.status = ML_ALIVE, .subject = a->self, .inc = me->inc, .from = a->self};
    ml_agent_broadcast(a, &r);
}

static void drop_suspicion(struct ml_agent *a, uint32_t i)
{
    struct ml_suspicion *s = a->slot[a->roster.entry[i].aux];
    heap_remove(&a->suspicions, &s->node);
    a->slot[s->slot] = NULL;
    free(s);
}

static void set_status(struct ml_agent *a, uint32_t i, enum ml_status status, uint32_t aux)
{
    enum ml_status old = a->roster.entry[i].status;
    if (old == ML_SUSPECT) drop_suspicion(a, i);
    ml_roster_set(&a->roster, i, status, aux);
    ml_agent_changed(a, i, old, status);
}

static uint32_t free_slot(struct ml_agent *a)
{
    uint32_t i = 0;
    while (i < a->slots && a->slot[i] != NULL)
        i++;
    if (i < a->slots) return i;
    uint32_t more = a->slots > 0 ? a->slots * 2 : SLOTS_FIRST;
    a->slot = realloc(a->slot, more * sizeof(struct ml_suspicion *));
    CHECK(a->slot != NULL);
    for (uint32_t k = a->slots; k < more; k++)
        a->slot[k] = NULL;
    a->slots = more;
    return i;
}

static uint32_t timeout_ms(const struct ml_suspicion *s)
{
    if (s->needed == 0) return s->min_ms;
    double share = log((double)s->confirmed + 1) / log((double)s->needed + 1);
    double ms = floor((double)s->max_ms - share * (double)(s->max_ms - s->min_ms));
    return ms < (double)s->min_ms ? s->min_ms : (uint32_t)ms;
}

static void arm(struct ml_agent *a, struct ml_suspicion *s)
{
    CHECK(heap_set(&a->suspicions, &s->node, s->start_ms + timeout_ms(s)) == ERR_OK);
}

static void suspect_new(struct ml_agent *a, const struct ml_rumour *r)
{
    uint32_t n = a->roster.listed;
    double scale = log10((double)n) > 1 ? log10((double)n) : 1;
    struct ml_suspicion *s = calloc(1, sizeof(*s));
    CHECK(s != NULL);
    s->target = r->subject;
    s->start_ms = a->now_ms;
    s->min_ms = ML_SUSPICION_MULT * (uint32_t)(scale * ML_PROBE_INTERVAL_MS);
    s->max_ms = MAX_TIMEOUT_MULT * s->min_ms;
    s->needed = n < ML_CONFIRMATIONS + 2 ? 0 : ML_CONFIRMATIONS;
    s->from[0] = r->from;
    s->slot = free_slot(a);
    a->slot[s->slot] = s;
    set_status(a, r->subject, ML_SUSPECT, s->slot);
    arm(a, s);
}

static void confirm(struct ml_agent *a, struct ml_suspicion *s, const struct ml_rumour *r)
{
    if (s->confirmed >= s->needed) return;
    for (uint32_t i = 0; i <= s->confirmed; i++)
        if (s->from[i] == r->from) return;
    s->confirmed++;
    s->from[s->confirmed] = r->from;
    arm(a, s);
    ml_agent_broadcast(a, r);
}

static void suspect(struct ml_agent *a, const struct ml_rumour *r)
{
    struct ml_entry *e = &a->roster.entry[r->subject];
    if (e->status == ML_UNKNOWN || e->status == ML_FORGOTTEN || r->inc < e->inc) return;
    if (e->status == ML_SUSPECT) {
        confirm(a, a->slot[e->aux], r);
        return;
    }
    if (e->status != ML_ALIVE) return;
    if (r->subject == a->self) {
        refute(a, r->inc);
        return;
    }
    ml_agent_broadcast(a, r);
    e->inc = r->inc & 0x1fffffff;
    suspect_new(a, r);
}

static void alive(struct ml_agent *a, const struct ml_rumour *r)
{
    struct ml_entry *e = &a->roster.entry[r->subject];
    bool listed = e->status != ML_UNKNOWN && e->status != ML_FORGOTTEN;
    if (r->subject == a->self) {
        if (!a->leaving && r->inc > e->inc) refute(a, r->inc);
        return;
    }
    if (listed && r->inc <= e->inc) return;
    if (!listed) ml_roster_list(&a->roster, &a->rng, r->subject);
    ml_agent_broadcast(a, r);
    e->inc = r->inc & 0x1fffffff;
    if (e->status != ML_ALIVE) set_status(a, r->subject, ML_ALIVE, 0);
}

static void dead(struct ml_agent *a, const struct ml_rumour *r)
{
    struct ml_entry *e = &a->roster.entry[r->subject];
    if ((e->status != ML_ALIVE && e->status != ML_SUSPECT) || r->inc < e->inc) return;
    if (r->subject == a->self && !a->leaving) {
        refute(a, r->inc);
        return;
    }
    ml_agent_broadcast(a, r);
    e->inc = r->inc & 0x1fffffff;
    set_status(a, r->subject, r->from == r->subject ? ML_LEFT : ML_DEAD, now32(a));
}

void ml_state_take(struct ml_agent *a, const struct ml_rumour *r)
{
    if (r->status == ML_ALIVE)
        alive(a, r);
    else if (r->status == ML_SUSPECT)
        suspect(a, r);
    else
        dead(a, r);
}

void ml_state_merge(struct ml_agent *a, const struct ml_state_entry *e)
{
    struct ml_rumour r = {.subject = e->subject, .inc = e->inc, .from = a->self};
    if (e->status == ML_ALIVE) {
        r.status = ML_ALIVE;
    } else if (e->status == ML_LEFT) {
        r.status = ML_DEAD;
        r.from = e->subject;
    } else {
        r.status = ML_SUSPECT;
    }
    ml_state_take(a, &r);
}

void ml_state_tick(struct ml_agent *a)
{
    struct heap_node *n;
    while ((n = heap_min(&a->suspicions)) != NULL && n->key <= a->now_ms) {
        const struct ml_suspicion *s = CONTAINER_OF(n, struct ml_suspicion, node);
        struct ml_rumour r = {.status = ML_DEAD,
                              .subject = s->target,
                              .inc = a->roster.entry[s->target].inc,
                              .from = a->self};
        dead(a, &r);
    }
}

uint64_t ml_state_deadline_ms(const struct ml_agent *a)
{
    const struct heap_node *n = heap_min(&a->suspicions);
    return n != NULL ? n->key : ML_NEVER_MS;
}
