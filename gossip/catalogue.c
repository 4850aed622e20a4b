#include "gossip/catalogue.h"

#include "gossip/change.h"
#include "gossip/packet.h"
#include "gossip/self.h"
#include "gossip/state.h"
#include "gossip/status.h"
#include "gossip/suspicion.h"
#include "gossip/transition.h"

#define NEWS_GAP_MS (1000u / SELF_NEWS_RATE)
#define NEWS_SPARE  6u /* a certificate, a farewell, and what was held up on the way */
#define NEWS_SAVED  (SELF_NEWS_BURST + NEWS_SPARE)

enum body_news { BODY_NONE, BODY_RECORD, BODY_STATUS, BODY_POLICY };

static bool ration(struct gossip *g, struct member *from, uint32_t a_second)
{
    if (from == NULL) return true;
    struct member_contact *c = member_contact(&g->members, from);
    if (c != NULL && g->now_ms - c->verify_window_ms >= 1000) {
        c->verify_window_ms = g->now_ms;
        c->verify_count = 0;
    }
    if (c != NULL && c->verify_count++ < a_second) return true;
    g->counters.dropped_quota++;
    return false;
}

bool catalogue_may_verify(struct gossip *g, struct member *from)
{
    return ration(g, from, STATE_VERIFIES_A_SEC);
}

bool catalogue_may_take(struct gossip *g, struct member *from, enum catalogue_source source)
{
    switch (source) {
    case CATALOGUE_GOSSIP:
        return ration(g, from, STATE_VERIFIES_A_SEC);
    case CATALOGUE_SYNC:
        return ration(g, from, STATE_RECORDS_A_SEC);
    case CATALOGUE_HELLO:    /* one a stream */
    case CATALOGUE_JOINING:  /* of who we asked for all it has, at the pace of its stream */
    case CATALOGUE_RESTORED: /* our own */
        break;
    }
    return true;
}

/* How many it is ahead of its rate. Its clock counts gaps and goes round in four hours. */
static uint16_t news_ahead(const struct gossip *g, const struct member *m)
{
    uint16_t ahead = (uint16_t)(m->news - g->now_ms / NEWS_GAP_MS);
    return ahead <= NEWS_SAVED ? ahead : 0; /* long ago */
}

/* Who has more to say of itself than any honest member can is not passed on: every member would
 * send it to some, as often as its budget allows. Anyone may tell what another signed long ago, one
 * record after the other; what streams bring is still taken, so that the newest gets through. */
static bool has_much_news(const struct gossip *g, const struct member *m)
{
    return news_ahead(g, m) >= NEWS_SAVED;
}

static void has_news(const struct gossip *g, struct member *m)
{
    m->news = (uint16_t)(g->now_ms / NEWS_GAP_MS + news_ahead(g, m) + 1);
}

void catalogue_offer(const struct member *m, bool admission, bool body, struct offer *out)
{
    *out = (struct offer){.head = *m->head};
    if (admission && !m->admission_missing) out->admission = member_admission(m);
    if (body && !m->body_missing) out->body = member_body(m);
}

void catalogue_tell(struct gossip *g, struct member *m, struct member *to)
{
    struct packet p;
    struct message msg = {.kind = MESSAGE_RECORD};
    if (g->tells == CATALOGUE_TELLS_MAX) return;
    g->tells++;
    packet_begin(g, &p, to);
    catalogue_offer(m, false, false, &msg.offer);
    (void)packet_add(&p, &msg);
    (void)packet_send(g, &p, PACKET_PROBE);
}

static bool hash_is(const struct gossip *g, struct span bytes,
                    const uint8_t want[CRYPTO_OPS_HASH_BYTES])
{
    uint8_t hash[CRYPTO_OPS_HASH_BYTES];
    g->crypto->hash(bytes, hash);
    return memcmp(hash, want, sizeof(hash)) == 0;
}

/* gossip.md 3.1: a far future epoch is not compared with the one we know, only with the clock. */
static bool plausible(struct gossip *g, const struct head *h)
{
    int64_t limit = g->wall_ms + STATE_EPOCH_AHEAD_MS;
    if (limit < 0 || h->epoch > (uint64_t)limit) {
        g->counters.dropped_epoch++;
        return false;
    }
    /* M11: loopback only among nodes that are themselves on it. */
    bool bad = addr_is_forbidden(&h->addr) || addr_is_any(&h->addr) || h->addr.port == 0;
    if (addr_is_loopback(&h->addr) && !addr_is_loopback(&g->self.member->head->addr)) bad = true;
    if (bad) g->counters.dropped_address++;
    return !bad;
}

/* The certificate that comes with an offer, if it is the one its head names and it is good. */
static bool open_admission(struct gossip *g, const struct offer *o, struct sign_admission *out)
{
    if (!hash_is(g, o->admission, o->head.admission_hash) ||
        g->crypto->admission_open(o->admission, g->issuer_pk, &g->mesh, g->wall_ms / 1000, out) !=
            ERR_OK ||
        name_node_id_cmp(&out->node, &o->head.owner) != 0) {
        g->counters.dropped_signature++;
        return false;
    }
    return true;
}

/* A host that lost its identity has joined anew, while some stores still had the old one: the
 * issuer gives a name away a second time only when nobody lives under it. Not so of one that we
 * have heard ourselves. */
static bool outdated(const struct member *holder, int64_t claimant_not_after_s)
{
    bool heard = holder->contact != NULL && holder->contact->heard_ms != 0;
    if (holder->self || heard || holder->admission == NULL) return false;
    return claimant_not_after_s >= holder->admission->not_after_s;
}

/* False: the name is someone else's who lives. */
static bool claim_name(struct gossip *g, const struct name *name, int64_t not_after_s,
                       const struct member *m, const struct node_id *claimant)
{
    struct member *holder = member_find_name(&g->members, name);
    if (holder == NULL || holder == m) return true;
    if (member_is_live(holder) && !outdated(holder, not_after_s)) {
        change_name_taken(g, holder, claimant);
        return false;
    }
    if (member_is_live(holder)) transition_to(g, holder, MEMBER_DEAD);
    member_drop_name(&g->members, holder);
    return true;
}

static bool adopt_admission(struct gossip *g, struct member *m, struct span bytes,
                            const struct sign_admission *a)
{
    struct member_table *t = &g->members;
    member_drop_name(t, m);
    bool adopted = member_set_admission(t, m, m->head->admission_hash, bytes, a) == ERR_OK;
    /* The name, new or as before, was seen to be free. */
    bool named = m->admission != NULL && member_take_name(t, m) == ERR_OK;
    if (adopted && named) m->admission_missing = false;
    return adopted && named;
}

static bool same_policy(const struct status *a, const struct status *b)
{
    return a->policy_gen == b->policy_gen && a->state == b->state &&
           memcmp(a->policy_hash, b->policy_hash, sizeof(a->policy_hash)) == 0;
}

/* How `body` differs from the one the member has; `*says` is its status. */
static enum body_news compare(const struct member *m, struct span body, struct status *says)
{
    struct status said;
    struct span driver, part;
    if (status_open(body, &driver, &part) != ERR_OK) driver = part = span_of(NULL, 0);
    if (status_decode(part, says) != ERR_OK) *says = (struct status){0};
    if (m->body_version == 0 || !span_eq(driver, member_announced(m))) return BODY_RECORD;
    if (status_decode(member_status(m), &said) != ERR_OK) return BODY_STATUS;
    bool bad = says->state == STATUS_REJECTED || says->state == STATUS_ROLLED_BACK;
    return bad && !same_policy(&said, says) ? BODY_POLICY : BODY_STATUS;
}

/* Takes a body that the member's present head names. */
static enum body_news adopt_body(struct gossip *g, struct member *m, struct span body)
{
    struct status says;
    if (!hash_is(g, body, m->head->body_hash)) {
        g->counters.dropped_signature++;
        return BODY_NONE;
    }
    size_t before = member_body(m).len;
    if (g->bodies_bytes - before + body.len > STATE_BODIES_BYTES_MAX) {
        g->counters.dropped_quota++;
        return BODY_NONE;
    }
    enum body_news news = compare(m, body, &says);
    if (member_set_body(&g->members, m, m->head->body_hash, body) != ERR_OK) return BODY_NONE;
    g->bodies_bytes = g->bodies_bytes - before + body.len;
    m->body_missing = false;
    m->body_version = m->head->version;
    if (news == BODY_RECORD)
        change_record(g, m);
    else
        change_status(g, m);
    if (says.policy_gen != 0) rollout_heard(g, m, &says);
    return news;
}

bool catalogue_has_gap(const struct member *m)
{
    return member_is_live(m) && (m->admission_missing || m->body_missing);
}

static void ask_for_rest(struct gossip *g, struct member *m, const struct member *from)
{
    if (catalogue_has_gap(m))
        pull_lack(g, &m->head->owner, from);
    else
        pull_have(g, &m->head->owner);
}

/* The head and what belongs to it are in place: the state that follows. */
static void settle_state(struct gossip *g, struct member *m, const struct head *before)
{
    if ((m->head->flags & HEAD_LEFT) != 0)
        transition_to(g, m, MEMBER_LEFT);
    else if (m->head->epoch > before->epoch || m->head->inc > before->inc)
        suspicion_refuted(g, m, before);
    else if (m->state != MEMBER_ALIVE)
        suspicion_poke(g, m); /* it speaks, but has not yet refuted */
    if (!addr_eq(&m->head->addr, &before->addr)) change_moved(g, m);
}

static void spread(struct gossip *g, struct member *m, const struct head *before,
                   enum catalogue_source source, enum body_news news)
{
    if (source == CATALOGUE_JOINING || source == CATALOGUE_RESTORED) return;
    /* gossip.md 3.3: a long backlog of rumours is no way to bring newcomers, or what streams bring
     * anyway, to everyone: sessions do, and leave the datagrams to what is urgent. */
    bool bulk = before == NULL || source == CATALOGUE_SYNC;
    if (bulk && g->broadcast.count >= BROADCAST_BACKLOG_MAX && (m->head->flags & HEAD_LEFT) == 0) {
        sync_soon(g);
        return;
    }
    bool admission = before == NULL || memcmp(before->admission_hash, m->head->admission_hash,
                                              CRYPTO_OPS_HASH_BYTES) != 0;
    bool body =
        before == NULL || memcmp(before->body_hash, m->head->body_hash, CRYPTO_OPS_HASH_BYTES) != 0;
    enum broadcast_urgency urgency = news == BODY_POLICY ? BROADCAST_POLICY : BROADCAST_SERVICE;
    if (before == NULL || m->head->epoch > before->epoch || (m->head->flags & HEAD_LEFT) != 0)
        urgency = BROADCAST_MEMBERSHIP;
    else if (m->head->inc > before->inc)
        urgency = BROADCAST_REFUTE;
    broadcast_record(g, m, urgency, admission, body);
}

/* A part of the present head's record that was lacking came with the same head. */
static void fill_gaps(struct gossip *g, struct member *m, const struct offer *o)
{
    struct sign_admission a;
    if (m->admission_missing && o->admission.p != NULL && open_admission(g, o, &a) &&
        claim_name(g, &a.name, a.not_after_s, m, &m->head->owner))
        (void)adopt_admission(g, m, o->admission, &a);
    if (m->body_missing && o->body.p != NULL) (void)adopt_body(g, m, o->body);
    if (!m->admission_missing && !m->body_missing) pull_have(g, &m->head->owner);
}

static enum catalogue_verdict take_stranger(struct gossip *g, const struct offer *o,
                                            struct member *from, enum catalogue_source source)
{
    struct sign_admission a;
    struct member *m;
    if ((o->head.flags & HEAD_LEFT) != 0) return CATALOGUE_STALE; /* nothing to forget */
    if (o->admission.p == NULL) {
        pull_lack(g, &o->head.owner, from);
        return CATALOGUE_LACKING;
    }
    if (grave_bars(&g->graves, &o->head.owner, o->head.epoch)) {
        g->counters.records_stale++;
        return CATALOGUE_STALE;
    }
    if (!catalogue_may_take(g, from, source) || !open_admission(g, o, &a)) return CATALOGUE_REFUSED;
    if (!head_verify(g->crypto, a.public_key, &o->head)) {
        g->counters.dropped_signature++;
        return CATALOGUE_REFUSED;
    }
    if (!claim_name(g, &a.name, a.not_after_s, NULL, &o->head.owner)) return CATALOGUE_CONFLICT;
    enum err err = member_add(&g->members, &o->head, &m);
    if (err != ERR_OK) {
        g->counters.dropped_quota++;
        return CATALOGUE_REFUSED;
    }
    m->admission_missing = m->body_missing = true;
    transition_enter(g, m, MEMBER_ALIVE);
    if (!adopt_admission(g, m, o->admission, &a)) {
        transition_to(g, m, MEMBER_DEAD);
        transition_forget(g, m);
        return CATALOGUE_REFUSED;
    }
    if (o->body.p != NULL) (void)adopt_body(g, m, o->body);
    ask_for_rest(g, m, from);
    spread(g, m, NULL, source, BODY_RECORD);
    return CATALOGUE_NEW;
}

/* A newer epoch from elsewhere while the member is well: a clone, or a restart at another address
 * that we have not yet noticed. The old address is asked; until it is silent, it holds the
 * identity. */
static bool usurps(const struct member *m, const struct head *h)
{
    if (h->epoch == m->head->epoch || m->state != MEMBER_ALIVE) return false;
    return !addr_eq(&h->addr, &m->head->addr);
}

static enum catalogue_verdict defend(struct gossip *g, struct member *m, const struct head *h)
{
    /* Asked already, and it is there. */
    if (change_conflict_recent(g, m)) return CATALOGUE_CONFLICT;
    probe_clone(g, m, h);
    return CATALOGUE_REFUSED;
}

static enum catalogue_verdict take_newer(struct gossip *g, struct member *m, const struct offer *o,
                                         struct member *from, enum catalogue_source source)
{
    struct head before = *m->head;
    struct sign_admission a;
    bool left = m->state == MEMBER_LEFT && o->head.epoch == before.epoch;
    if (left && (o->head.flags & HEAD_LEFT) == 0) return CATALOGUE_STALE;
    if (m->state == MEMBER_BANNED) return CATALOGUE_REFUSED;
    bool much = has_much_news(g, m);
    if (much && source == CATALOGUE_GOSSIP) {
        g->counters.dropped_quota++;
        return CATALOGUE_REFUSED;
    }
    if (!catalogue_may_take(g, from, source)) return CATALOGUE_REFUSED;
    if (!head_verify(g->crypto, m->admission->public_key, &o->head)) {
        g->counters.dropped_signature++;
        return CATALOGUE_REFUSED;
    }
    if (usurps(m, &o->head)) return defend(g, m, &o->head);
    if (!claim_name(g, member_name(m), m->admission->not_after_s, m, &m->head->owner))
        return CATALOGUE_CONFLICT;
    bool admission =
        memcmp(before.admission_hash, o->head.admission_hash, CRYPTO_OPS_HASH_BYTES) != 0;
    bool body = memcmp(before.body_hash, o->head.body_hash, CRYPTO_OPS_HASH_BYTES) != 0;
    if (admission && o->admission.p != NULL && !open_admission(g, o, &a)) return CATALOGUE_REFUSED;
    /* While it was dead another may have used its name. */
    if (member_find_name(&g->members, member_name(m)) != m &&
        member_take_name(&g->members, m) != ERR_OK)
        return CATALOGUE_REFUSED;
    if (member_set_head(&g->members, m, &o->head) != ERR_OK) return CATALOGUE_REFUSED;
    if (!much) has_news(g, m);
    g->persist_due = true;
    if (admission) {
        m->admission_missing = true;
        if (o->admission.p != NULL && claim_name(g, &a.name, a.not_after_s, m, &m->head->owner))
            (void)adopt_admission(g, m, o->admission, &a);
    }
    if (body) m->body_missing = true;
    enum body_news news = BODY_NONE;
    if (m->body_missing && o->body.p != NULL) news = adopt_body(g, m, o->body);
    settle_state(g, m, &before);
    digest_note(&g->digest, m, g->now_ms);
    ask_for_rest(g, m, from);
    if (!much) spread(g, m, &before, source, news);
    return CATALOGUE_NEW;
}

/* Our own identity, in someone's mouth. Newer than what we said, and signed with our key: another
 * process has our key. It is told, not fought: two that outbid each other would flip the routes of
 * everyone. */
static enum catalogue_verdict take_self(struct gossip *g, const struct offer *o)
{
    struct member *self = g->self.member;
    int order = head_cmp(&o->head, self->head);
    if (order == 0) return CATALOGUE_SAME;
    if (order < 0) return CATALOGUE_STALE;
    if (!catalogue_may_verify(g, self)) return CATALOGUE_REFUSED;
    if (!head_verify(g->crypto, self->admission->public_key, &o->head)) {
        g->counters.dropped_signature++;
        return CATALOGUE_REFUSED;
    }
    change_conflict(g, self);
    return CATALOGUE_CONFLICT;
}

enum catalogue_verdict catalogue_take(struct gossip *g, const struct offer *o, struct member *from,
                                      enum catalogue_source source)
{
    enum catalogue_verdict verdict;
    struct member *m = member_find_short(&g->members, o->head.owner.byte);
    if (m != NULL && m->self) return take_self(g, o);
    if (m != NULL && name_node_id_cmp(&m->head->owner, &o->head.owner) != 0) {
        g->counters.dropped_quota++;
        return CATALOGUE_REFUSED;
    }
    int order = m == NULL ? 1 : head_cmp(&o->head, m->head);
    if (order < 0) {
        g->counters.records_stale++;
        return CATALOGUE_STALE;
    }
    if (order == 0) {
        if (m->admission_missing || m->body_missing) fill_gaps(g, m, o);
        if (source == CATALOGUE_GOSSIP) broadcast_heard(g, m, RUMOUR_RECORD);
        return CATALOGUE_SAME;
    }
    if (!plausible(g, &o->head)) return CATALOGUE_REFUSED;
    verdict = m == NULL ? take_stranger(g, o, from, source) : take_newer(g, m, o, from, source);
    if (verdict == CATALOGUE_NEW) g->counters.records_accepted++;
    return verdict;
}
