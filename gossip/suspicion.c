#include "gossip/suspicion.h"

#include "gossip/catalogue.h"
#include "gossip/packet.h"
#include "gossip/self.h"
#include "gossip/state.h"
#include "gossip/transition.h"
#include "gossip/watchers.h"

#include <assert.h>

#define SUSPICION_POKE_MS        300u
#define SUSPICION_REMINDERS_MAX  3u
#define SUSPICION_LONE_MS        10000u
#define SUSPICION_REMIND_MS      100u
#define SUSPICION_REMIND_BUSY_MS 1000u /* while news of it is on its way */

/* Leaves of `a` what counts against `m` as it is now. */
static void still_counts(const struct gossip *g, const struct member *m, struct accusation *a)
{
    uint32_t kept = 0;
    if (a->epoch != m->head->epoch) a->count = 0;
    accusation_move(a, m->head->inc);
    for (uint32_t i = 0; i < a->count; i++) {
        struct accusation_vote v = a->vote[i];
        bool counts = v.ago == 0 || (m->care != NULL &&
                                     refuted_counts(&m->care->refuted, a->inc - v.ago, g->now_ms));
        if (counts) a->vote[kept++] = v;
    }
    a->count = kept;
}

/* The votes against `m` as it is now; others are void, and so is a voice that nobody joined for
 * long. NULL: no memory. */
static struct accusation *votes(struct gossip *g, struct member *m)
{
    struct accusation *a = member_accuse(&g->members, m);
    if (a == NULL) return NULL;
    bool stale = m->state == MEMBER_ALIVE && g->now_ms > m->care->accused_ms + SUSPICION_LONE_MS;
    still_counts(g, m, a);
    if (a->count == 0 || stale) {
        *a = (struct accusation){
            .target = m->head->owner, .epoch = m->head->epoch, .inc = m->head->inc};
        m->care->accused_ms = g->now_ms;
    }
    return a;
}

static bool we_voted(const struct gossip *g, const struct member *m)
{
    return accusation_has(member_votes(m), &g->self.member->head->owner);
}

/* K. Who is accused himself is no accuser to wait for: of five of which three are gone, two can
 * still judge. */
static uint32_t needed(const struct gossip *g, const struct member *m)
{
    return tuning_accusers_needed(g->alive + (m->state != MEMBER_ALIVE));
}

/* L. */
static uint32_t agreeing(const struct gossip *g, const struct member *m)
{
    uint32_t k = needed(g, m);
    return k < TUNING_ACCUSED_VOTES ? k : TUNING_ACCUSED_VOTES;
}

/* Where so few are left that fewer than K = 3 must do, one of them is ourselves: no single liar
 * makes us give up a third (I17). */
static bool enough(const struct gossip *g, const struct member *m, uint32_t count)
{
    uint32_t k = needed(g, m);
    return count >= k && (k == TUNING_ACCUSERS_MAX || we_voted(g, m));
}

/* Whether the votes against `m` are enough for UNREACHABLE (I5); */
static bool unreachable_proven(const struct gossip *g, const struct member *m)
{
    return member_votes(m) != NULL && enough(g, m, accusation_count_now(member_votes(m)));
}

/* for DEAD at once; */
static bool crash_proven(const struct gossip *g, const struct member *m)
{
    return member_votes(m) != NULL &&
           enough(g, m, accusation_count(member_votes(m), ACCUSATION_REFUSED));
}

/* and for being left out as lossy. */
static bool lossy_proven(const struct gossip *g, const struct member *m)
{
    return member_votes(m) != NULL &&
           enough(g, m, accusation_count(member_votes(m), ACCUSATION_LOSSY));
}

bool suspicion_measures(const struct gossip *g, const struct member *m)
{
    if (m->state == MEMBER_ALIVE) return true;
    return m->lossy && m->care != NULL && g->now_ms > m->care->accused_ms + SUSPICION_SHUN_MS / 2;
}

static void rearm(struct gossip *g, struct member *m)
{
    uint32_t voices = accusation_count_now(member_votes(m));
    uint32_t ms = tuning_suspicion_ms(&g->tuning, state_live(g), voices > 0 ? voices : 1,
                                      needed(g, m), g->awareness.score);
    uint64_t at = m->care->accused_ms + ms;
    member_arm(&g->members, m, at > g->now_ms ? at : g->now_ms);
}

/* Who missed the rumour is reminded for a while. */
static void die(struct gossip *g, struct member *m)
{
    transition_to(g, m, MEMBER_DEAD);
    member_arm(&g->members, m, m->care->accused_ms + DIGEST_ACCUSED_MS);
}

static void shun(struct gossip *g, struct member *m)
{
    transition_to(g, m, MEMBER_UNREACHABLE);
    m->lossy = true;
    m->care->accused_ms = g->now_ms;
    member_arm(&g->members, m, g->now_ms + SUSPICION_SHUN_MS);
}

/* Whether so many said the same, or of the same incarnation. */
static bool agreed_on(const struct gossip *g, const struct member *m)
{
    uint32_t l = agreeing(g, m);
    return accusation_count_now(member_votes(m)) >= l ||
           accusation_count(member_votes(m), ACCUSATION_LOSSY) >= l;
}

/* A vote was added. Another's voice alone makes nobody a suspect. */
static void counted(struct gossip *g, struct member *m, enum suspicion_source source)
{
    bool agreed = agreed_on(g, m);
    if (m->state == MEMBER_ALIVE && (agreed || we_voted(g, m))) {
        m->care->accused_ms = g->now_ms;
        transition_to(g, m, MEMBER_SUSPECT);
        g->counters.suspicions++;
    }
    if (crash_proven(g, m))
        die(g, m);
    else if (lossy_proven(g, m) && (!m->lossy || unreachable_proven(g, m)))
        shun(g, m); /* once more only on votes as many and as new */
    else if (m->state == MEMBER_SUSPECT)
        rearm(g, m);
    if (!agreed) return;
    digest_accuse(&g->digest, m, g->now_ms);
    /* Old news of a healed cut is first put to the accused: most can refute it before anyone else
     * has to hear of it. If it does not answer, our own vote spreads it. */
    if (source == SUSPICION_GOSSIP || m->state == MEMBER_DEAD) broadcast_accusation(g, m);
    if (needed(g, m) < TUNING_ACCUSERS_MAX && !we_voted(g, m)) probe_check(g, m);
}

void suspicion_statement(struct gossip *g, const struct member *m, enum accusation_kind kind,
                         struct accusation *out)
{
    *out = (struct accusation){
        .target = m->head->owner, .epoch = m->head->epoch, .inc = m->head->inc, .count = 1};
    accusation_sign(g->crypto, g->key, &g->self.member->head->owner, out, kind, &out->vote[0]);
}

/* Of one that is shunned, silence now and then is nothing new. */
static bool may_say(const struct gossip *g, const struct member *m, const struct node_id *accuser,
                    uint8_t kind)
{
    if (kind == ACCUSATION_LOSSY) return watchers_plausible(&m->head->owner, accuser, g->alive);
    return !m->lossy || kind == ACCUSATION_REFUSED;
}

bool suspicion_vote(struct gossip *g, struct member *m, enum accusation_kind kind,
                    struct accusation *mine)
{
    if (!member_is_live(m) || m->self ||
        !may_say(g, m, &g->self.member->head->owner, (uint8_t)kind))
        return false;
    struct accusation *a = votes(g, m);
    if (a == NULL) return false;
    suspicion_statement(g, m, kind, mine);
    bool news = accusation_add(a, &mine->vote[0]);
    /* Three others may have voted while more were alive; of fewer, it does not go without us. */
    if (needed(g, m) < TUNING_ACCUSERS_MAX && !we_voted(g, m)) {
        accusation_add_surely(a, &mine->vote[0]);
        news = true;
    }
    if (news) counted(g, m, SUSPICION_GOSSIP);
    return true;
}

static bool vote_counts(struct gossip *g, const struct accusation *a,
                        const struct accusation_vote *v, struct member *from)
{
    struct member *accuser = member_find(&g->members, &v->accuser);
    if (accuser == NULL || accuser->self) return false;
    if (accuser->state == MEMBER_LEFT || accuser->state == MEMBER_BANNED) return false;
    if (name_node_id_cmp(&v->accuser, &a->target) == 0) return false;
    if (distrust_muted(&g->distrust, &v->accuser, g->now_ms)) return false;
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
    suspicion_statement(g, m, ACCUSATION_SILENT, out);
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

/* That we are lossy is measured and stands for a while, whatever we say; that nobody repeats it for
 * ever, we raise our incarnation when all have heard of it. */
static bool may_refute_loss(struct gossip *g)
{
    struct self_record *self = &g->self;
    if (self->lossy_ms == 0 || self->lossy_inc != self->member->head->inc) {
        self->lossy_ms = g->now_ms > 0 ? g->now_ms : 1;
        self->lossy_inc = self->member->head->inc;
    }
    return g->now_ms >= self->lossy_ms + SUSPICION_SHUN_MS / 6;
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
    if (accusation_count(a, ACCUSATION_LOSSY) == a->count && !may_refute_loss(g)) return;
    for (uint32_t i = 0; i < a->count; i++)
        heard = may_be_true(g, a, &a->vote[i], from, &signed_by) || heard;
    /* One voice alone is refuted, but does not make us doubt our own health. */
    if (heard) self_refute(g, a->epoch, a->inc, from, signed_by >= agreeing(g, g->self.member));
}

/* Takes vote `i` of `a` into `known`, if it adds to what is known. */
static bool take_vote(struct gossip *g, struct accusation *known, const struct accusation *a,
                      uint32_t i, struct member *from)
{
    struct accusation tried = *known;
    if (!accusation_add(&tried, &a->vote[i])) return false; /* nothing to verify */
    return vote_counts(g, a, &a->vote[i], from) && accusation_add(known, &a->vote[i]);
}

/* Whether `a` has more of what says more than silence. */
static bool says_more(const struct accusation *a, const struct accusation *than)
{
    return accusation_count(a, ACCUSATION_REFUSED) > accusation_count(than, ACCUSATION_REFUSED) ||
           accusation_count(a, ACCUSATION_LOSSY) > accusation_count(than, ACCUSATION_LOSSY);
}

/* Whether who sent `a` has nothing more to learn from us. */
static bool says_as_much(const struct member *m, const struct accusation *a)
{
    const struct accusation *known = member_votes(m);
    return known != NULL && a->epoch == known->epoch && a->inc == known->inc &&
           a->count >= known->count && !says_more(known, a);
}

/* No vote counts any more: nobody is told of any. */
static void acquit(struct gossip *g, struct member *m)
{
    member_acquit(&g->members, m);
    broadcast_drop(g, m, RUMOUR_ACCUSATION);
    digest_accuse(&g->digest, m, g->now_ms);
}

/* How much it says, as one number: of two who compare theirs one has nothing to tell the other. */
static uint32_t amount(const struct accusation *a)
{
    static_assert(TUNING_ACCUSERS_MAX < 4, "each count has two bits");
    return a->count << 4 | accusation_count(a, ACCUSATION_REFUSED) << 2 |
           accusation_count(a, ACCUSATION_LOSSY);
}

/* Who still says so little of the dead, when the rumour is over, has missed the verdict: alone it
 * would accuse and acquit it for ever. */
static void tell_verdict(struct gossip *g, const struct member *m, const struct accusation *a,
                         struct member *from)
{
    struct message known = {.kind = MESSAGE_ACCUSE};
    bool same = a->epoch == m->head->epoch && a->inc == m->head->inc;
    bool fresh = g->now_ms < m->since_ms + tuning_spread_ms(&g->tuning, state_live(g));
    if (m->state != MEMBER_DEAD || !same || fresh || g->tells == CATALOGUE_TELLS_MAX) return;
    if (member_votes(m) == NULL) return; /* two that hold none would tell each other for ever */
    if (amount(member_votes(m)) <= amount(a)) return;
    known.accusation = *member_votes(m);
    g->tells++;
    packet_send_one(g, from, &known);
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
    if (!member_is_live(m)) {
        if (says_as_much(m, a))
            broadcast_heard(g, m, RUMOUR_ACCUSATION);
        else if (from != NULL)
            tell_verdict(g, m, a, from);
        return;
    }
    /* It has refuted, and the sender does not know yet. */
    bool older = a->epoch < m->head->epoch || (a->epoch == m->head->epoch && a->inc < m->head->inc);
    if (older && source == SUSPICION_GOSSIP && from != NULL) catalogue_tell(g, m, from);
    struct accusation now = *a;
    still_counts(g, m, &now);
    struct accusation *known = now.count > 0 ? votes(g, m) : NULL;
    if (known == NULL) return;
    bool fresh = false;
    for (uint32_t i = 0; i < now.count; i++)
        fresh = (may_say(g, m, &now.vote[i].accuser, now.vote[i].kind) &&
                 take_vote(g, known, &now, i, from)) ||
                fresh;
    if (fresh)
        counted(g, m, source);
    else if (says_as_much(m, &now))
        broadcast_heard(g, m, RUMOUR_ACCUSATION);
    if (known->count == 0)
        acquit(g, m);
    else if (fresh && source == SUSPICION_SYNC)
        suspicion_poke(g, m);
}

/* Of one that is alive: until nothing that was said of it, or may be, counts any more. */
static void rest(struct gossip *g, struct member *m)
{
    if (m->care == NULL) return;
    struct accusation *a = member_votes(m);
    uint64_t lone_ms = m->care->accused_ms + SUSPICION_LONE_MS + 1;
    uint64_t end_ms = refuted_end_ms(&m->care->refuted);
    if (a != NULL) still_counts(g, m, a);
    if (a != NULL && (a->count == 0 || g->now_ms >= lone_ms)) acquit(g, m);
    if (member_votes(m) != NULL && lone_ms > end_ms) end_ms = lone_ms;
    if (end_ms > g->now_ms)
        member_arm(&g->members, m, end_ms);
    else
        member_disarm(&g->members, m);
}

/* It is alive. What was measured of it stands for a while, whatever it says. */
static void believe(struct gossip *g, struct member *m)
{
    struct accusation kept = {0};
    if (member_votes(m) != NULL) kept = *member_votes(m);
    for (uint32_t i = kept.count; i-- > 0;)
        if (kept.vote[i].kind != ACCUSATION_LOSSY) kept.vote[i] = kept.vote[--kept.count];
    still_counts(g, m, &kept);
    transition_to(g, m, MEMBER_ALIVE);
    struct accusation *a = kept.count > 0 ? member_accuse(&g->members, m) : NULL;
    if (a != NULL)
        *a = kept;
    else
        acquit(g, m);
    rest(g, m);
}

void suspicion_refuted(struct gossip *g, struct member *m, const struct head *before)
{
    struct member_care *c = member_care(&g->members, m);
    bool same_life = m->head->epoch == before->epoch;
    if (c != NULL && !same_life) c->refuted = (struct refuted){0};
    if (c != NULL && same_life) refuted_note(&c->refuted, before->inc, g->now_ms);
    if (!same_life || !m->lossy) {
        believe(g, m);
        return;
    }
    struct accusation *a = member_votes(m);
    if (a == NULL) return;
    still_counts(g, m, a);
    if (a->count == 0)
        acquit(g, m);
    else
        digest_accuse(&g->digest, m, g->now_ms);
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

/* Whether who does not know it by now may have missed it, and needs it. */
static bool is_reminder(const struct gossip *g, const struct member_care *c, uint32_t spread)
{
    bool late = g->now_ms > c->accused_ms + DIGEST_ACCUSED_MS;
    return !late && g->now_ms >= c->printed_ms + spread;
}

void suspicion_remind(struct gossip *g, struct member *to)
{
    struct digest *d = &g->digest;
    uint32_t spread = tuning_spread_ms(&g->tuning, state_live(g));
    struct packet p;
    const struct list *first_told = NULL;
    /* What it lacks may still be on its way. Where there is always something on its way, few are
     * told now and then of what is older. */
    bool busy = g->now_ms < d->accused_ms + spread;
    uint32_t gap = busy ? SUSPICION_REMIND_BUSY_MS : SUSPICION_REMIND_MS;
    if (g->now_ms < d->reminded_ms + gap) return;
    packet_begin(g, &p, to);
    LIST_EACH(link, next, &d->accused_list)
    {
        const struct member_care *c = LIST_ENTRY(link, struct member_care, accused_link);
        const struct member *m = c->member;
        struct message msg = {.kind = MESSAGE_ACCUSE, .accusation = *c->accusation};
        if (link == first_told) break; /* all round: who was told goes to the end */
        if (m == to || !is_reminder(g, c, spread)) continue;
        if (!packet_add(&p, &msg)) break;
        p.rumours++;
        if (first_told == NULL) first_told = link;
        list_remove(link);
        list_push_back(&d->accused_list, link);
        if (p.rumours == SUSPICION_REMINDERS_MAX) break;
    }
    if (p.rumours == 0) return;
    d->reminded_ms = g->now_ms;
    g->counters.rumours_sent += p.rumours;
    (void)packet_send_plain(g, &p, PACKET_RUMOUR, &to->head->addr);
}

/* Only our own voice is against it. */
static bool lone_vote(const struct gossip *g, const struct member *m)
{
    const struct accusation *a = member_votes(m);
    return m->state == MEMBER_SUSPECT && a != NULL && accusation_count_now(a) <= 1 &&
           accusation_count(a, ACCUSATION_LOSSY) <= 1 && we_voted(g, m);
}

void suspicion_reached(struct gossip *g, const struct member *from, const struct message *said)
{
    struct member *m = member_find(&g->members, &said->target);
    if (m == NULL || m->head->epoch != said->epoch || m->head->inc != said->inc) return;
    /* Only watchers are asked, so whoever else says so was not. */
    bool asked = watchers_plausible(&said->target, &from->head->owner, state_live(g));
    if (!asked || !lone_vote(g, m)) return;
    m->not_from_here = true;
    believe(g, m);
}

void suspicion_answered(struct gossip *g, struct member *m)
{
    m->not_from_here = false;
    if (lone_vote(g, m)) believe(g, m);
}

/* The suspect's time is over. Too few agree: it may be that only we do not reach it. */
static void over(struct gossip *g, struct member *m)
{
    if (unreachable_proven(g, m)) {
        transition_to(g, m, MEMBER_UNREACHABLE);
        return;
    }
    /* Nobody else can agree about a member that only our own store speaks of: others forgot it. Who
     * vouched for it may have given it up since, and is asked anew. */
    if (m->restored && !m->vouched && g->sync.compared && we_voted(g, m)) {
        transition_to(g, m, MEMBER_DEAD);
        return;
    }
    m->vouched = false;
    m->not_from_here = we_voted(g, m);
    believe(g, m);
}

static void reap(struct gossip *g, struct member *m)
{
    uint64_t at = m->since_ms + g->tuning.reap_ms;
    if (g->now_ms < at)
        member_arm(&g->members, m, at);
    else
        transition_forget(g, m);
}

/* Before the hold is over the accused is told once more, straight: it may have refuted long ago,
 * and we are one of the few whom that rumour missed. Every node does so: where nothing is lost, one
 * call of each is enough. */
static bool last_call(struct gossip *g, struct member *m)
{
    uint32_t wait = SUSPICION_LAST_CALL_MS;
    if (m->last_calls == SUSPICION_LAST_CALLS) return false;
    m->last_calls++;
    suspicion_poke(g, m);
    if (tuning_pings(g->lost) == TUNING_PINGS_MIN) {
        wait *= 1u + SUSPICION_LAST_CALLS - m->last_calls;
        m->last_calls = SUSPICION_LAST_CALLS;
    }
    member_arm(&g->members, m, g->now_ms + wait);
    return true;
}

void suspicion_timer(struct gossip *g, struct member *m)
{
    switch ((enum member_state)m->state) {
    case MEMBER_SUSPECT:
        over(g, m);
        break;
    case MEMBER_UNREACHABLE:
        if (last_call(g, m)) break;
        transition_to(g, m, m->lossy ? MEMBER_ALIVE : MEMBER_DEAD);
        break;
    case MEMBER_DEAD:
        digest_accuse(&g->digest, m, g->now_ms);
        reap(g, m);
        break;
    case MEMBER_LEFT:
    case MEMBER_BANNED:
        reap(g, m);
        break;
    case MEMBER_ALIVE:
        rest(g, m);
        break;
    case MEMBER_STATES:
        break;
    }
}

void suspicion_amnesty(struct gossip *g, uint64_t late_ms)
{
    for (size_t i = 0; i < g->members.count; i++) {
        const struct member *seen = member_peek(&g->members, i);
        if (seen->state != MEMBER_SUSPECT && seen->state != MEMBER_UNREACHABLE) continue;
        if (!member_timer_armed(seen)) continue;
        struct member *m = member_at(&g->members, i);
        m->care->accused_ms += late_ms;
        member_arm(&g->members, m, m->care->timer.node.key + late_ms);
    }
}
