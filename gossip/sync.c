#include "gossip/sync.h"

#include "gossip/catalogue.h"
#include "gossip/change.h"
#include "gossip/hail.h"
#include "gossip/pull.h"
#include "gossip/reconcile.h"
#include "gossip/self.h"
#include "gossip/state.h"
#include "gossip/suspicion.h"

#define PULL_WAIT_MS     100u /* for a free stream */
#define MUCH_NEW         16u  /* records of one session; and */
#define MUCH_NEW_SHARE   64u  /* of so many live members one */
#define CONTACTS_TO_SYNC 2u
#define SEND_PACE_MS     10u
#define LIVE_MAX_HOLD_MS 3600000u

void sync_init(struct gossip *g)
{
    struct sync *y = &g->sync;
    *y = (struct sync){.timer.kind = TIMER_SYNC};
    bucket_init(&y->bytes, SYNC_RATE_BYTES, SYNC_BURST_BYTES, 0);
    y->safety_ms = rng_below(&g->rng, g->tuning.safety_sync_ms);
}

void sync_look_by(struct gossip *g, uint64_t at_ms)
{
    struct timer *t = &g->sync.timer;
    if (!timer_armed(t) || t->node.key > at_ms) state_timer(g, t, at_ms);
}

/* Room for an address; where there is none, in place of the one that was dialled in vain for
 * longest. NULL: each is new or lives. */
static struct sync_seed *seed_place(struct sync *y)
{
    struct sync_seed *place = NULL;
    uint32_t backoff_ms = SYNC_BACKOFF_MIN_MS;
    if (y->seed_count < SYNC_SEEDS_MAX) return &y->seed[y->seed_count++];
    for (size_t i = 0; i < y->seed_count; i++) {
        if (y->seed[i].backoff_ms <= backoff_ms) continue;
        place = &y->seed[i];
        backoff_ms = place->backoff_ms;
    }
    return place;
}

void sync_seed(struct gossip *g, const struct addr *addr)
{
    struct sync *y = &g->sync;
    struct sync_seed *seed = NULL;
    uint64_t due_ms = g->now_ms;
    if (addr_eq(addr, &g->self.member->head->addr)) return;
    for (size_t i = 0; i < y->seed_count && seed == NULL; i++)
        if (addr_eq(&y->seed[i].addr, addr)) seed = &y->seed[i];
    /* Who waits already does not go to the end of the queue. */
    if (seed != NULL && seed->due_ms < due_ms) due_ms = seed->due_ms;
    if (seed == NULL) seed = seed_place(y);
    if (seed == NULL) {
        g->counters.dropped_quota++;
        return;
    }
    *seed = (struct sync_seed){.addr = *addr, .due_ms = due_ms, .backoff_ms = SYNC_BACKOFF_MIN_MS};
    sync_look_by(g, g->now_ms);
}

/* The session to come next is due no later than so soon; nobody else's timer is in step with it. */
static void plan(struct gossip *g, uint32_t within_ms)
{
    struct sync *y = &g->sync;
    uint64_t at = g->now_ms + within_ms / 2 + rng_below(&g->rng, within_ms / 2 + 1);
    if (y->next_ms == 0 || at < y->next_ms) y->next_ms = at;
    sync_look_by(g, y->next_ms);
}

void sync_soon(struct gossip *g)
{
    g->sync.pace_ms = SYNC_PACE_MIN_MS;
    plan(g, 2 * SYNC_PACE_MIN_MS);
}

static size_t find_agreed(const struct sync *y, const struct member *m)
{
    size_t i = 0;
    while (i < y->agreed && !head_is(m->head, y->agreed_id[i]))
        i++;
    return i;
}

void sync_vouched(struct gossip *g, const uint8_t *differing)
{
    g->sync.compared = true;
    const struct member_table *t = &g->members;
    for (size_t i = member_next_own(t, 0); i < t->count; i = member_next_own(t, i + 1)) {
        const struct member *m = member_peek(t, i);
        if (differing != NULL && digest_marked(differing, m->head->owner.byte[0])) continue;
        if (!m->vouched && member_is_live(m)) member_at(t, i)->vouched = true;
    }
}

void sync_agree(struct gossip *g, const struct member *m)
{
    struct sync *y = &g->sync;
    if (!y->synced) sync_vouched(g, NULL);
    uint32_t others = state_live(g) - 1;
    if (y->synced || find_agreed(y, m) < y->agreed) return;
    head_short_id(m->head, y->agreed_id[y->agreed++]);
    if (y->agreed < SYNC_AGREE && y->agreed < others) return;
    y->synced = true;
    if (y->pace_ms > SYNC_PACE_MIN_MS) y->next_ms = 0;
}

/* Another session is not for who had the last one, while someone else differs too: it may have
 * nothing to tell, and say so all the time. */
static void disagree(struct sync *y, const struct member *m)
{
    size_t at = find_agreed(y, m);
    if (!y->synced && at < y->agreed)
        memcpy(y->agreed_id[at], y->agreed_id[--y->agreed], NODE_ID_SHORT_BYTES);
    if (y->mismatches == 0 || !head_is(m->head, y->tried_id))
        head_short_id(m->head, y->mismatch_id);
    y->mismatches++;
}

/* One member that says it again and again takes nothing back of what another says. */
static void settle_doubts(struct sync *y, const struct member *m)
{
    if (head_is(m->head, y->match_id) && !head_is(m->head, y->mismatch_id)) return;
    head_short_id(m->head, y->match_id);
    y->mismatches = 0;
    y->backoff_ms = 0;
}

bool sync_is_synced(const struct gossip *g)
{
    const struct sync *y = &g->sync;
    /* The first of a mesh has nobody to ask; who knows of others has. */
    bool alone = g->members.count == 1 && y->seed_count == 0;
    return y->synced || alone;
}

void sync_on_summary(struct gossip *g, struct member *from, uint64_t summary)
{
    struct sync *y = &g->sync;
    uint64_t ours = digest_summary(&g->digest);
    struct member_contact *c = member_contact(&g->members, from);
    if (c != NULL) c->summary = summary;
    if (!digest_same_accused(ours, summary)) suspicion_remind(g, from);
    if (digest_same_records(ours, summary)) {
        settle_doubts(y, from);
        /* Before our own record counts, all that equal digests say is that both are new. */
        if (g->self.member->digest_print != 0) sync_agree(g, from);
        return;
    }
    disagree(y, from);
    if (y->mismatches >= CONTACTS_TO_SYNC && g->now_ms >= y->backoff_until_ms)
        sync_look_by(g, g->now_ms);
}

void sync_suspect(struct gossip *g, const struct member *from)
{
    struct sync *y = &g->sync;
    head_short_id(from->head, y->mismatch_id);
    y->mismatches = CONTACTS_TO_SYNC;
    if (g->now_ms >= y->backoff_until_ms) sync_look_by(g, g->now_ms);
}

static uint32_t count_sessions(const struct gossip *g, bool inbound)
{
    uint32_t n = 0;
    for (size_t i = 0; i < g->streams.made && g->streams.used > 0; i++) {
        const struct stream *s = g->streams.slot[i];
        if (!s->used || s->inbound != inbound) continue;
        n += inbound ? s->session.active : s->purpose != STREAM_PROBE && s->purpose != STREAM_ASK;
    }
    return n;
}

static bool start_session(struct gossip *g, struct member *m, const struct addr *addr)
{
    /* The dead are silent for as long as a dial may take; others need not wait for them. */
    uint32_t limit =
        m != NULL && m->state == MEMBER_DEAD ? SYNC_OUTBOUND_MAX / 2 : SYNC_OUTBOUND_MAX;
    if (count_sessions(g, false) >= limit) return false;
    if (stream_dial(g, m, addr, m != NULL ? STREAM_SYNC : STREAM_JOIN) == NULL) return false;
    if (m != NULL && m->state == MEMBER_DEAD) hail_send(g, m);
    g->counters.syncs_started++;
    return true;
}

static bool address_lives(const struct gossip *g, const struct addr *addr)
{
    for (size_t i = 0; i < g->members.count; i++) {
        const struct member *m = member_peek(&g->members, i);
        if (!m->self && member_is_live(m) && addr_eq(&m->head->addr, addr)) return true;
    }
    return false;
}

/* Of those that are due the one that failed the least, then the one that waits for longest. */
static struct sync_seed *next_seed(struct gossip *g)
{
    struct sync *y = &g->sync;
    struct sync_seed *best = NULL;
    for (size_t i = 0; i < y->seed_count; i++) {
        struct sync_seed *seed = &y->seed[i];
        if (seed->due_ms > g->now_ms) continue;
        if (best == NULL || seed->backoff_ms < best->backoff_ms ||
            (seed->backoff_ms == best->backoff_ms && seed->due_ms < best->due_ms))
            best = seed;
    }
    return best;
}

static void look_at_seeds(struct gossip *g)
{
    struct sync_seed *seed;
    while ((seed = next_seed(g)) != NULL) {
        if (address_lives(g, &seed->addr)) {
            seed->backoff_ms = SYNC_BACKOFF_MIN_MS;
            seed->due_ms =
                g->now_ms + SYNC_SEED_RETRY_MS / 2 + rng_below(&g->rng, SYNC_SEED_RETRY_MS);
            continue;
        }
        if (!start_session(g, NULL, &seed->addr)) return;
        seed->due_ms = g->now_ms + seed->backoff_ms + rng_below(&g->rng, seed->backoff_ms);
        if (seed->backoff_ms < SYNC_SEED_RETRY_MS) seed->backoff_ms *= 2;
    }
}

/* gossip.md 3.5: now and then a dead member is tried; often, when so many are dead that it is
 * rather we who were cut off. */
static void look_at_dead(struct gossip *g)
{
    struct sync *y = &g->sync;
    if (g->now_ms < y->dead_look_ms) return;
    y->dead_look_ms = g->now_ms + SYNC_LOOK_MS / 2;
    uint32_t live = state_live(g), dead = g->members.dead;
    if (live > y->live_max || dead == 0 || g->now_ms >= y->live_max_ms + LIVE_MAX_HOLD_MS) {
        y->live_max = live;
        y->live_max_ms = g->now_ms;
    }
    if (dead == 0) return;
    double chance = (double)dead / (double)live / 10.0;
    if (chance > 0.5 || live * 2 <= y->live_max) chance = 0.5;
    if (rng_unit(&g->rng) >= chance) return;
    uint64_t pick = rng_below(&g->rng, dead);
    for (size_t i = 0; i < g->members.count; i++) {
        if (member_peek(&g->members, i)->state == MEMBER_DEAD && pick-- == 0) {
            (void)start_session(g, member_at(&g->members, i), NULL);
            return;
        }
    }
}

/* Doubles while sessions bring nothing new. */
static void back_off(struct gossip *g)
{
    struct sync *y = &g->sync;
    uint32_t twice = y->backoff_ms * 2;
    if (twice < SYNC_BACKOFF_MIN_MS) twice = SYNC_BACKOFF_MIN_MS;
    y->backoff_ms = twice < SYNC_BACKOFF_MAX_MS ? twice : SYNC_BACKOFF_MAX_MS;
    y->backoff_until_ms = g->now_ms + y->backoff_ms + rng_below(&g->rng, y->backoff_ms);
}

static void look_at_digest(struct gossip *g)
{
    struct sync *y = &g->sync;
    if (y->next_ms != 0 && g->now_ms >= y->next_ms) {
        struct member *m = gossip_random_member(g, g->self.member);
        y->next_ms = 0;
        if (m != NULL && start_session(g, m, NULL)) plan(g, 2 * SYNC_STALL_MS);
        return;
    }
    if (y->mismatches >= CONTACTS_TO_SYNC && g->now_ms >= y->backoff_until_ms) {
        struct member *m = member_find_short(&g->members, y->mismatch_id);
        y->mismatches = 0;
        if (m == NULL || m->self || !start_session(g, m, NULL)) return;
        memcpy(y->tried_id, y->mismatch_id, NODE_ID_SHORT_BYTES);
        back_off(g);
        return;
    }
    if (g->now_ms < y->safety_ms) return;
    y->safety_ms =
        g->now_ms + g->tuning.safety_sync_ms / 2 + rng_below(&g->rng, g->tuning.safety_sync_ms);
    struct member *m = gossip_random_member(g, g->self.member);
    if (m != NULL) (void)start_session(g, m, NULL);
}

void sync_ride(struct gossip *g)
{
    if (g->now_ms >= g->sync.looked_ms + SYNC_LOOK_MS - SYNC_LOOK_MS / 8) sync_look(g);
}

void sync_look(struct gossip *g)
{
    struct sync *y = &g->sync;
    y->looked_ms = g->now_ms;
    /* Most often a step that comes for something else is used before: see sync_ride. */
    state_timer(g, &y->timer, g->now_ms + SYNC_LOOK_MS + SYNC_LOOK_MS / 2);
    if (g->self.leaving) return;
    keyring_look(g);
    look_at_seeds(g);
    look_at_dead(g);
    look_at_digest(g);
    if (y->next_ms != 0) sync_look_by(g, y->next_ms);
    uint32_t busy = count_sessions(g, false);
    if (busy < SYNC_OUTBOUND_MAX) pull_look(g, SYNC_OUTBOUND_MAX - busy);
    uint64_t due = pull_due_ms(g), wait = g->now_ms + PULL_WAIT_MS;
    if (due != UINT64_MAX) sync_look_by(g, due > wait ? due : wait);
}

/* Whether so many records make it likely that there are more. */
static bool much_new(const struct gossip *g, const struct stream *s)
{
    return s->session.news >= MUCH_NEW && s->session.news * MUCH_NEW_SHARE >= state_live(g);
}

void sync_over(struct gossip *g, const struct stream *s)
{
    struct sync *y = &g->sync;
    bool ours = s->purpose == STREAM_JOIN || s->purpose == STREAM_SYNC;
    if (much_new(g, s)) {
        sync_soon(g);
        return;
    }
    if (!ours) return;
    if (y->synced) {
        y->next_ms = 0;
        return;
    }
    y->pace_ms = 2 * y->pace_ms;
    if (y->pace_ms < SYNC_PACE_MIN_MS) y->pace_ms = SYNC_PACE_MIN_MS;
    if (y->pace_ms > SYNC_PACE_MAX_MS) y->pace_ms = SYNC_PACE_MAX_MS;
    y->next_ms = 0;
    if (state_live(g) > 1) plan(g, 2 * y->pace_ms);
}

static void finish(struct gossip *g, struct stream *s, enum reconcile_result result)
{
    switch (result) {
    case RECONCILE_GOES_ON:
        /* Any message sets the idle limit; what is left to send must not wait for that. */
        if (reconcile_sending(s) && s->timer.node.key > g->now_ms + SEND_PACE_MS)
            state_timer(g, &s->timer, g->now_ms + SEND_PACE_MS);
        return;
    case RECONCILE_FINISHED:
        if (s->inbound) return;
        stream_close(g, s);
        return;
    case RECONCILE_BROKEN:
        g->counters.dropped_malformed++;
        stream_close(g, s);
        return;
    case RECONCILE_CLOSED:
        return;
    }
}

void sync_opened(struct gossip *g, const struct gossip_event *e)
{
    struct stream *s = stream_opened(g, e);
    struct sync_message probe = {.kind = SYNC_PROBE};
    if (s == NULL) return;
    switch (s->purpose) {
    case STREAM_PROBE:
        probe.seq = s->probe_seq;
        (void)stream_send(g, s, &probe);
        break;
    case STREAM_ASK:
        ask_on_opened(g, s);
        break;
    case STREAM_JOIN:
    case STREAM_SYNC:
        if (policy_news_send_heads(g, s)) finish(g, s, reconcile_begin(g, s));
        break;
    case STREAM_PULL:
        finish(g, s, reconcile_send_wants(g, s));
        break;
    case STREAM_KEY:
        (void)keyring_opened(g, s);
        break;
    case STREAM_POLICY:
        policy_news_opened(g, s);
        break;
    case STREAM_INBOUND:
        break;
    }
}

static enum reconcile_result send_busy(struct gossip *g, struct stream *s)
{
    struct sync_message m = {.kind = SYNC_BUSY};
    for (uint32_t i = 0; i < SYNC_ALTERNATES_MAX; i++) {
        const struct member *other = gossip_random_member(g, s->peer);
        if (other != NULL) m.alternate[m.alternate_count++] = other->head->addr;
    }
    g->counters.syncs_refused++;
    return stream_send(g, s, &m) ? RECONCILE_GOES_ON : RECONCILE_CLOSED;
}

/* One who knows the mesh only compares and can wait; a newcomer cannot. Who has just been heard of
 * is a newcomer. */
static bool admit_session(struct gossip *g, struct stream *s)
{
    bool newcomer = g->now_ms - s->peer->since_ms < STREAM_IDLE_MS;
    uint32_t limit = newcomer ? SYNC_JOINS_MAX : SYNC_SESSIONS_MAX;
    if (count_sessions(g, true) >= limit) return false;
    s->session.active = true;
    return true;
}

static bool bad_addr(const struct gossip *g, const struct addr *a)
{
    if (addr_is_forbidden(a) || addr_is_any(a) || a->port == 0) return true;
    return addr_is_loopback(a) && !addr_is_loopback(&g->self.member->head->addr);
}

static void on_busy(struct gossip *g, struct stream *s, const struct sync_message *m)
{
    if (!s->inbound && s->purpose == STREAM_JOIN)
        for (uint32_t i = 0; i < m->alternate_count; i++)
            if (!bad_addr(g, &m->alternate[i])) sync_seed(g, &m->alternate[i]);
    stream_close(g, s);
}

static void on_hello(struct gossip *g, struct stream *s, const struct sync_message *m)
{
    if (!stream_bind(g, s, &m->offer)) return;
    struct sync_message accused = {.kind = SYNC_ACCUSED};
    if (suspicion_charge(g, s->peer, &accused.accusation)) (void)stream_send(g, s, &accused);
}

/* It refuted, we did, or it knew only older news: our present record, once more. */
static void on_accused(struct gossip *g, struct stream *s, const struct sync_message *m)
{
    suspicion_accused(g, &m->accusation, NULL);
    struct sync_message hello = {.kind = SYNC_HELLO};
    catalogue_offer(g->self.member, false, false, &hello.offer);
    (void)stream_send(g, s, &hello);
}

static void on_pong(struct gossip *g, struct stream *s, uint32_t seq, int64_t wall_ms)
{
    if (s->purpose == STREAM_ASK && seq == s->probe_seq) {
        ask_on_pong(g, s, wall_ms);
        return;
    }
    if (s->purpose != STREAM_PROBE || seq != s->probe_seq) return;
    stream_close(g, s);
    probe_on_stream(g, seq, false);
}

static void on_vector(struct gossip *g, struct stream *s, struct sync_message *m)
{
    if (s->inbound && !s->session.active && !admit_session(g, s))
        finish(g, s, send_busy(g, s));
    else if (!s->inbound || policy_news_send_heads(g, s))
        finish(g, s, reconcile_message(g, s, m));
}

static void on_message(struct gossip *g, struct stream *s, struct sync_message *m)
{
    struct sync_message pong = {.kind = SYNC_PONG, .seq = m->seq, .wall_ms = g->wall_ms};
    switch (m->kind) {
    case SYNC_HELLO:
        on_hello(g, s, m);
        return;
    case SYNC_PROBE:
        (void)stream_send(g, s, &pong);
        return;
    case SYNC_PONG:
        on_pong(g, s, m->seq, m->wall_ms);
        return;
    case SYNC_BUSY:
        on_busy(g, s, m);
        return;
    case SYNC_CONFLICT:
        change_conflict_said(g, &s->peer_name);
        stream_close(g, s);
        return;
    case SYNC_ACCUSED:
        on_accused(g, s, m);
        return;
    case SYNC_KEY_WANT:
        if (!keyring_wanted(g, s, m)) stream_close(g, s);
        return;
    case SYNC_KEY:
        if (!keyring_brought(g, s, m)) stream_close(g, s);
        return;
    case SYNC_UNKNOWN: /* of a newer version */
    case SYNC_KINDS:
        return;
    case SYNC_VECTOR:
        on_vector(g, s, m);
        return;
    case SYNC_POLICY_HEADS:
    case SYNC_POLICY_ASK:
    case SYNC_POLICY_HAVE:
        policy_news_message(g, s, m);
        return;
    case SYNC_LIST:
    case SYNC_WANT:
    case SYNC_RECORDS:
    case SYNC_DONE:
        finish(g, s, reconcile_message(g, s, m));
        return;
    }
}

void sync_data(struct gossip *g, const struct gossip_event *e)
{
    struct stream *s = stream_find(&g->streams, e->stream);
    struct sync_message m;
    if (s == NULL || !s->opened) return;
    stream_touch(g, s);
    if (e->data.len > GOSSIP_STREAM_MESSAGE_BYTES_MAX || sync_message_read(e->data, &m) != ERR_OK) {
        g->counters.dropped_malformed++;
        stream_close(g, s);
        return;
    }
    /* Until a HELLO has bound it, nothing else counts; a CONFLICT says why none comes. */
    if (!s->bound && m.kind != SYNC_HELLO && m.kind != SYNC_CONFLICT) {
        g->counters.dropped_auth++;
        stream_close(g, s);
        return;
    }
    on_message(g, s, &m);
}

void sync_closed(struct gossip *g, const struct gossip_event *e)
{
    struct stream *s = stream_find(&g->streams, e->stream);
    if (s == NULL) return;
    bool refused = s->purpose == STREAM_PROBE && e->err == ERR_REFUSED;
    bool asked = s->purpose == STREAM_ASK;
    uint32_t seq = s->probe_seq;
    stream_drop(g, s);
    if (asked) ask_on_closed(g, e->stream, e->err);
    if (refused) probe_on_stream(g, seq, true);
}

void sync_stream_timer(struct gossip *g, struct stream *s)
{
    bool over = g->now_ms >= s->started_ms + STREAM_LIFE_MS;
    if (s->opened && !over && reconcile_sending(s))
        finish(g, s, reconcile_pump(g, s));
    else
        stream_close(g, s);
}
