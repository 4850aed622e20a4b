#include "gossip/change.h"

#include "gossip/state.h"

#include <stdlib.h>

#define CHANGE_CONFLICT_MS 10000u
#define CHANGE_SAID_MS     60000u
#define CHANGE_FIRST_CAP   64u
#define CHANGE_KEPT_CAP    1024u /* a longer queue is freed when it is empty */

static bool grow(struct change_queue *q)
{
    size_t cap = q->cap > 0 ? q->cap * 2 : CHANGE_FIRST_CAP;
    struct member **waits = realloc(q->waits, cap * sizeof(struct member *));
    if (waits == NULL) return false;
    q->waits = waits;
    q->cap = cap;
    return true;
}

static void note(struct gossip *g, struct member *m)
{
    struct change_queue *q = &g->changes;
    if (m->change_waits) return;
    m->change_waits = true;
    if (q->count < q->cap || grow(q))
        q->waits[q->count++] = m;
    else
        q->missed = true;
}

void change_fini(struct change_queue *q)
{
    free(q->waits);
    *q = (struct change_queue){0};
}

void change_state(struct gossip *g, struct member *m)
{
    note(g, m);
}

void change_moved(struct gossip *g, struct member *m)
{
    m->moved = true;
    note(g, m);
}

void change_record(struct gossip *g, struct member *m)
{
    m->record_changed = true;
    note(g, m);
}

void change_status(struct gossip *g, struct member *m)
{
    m->status_changed = true;
    note(g, m);
}

bool change_conflict_recent(const struct gossip *g, const struct member *m)
{
    uint64_t at_ms = m->care != NULL ? m->care->conflict_ms : 0;
    return at_ms != 0 && g->now_ms < at_ms + CHANGE_CONFLICT_MS;
}

static bool conflict_due(struct gossip *g, struct member *m)
{
    g->counters.conflicts++;
    if (change_conflict_recent(g, m)) return false;
    struct member_care *c = member_care(&g->members, m);
    if (c != NULL) c->conflict_ms = g->now_ms > 0 ? g->now_ms : 1;
    return c != NULL;
}

void change_conflict(struct gossip *g, struct member *m)
{
    if (!conflict_due(g, m)) return;
    m->conflict = true;
    note(g, m);
}

void change_conflict_said(struct gossip *g, const struct name *by)
{
    struct self_record *self = &g->self;
    bool recent =
        self->conflict_said_ms != 0 && g->now_ms < self->conflict_said_ms + CHANGE_SAID_MS;
    bool second = recent && !name_eq(&self->conflict_by, by);
    self->conflict_by = *by;
    self->conflict_said_ms = g->now_ms > 0 ? g->now_ms : 1;
    if (second || state_live(g) <= 2) change_conflict(g, self->member);
}

void change_name_taken(struct gossip *g, struct member *holder, const struct node_id *stranger)
{
    if (g->fx == NULL || !conflict_due(g, holder)) return; /* NULL: restoring our own store */
    struct gossip_effect *e = event_push(g->fx, GOSSIP_CONFLICT);
    if (e != NULL)
        e->node = *stranger;
    else
        holder->care->conflict_ms = 0; /* not told: the next one is */
}

static bool report_state(struct gossip *g, struct member *m)
{
    if (m->reported && m->reported_state == m->state && !m->moved) return true;
    struct gossip_effect *e = event_push(g->fx, GOSSIP_MEMBER_CHANGED);
    if (e == NULL) return false;
    e->node = m->head->owner;
    e->old_state = (enum member_state)(m->reported ? m->reported_state : m->state);
    e->new_state = (enum member_state)m->state;
    m->reported = true;
    m->reported_state = m->state;
    m->moved = false;
    return true;
}

static bool report(struct gossip *g, const struct member *m, enum gossip_effect_kind kind)
{
    struct gossip_effect *e = event_push(g->fx, kind);
    if (e != NULL) e->node = m->head->owner;
    return e != NULL;
}

/* False: no room for all of it. */
static bool report_all(struct gossip *g, struct member *m)
{
    if (!report_state(g, m)) return false;
    if (m->record_changed && !report(g, m, GOSSIP_RECORD_CHANGED)) return false;
    m->record_changed = false;
    if (m->status_changed && !report(g, m, GOSSIP_STATUS_CHANGED)) return false;
    m->status_changed = false;
    if (m->conflict && !report(g, m, GOSSIP_CONFLICT)) return false;
    m->conflict = m->change_waits = false;
    return true;
}

static bool report_missed(struct gossip *g)
{
    for (size_t i = 0; i < g->members.count; i++) {
        if (!member_peek(&g->members, i)->change_waits) continue;
        if (!report_all(g, member_at(&g->members, i))) return false;
    }
    g->changes.missed = false;
    return true;
}

bool change_flush(struct gossip *g)
{
    struct change_queue *q = &g->changes;
    for (; q->first < q->count; q->first++) {
        struct member *m = q->waits[q->first];
        if (m != NULL && m->change_waits && !report_all(g, m)) return false;
    }
    q->first = q->count = 0;
    if (q->cap > CHANGE_KEPT_CAP) change_fini(q);
    return !q->missed || report_missed(g);
}

void change_forget(struct gossip *g, struct member *m)
{
    struct change_queue *q = &g->changes;
    m->change_waits = false;
    for (size_t i = q->first; i < q->count; i++)
        if (q->waits[i] == m) q->waits[i] = NULL;
}
