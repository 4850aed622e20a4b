#include "gossip/change.h"

#include "gossip/state.h"

#define CHANGE_CONFLICT_MS 10000u
#define CHANGE_SAID_MS     60000u

static void note(struct gossip *g, struct member *m)
{
    if (!list_linked(&m->change_link)) list_push_back(&g->changes, &m->change_link);
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
    return m->conflict_ms != 0 && g->now_ms < m->conflict_ms + CHANGE_CONFLICT_MS;
}

static bool conflict_due(struct gossip *g, struct member *m)
{
    g->counters.conflicts++;
    if (change_conflict_recent(g, m)) return false;
    m->conflict_ms = g->now_ms > 0 ? g->now_ms : 1;
    return true;
}

void change_conflict(struct gossip *g, struct member *m)
{
    if (!conflict_due(g, m)) return;
    m->conflict = true;
    note(g, m);
}

void change_conflict_said(struct gossip *g, const uint8_t by[8])
{
    struct self_record *self = &g->self;
    bool recent =
        self->conflict_said_ms != 0 && g->now_ms < self->conflict_said_ms + CHANGE_SAID_MS;
    bool second = recent && memcmp(self->conflict_by, by, sizeof(self->conflict_by)) != 0;
    memcpy(self->conflict_by, by, sizeof(self->conflict_by));
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
        holder->conflict_ms = 0; /* not told: the next one is */
}

static bool report_state(struct gossip *g, struct member *m)
{
    if (m->reported && m->reported_state == m->state && !m->moved) return true;
    struct gossip_effect *e = event_push(g->fx, GOSSIP_MEMBER_CHANGED);
    if (e == NULL) return false;
    e->node = m->head.owner;
    e->old_state = m->reported ? m->reported_state : m->state;
    e->new_state = m->state;
    m->reported = true;
    m->reported_state = m->state;
    m->moved = false;
    return true;
}

static bool report_flag(struct gossip *g, struct member *m, bool *flag,
                        enum gossip_effect_kind kind)
{
    if (!*flag) return true;
    struct gossip_effect *e = event_push(g->fx, kind);
    if (e == NULL) return false;
    e->node = m->head.owner;
    *flag = false;
    return true;
}

bool change_flush(struct gossip *g)
{
    for (;;) {
        struct list *link = list_first(&g->changes);
        if (link == NULL) return true;
        struct member *m = LIST_ENTRY(link, struct member, change_link);
        if (!report_state(g, m)) return false;
        if (!report_flag(g, m, &m->record_changed, GOSSIP_RECORD_CHANGED)) return false;
        if (!report_flag(g, m, &m->status_changed, GOSSIP_STATUS_CHANGED)) return false;
        if (!report_flag(g, m, &m->conflict, GOSSIP_CONFLICT)) return false;
        list_remove(link);
    }
}

void change_forget(struct gossip *g, struct member *m)
{
    (void)g;
    list_remove(&m->change_link);
}
