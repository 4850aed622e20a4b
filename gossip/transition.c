#include "gossip/transition.h"

#include "gossip/change.h"
#include "gossip/state.h"
#include "gossip/suspicion.h"

static void count(struct gossip *g, const struct member *m, uint32_t by)
{
    if (m->state == MEMBER_ALIVE) g->alive += by;
    if (member_is_live(m))
        g->members.live += by;
    else if (m->state == MEMBER_DEAD)
        g->members.dead += by;
}

static void place(struct gossip *g, struct member *m)
{
    if (member_is_live(m))
        schedule_return(&g->probes.schedule, m);
    else
        schedule_leave(&g->probes.schedule, m);
}

static void enter(struct gossip *g, struct member *m)
{
    m->since_ms = g->now_ms;
    g->persist_due = true;
    switch ((enum member_state)m->state) {
    case MEMBER_ALIVE:
        member_acquit(&g->members, m);
        broadcast_drop(g, m, RUMOUR_ACCUSATION);
        member_disarm(&g->members, m);
        break;
    case MEMBER_SUSPECT: /* suspicion.c sets its end */
        break;
    case MEMBER_UNREACHABLE:
        m->last_calls = 0;
        member_arm(&g->members, m,
                   g->now_ms + g->tuning.dead_hold_ms -
                       SUSPICION_LAST_CALLS * SUSPICION_LAST_CALL_MS);
        break;
    case MEMBER_LEFT:
        member_acquit(&g->members, m);
        broadcast_drop(g, m, RUMOUR_ACCUSATION);
        member_arm(&g->members, m, g->now_ms + g->tuning.reap_ms);
        break;
    case MEMBER_DEAD:
    case MEMBER_BANNED:
        broadcast_drop(g, m, RUMOUR_ACCUSATION);
        member_arm(&g->members, m, g->now_ms + g->tuning.reap_ms);
        break;
    case MEMBER_STATES:
        break;
    }
}

void transition_to(struct gossip *g, struct member *m, enum member_state state)
{
    if (m->state == state) return;
    bool was_live = member_is_live(m);
    count(g, m, UINT32_MAX); /* minus one */
    m->state = (uint8_t)state;
    m->lossy = m->lossy && state == MEMBER_UNREACHABLE;
    count(g, m, 1);
    enter(g, m);
    if (was_live != member_is_live(m)) {
        digest_note(&g->digest, m, g->now_ms);
        place(g, m);
    }
    digest_accuse(&g->digest, m, g->now_ms);
    change_state(g, m);
    rollout_moved(g);
}

void transition_enter(struct gossip *g, struct member *m, enum member_state state)
{
    m->state = (uint8_t)state;
    count(g, m, 1);
    place(g, m);
    enter(g, m);
    digest_note(&g->digest, m, g->now_ms);
    change_state(g, m);
}

void transition_prefilled(struct gossip *g, uint32_t others)
{
    g->alive += others;
    g->members.live += others;
}

void transition_forget(struct gossip *g, struct member *m)
{
    CHECK(!m->self && !member_is_live(m));
    /* The life that ended with a good-bye is over; one that was only silent may return. */
    grave_dig(&g->graves, &m->head->owner, m->head->epoch + (m->state == MEMBER_LEFT), g->wall_ms);
    count(g, m, UINT32_MAX);
    broadcast_drop(g, m, RUMOUR_RECORD);
    broadcast_drop(g, m, RUMOUR_ACCUSATION);
    member_acquit(&g->members, m);
    digest_accuse(&g->digest, m, g->now_ms); /* nobody is reminded of it any more */
    digest_forget(&g->digest, m);
    change_forget(g, m);
    probe_forget(g, m);
    stream_forget(g, m);
    ask_forget(g, m);
    pairing_forget(g, m);
    member_disarm(&g->members, m);
    g->bodies_bytes -= member_body(m).len;
    g->persist_due = true;
    schedule_return(&g->probes.schedule, m);
    member_remove(&g->members, m);
}
