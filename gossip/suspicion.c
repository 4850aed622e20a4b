#include "gossip/suspicion.h"

#include "gossip/catalogue.h"
#include "gossip/packet.h"
#include "gossip/self.h"
#include "gossip/state.h"
#include "gossip/transition.h"

#define SUSPICION_POKE_MS       300u
#define SUSPICION_REMIND_MS     6000u /* later, the digest of all records mends it */
#define SUSPICION_REMINDERS_MAX 3u

/* The votes against `m` as it is now; those against an earlier incarnation are void. NULL: no
 * memory. */
static struct accusation *votes(struct gossip *g, struct member *m)
{
    struct accusation *a = member_accuse(&g->members, m);
    if (a == NULL) return NULL;
    if (a->count == 0 || a->epoch != m->head->epoch || a->inc != m->head->inc)
        *a = (struct accusation){
            .target = m->head->owner, .epoch = m->head->epoch, .inc = m->head->inc};
    return a;
}

static void rearm(struct gossip *g, struct member *m)
{
    uint32_t ms =
        tuning_suspicion_ms(&g->tuning, state_live(g), member_votes(m)->count, g->awareness.score);
    uint64_t at = m->care->accused_ms + ms;
    member_arm(&g->members, m, at > g->now_ms ? at : g->now_ms);
}

/* A vote was added. */
static void counted(struct gossip *g, struct member *m, enum suspicion_source source)
{
    if (m->state == MEMBER_ALIVE) {
        m->care->accused_ms = g->now_ms;
        transition_to(g, m, MEMBER_SUSPECT);
        g->counters.suspicions++;
    }
    if (m->state == MEMBER_SUSPECT) rearm(g, m);
    uint32_t needed = tuning_accusers_needed(state_live(g));
    uint32_t agree = needed < 2 ? needed : 2;
    if (member_votes(m)->count < agree) return;
    digest_accuse(&g->digest, m, g->now_ms);
    /* Old news of a healed cut is first put to the accused: most can refute it before anyone else
     * has to hear of it. If it does not answer, our own vote spreads it. */
    if (source == SUSPICION_GOSSIP) broadcast_accusation(g, m);
}

bool suspicion_vote(struct gossip *g, struct member *m, struct accusation *mine)
{
    if (!member_is_live(m) || m->self) return false;
    struct accusation *a = votes(g, m);
    if (a == NULL) return false;
    struct accusation_vote vote;
    accusation_sign(g->crypto, g->key, &g->self.member->head->owner, a, &vote);
    *mine = *a;
    mine->count = 0;
    (void)accusation_add(mine, &vote);
    if (accusation_add(a, &vote)) counted(g, m, SUSPICION_GOSSIP);
    return true;
}

static bool vote_counts(struct gossip *g, const struct accusation *a,
                        const struct accusation_vote *v, struct member *from)
{
    struct member *accuser = member_find(&g->members, &v->accuser);
    if (accuser == NULL || accuser->self) return false;
    if (accuser->state == MEMBER_LEFT || accuser->state == MEMBER_BANNED) return false;
    if (name_node_id_cmp(&v->accuser, &a->target) == 0) return false;
    if (!catalogue_may_verify(g, from)) return false;
    if (accusation_verify(g->crypto, accuser->admission->public_key, a, v)) return true;
    g->counters.dropped_signature++;
    return false;
}

bool suspicion_charge(struct gossip *g, const struct member *m, struct accusation *out)
{
    if (member_votes(m) != NULL) {
        *out = *member_votes(m);
        return out->count > 0;
    }
    if (m->state != MEMBER_DEAD) return false;
    *out = (struct accusation){
        .target = m->head->owner, .epoch = m->head->epoch, .inc = m->head->inc, .count = 1};
    accusation_sign(g->crypto, g->key, &g->self.member->head->owner, out, &out->vote[0]);
    return true;
}

/* A vote of someone whom we do not know yet may be true: to refute costs no more than that. */
static bool may_be_true(struct gossip *g, const struct accusation *a,
                        const struct accusation_vote *v, struct member *from, uint32_t *signed_by)
{
    if (member_find(&g->members, &v->accuser) == NULL) return true;
    if (!vote_counts(g, a, v, from)) return false;
    (*signed_by)++;
    return true;
}

void suspicion_accused(struct gossip *g, const struct accusation *a, struct member *from)
{
    const struct head *ours = g->self.member->head;
    uint32_t signed_by = 0;
    bool heard = false;
    if (name_node_id_cmp(&a->target, &ours->owner) != 0) return;
    if (a->epoch != ours->epoch || a->inc != ours->inc) {
        self_refute(g, a->epoch, a->inc, from, false);
        return;
    }
    for (uint32_t i = 0; i < a->count; i++)
        heard = may_be_true(g, a, &a->vote[i], from, &signed_by) || heard;
    /* One voice alone is refuted, but does not make us doubt our own health. */
    uint32_t needed = tuning_accusers_needed(state_live(g));
    if (heard) self_refute(g, a->epoch, a->inc, from, signed_by >= (needed < 2 ? needed : 2));
}

void suspicion_hear(struct gossip *g, const struct accusation *a, struct member *from,
                    enum suspicion_source source)
{
    struct member *m = member_find(&g->members, &a->target);
    if (m == NULL) return;
    if (m->self) {
        suspicion_accused(g, a, from);
        return;
    }
    if (!member_is_live(m)) return;
    if (a->epoch != m->head->epoch || a->inc != m->head->inc) {
        /* It has refuted, and the sender does not know yet. */
        bool older =
            a->epoch < m->head->epoch || (a->epoch == m->head->epoch && a->inc < m->head->inc);
        if (older && source == SUSPICION_GOSSIP && from != NULL) catalogue_tell(g, m, from);
        return;
    }
    struct accusation *known = votes(g, m);
    if (known == NULL) return;
    uint32_t before = known->count;
    for (uint32_t i = 0; i < a->count && known->count < TUNING_ACCUSERS_MAX; i++) {
        if (accusation_has(known, &a->vote[i].accuser)) continue;
        if (vote_counts(g, a, &a->vote[i], from)) (void)accusation_add(known, &a->vote[i]);
    }
    if (known->count > before)
        counted(g, m, source);
    else if (a->count >= known->count)
        broadcast_heard(g, m, RUMOUR_ACCUSATION);
    if (known->count == 0)
        member_acquit(&g->members, m);
    else if (known->count > before && source == SUSPICION_SYNC)
        suspicion_poke(g, m);
}

void suspicion_poke(struct gossip *g, struct member *m)
{
    if (member_votes(m) == NULL && m->state != MEMBER_DEAD) return;
    uint64_t poked_ms = m->care != NULL ? m->care->poked_ms : 0;
    if (poked_ms != 0 && g->now_ms < poked_ms + SUSPICION_POKE_MS) return;
    struct packet p;
    packet_begin(g, &p, m); /* says that it is accused */
    (void)packet_send(g, &p, PACKET_PROBE);
}

void suspicion_remind(struct gossip *g, struct member *to)
{
    struct digest *d = &g->digest;
    uint32_t spread = tuning_spread_ms(&g->tuning, state_live(g));
    struct packet p;
    const struct list *first_told = NULL;
    if (g->now_ms < d->accused_ms + spread) return; /* it may still be on its way */
    packet_begin(g, &p, to);
    LIST_EACH(link, next, &d->accused_list)
    {
        const struct member_care *c = LIST_ENTRY(link, struct member_care, accused_link);
        const struct member *m = c->member;
        struct message msg = {.kind = MESSAGE_ACCUSE, .accusation = *c->accusation};
        if (link == first_told) break; /* all round: who was told goes to the end */
        if (m == to || g->now_ms > c->accused_ms + SUSPICION_REMIND_MS) continue;
        if (!packet_add(&p, &msg)) break;
        p.rumours++;
        if (first_told == NULL) first_told = link;
        list_remove(link);
        list_push_back(&d->accused_list, link);
        if (p.rumours == SUSPICION_REMINDERS_MAX) break;
    }
    if (p.rumours == 0) return;
    g->counters.rumours_sent += p.rumours;
    (void)packet_send_plain(g, &p, PACKET_RUMOUR, &to->head->addr);
}

/* Only our own voice is against it. */
static bool lone_vote(const struct gossip *g, const struct member *m)
{
    const struct accusation *a = member_votes(m);
    return m->state == MEMBER_SUSPECT && a != NULL && a->count == 1 &&
           accusation_has(a, &g->self.member->head->owner);
}

void suspicion_reached(struct gossip *g, const struct node_id *target, uint64_t epoch, uint32_t inc)
{
    struct member *m = member_find(&g->members, target);
    if (m == NULL || m->head->epoch != epoch || m->head->inc != inc || !lone_vote(g, m)) return;
    m->unreachable_from_me = true;
    transition_to(g, m, MEMBER_ALIVE);
}

void suspicion_answered(struct gossip *g, struct member *m)
{
    m->unreachable_from_me = false;
    if (lone_vote(g, m)) transition_to(g, m, MEMBER_ALIVE);
}

void suspicion_timer(struct gossip *g, struct member *m)
{
    switch ((enum member_state)m->state) {
    case MEMBER_SUSPECT:
        transition_to(g, m, MEMBER_UNREACHABLE);
        break;
    case MEMBER_UNREACHABLE:
        transition_to(g, m, MEMBER_DEAD);
        break;
    case MEMBER_DEAD:
    case MEMBER_LEFT:
    case MEMBER_BANNED:
        transition_forget(g, m);
        break;
    case MEMBER_ALIVE:
    case MEMBER_STATES:
        break;
    }
}

void suspicion_amnesty(struct gossip *g, uint64_t late_ms)
{
    for (size_t i = 0; i < g->members.count; i++) {
        struct member *m = g->members.order[i];
        if (m->state != MEMBER_SUSPECT && m->state != MEMBER_UNREACHABLE) continue;
        if (!member_timer_armed(m)) continue;
        m->care->accused_ms += late_ms;
        member_arm(&g->members, m, m->care->timer.node.key + late_ms);
    }
}
