#include "gossip/gossip.h"

#include "gossip/change.h"
#include "gossip/packet.h"
#include "gossip/persist.h"
#include "gossip/policy_store.h"
#include "gossip/receive.h"
#include "gossip/self.h"
#include "gossip/state.h"
#include "gossip/suspicion.h"
#include "gossip/transition.h"

#include <stdlib.h>

#define TIMERS_A_STEP       256u /* so that no event holds up the loop */
#define STREAM_ONLY_PROBES  2u
#define RANDOM_TRIES        8u
#define PINGS_LOST_AT_FIRST 0.1 /* until we know better */

static enum err init_table(struct gossip *g, const struct gossip_options *o)
{
    struct hash_key key;
    struct archive *archive = o->archive;
    rng_seed(&g->rng, o->seed);
    rng_bytes(&g->rng, key.byte, sizeof(key.byte));
    enum err err = archive != NULL ? ERR_OK : archive_new(&key, &archive);
    if (err != ERR_OK) return err;
    member_table_init(&g->members, archive, &g->timers);
    if (o->archive == NULL) archive_unref(archive); /* the table has its own reference */
    return ERR_OK;
}

static void init_parts(struct gossip *g, const struct gossip_options *o)
{
    heap_init(&g->timers, MEMBERS_MAX + STATE_TIMERS);
    digest_init(&g->digest, &o->mesh);
    probe_table_init(&g->probes);
    stream_table_init(&g->streams);
    broadcast_init(&g->broadcast, rng_below(&g->rng, g->tuning.gossip_ms));
    bucket_init(&g->pay, TUNING_RATE_BYTES, TUNING_BURST_BYTES, 0);
    sync_init(g);
    ask_init(&g->asks);
    coordinate_init(&g->space);
    policy_init(g);
    g->persist_timer.kind = TIMER_PERSIST;
}

enum err gossip_new(const struct gossip_options *o, struct gossip **out)
{
    struct gossip *g = calloc(1, sizeof(*g));
    if (g == NULL) return ERR_NOMEM;
    *g = (struct gossip){.magic = STATE_MAGIC,
                         .mesh = o->mesh,
                         .crypto = o->crypto != NULL ? o->crypto : crypto_ops_real(),
                         .key = o->key,
                         .ring = o->ring,
                         .datagram_bytes = o->datagram_bytes,
                         .tuning = tuning_lan(o->period_ms),
                         .wall_ms = o->wall_ms != 0 ? o->wall_ms : (int64_t)o->epoch,
                         .lost = PINGS_LOST_AT_FIRST,
                         .persist_due = true,
                         .storeless = o->storeless};
    memcpy(g->issuer_pk, o->issuer_pk, sizeof(g->issuer_pk));
    enum err err = init_table(g, o);
    if (err != ERR_OK) {
        free(g);
        return err;
    }
    init_parts(g, o);
    err = ERR_INVALID;
    if (o->period_ms > 0 && o->datagram_bytes >= DATAGRAM_BYTES_MAX &&
        o->datagram_bytes <= PACKET_BYTES_MAX)
        err = heap_reserve(&g->timers, STATE_TIMERS);
    if (err == ERR_OK) err = pairing_init(g);
    keyring_init(g, o->key_hold_ms);
    if (err == ERR_OK) err = self_init(g, o);
    if (err != ERR_OK) {
        gossip_free(g);
        return err;
    }
    transition_enter(g, g->self.member, MEMBER_ALIVE);
    if (o->persisted.len > 0) {
        g->persist_due = !persist_restore(g, o->persisted);
        digest_settle(&g->digest, 0, 0); /* old news */
        g->counters.dropped_malformed += g->persist_due;
    }
    if (o->policy.len > 0 && !policy_store_restore(g, o->policy)) g->counters.dropped_malformed++;
    digest_settle(&g->digest, 0, 0);
    *out = g;
    return ERR_OK;
}

void gossip_free(struct gossip *g)
{
    if (g == NULL) return;
    CHECK_OBJ(g, STATE_MAGIC);
    heap_fini(&g->timers); /* while what is on it is there */
    self_fini(g);
    policy_fini(g);
    pairing_fini(g);
    stream_table_fini(&g->streams);
    probe_table_fini(&g->probes);
    pull_fini(&g->pulls);
    digest_fini(&g->digest);
    change_fini(&g->changes);
    grave_fini(&g->graves);
    member_table_fini(&g->members);
    g->magic = MAGIC_POISON;
    free(g);
}

static void start(struct gossip *g)
{
    g->started = true;
    g->sync.safety_ms += g->now_ms;
    g->sync.looked_ms = g->now_ms;
    probe_start(g);
    state_timer(g, &g->sync.timer, g->now_ms + rng_below(&g->rng, SYNC_LOOK_MS / 10));
    if (state_live(g) > 1) sync_soon(g); /* what was restored is old */
    if (!g->storeless) state_timer(g, &g->persist_timer, g->now_ms + PERSIST_FIRST_MS);
    policy_arm(g, g->now_ms); /* trials go on */
    broadcast_record(g, g->self.member, BROADCAST_MEMBERSHIP, true, true);
}

/* gossip.md 3.2 item 5: time that we were stopped is nobody's silence. */
static void forgive_pause(struct gossip *g)
{
    if (g->deadline_ms == 0 || g->now_ms <= g->deadline_ms + g->tuning.pause_ms) return;
    g->counters.pauses++;
    probe_void(g);
    suspicion_amnesty(g, g->now_ms - g->deadline_ms);
    awareness_paused(&g->awareness, g->now_ms, g->tuning.period_ms);
}

static void run_timer(struct gossip *g, struct timer *t)
{
    switch (t->kind) {
    case TIMER_PROBE_PERIOD:
        probe_period(g);
        break;
    case TIMER_PROBE_SLOT:
        probe_timer(g, CONTAINER_OF(t, struct probe, timer));
        break;
    case TIMER_GOSSIP:
        broadcast_round(g);
        break;
    case TIMER_MEMBER:
        suspicion_timer(g, CONTAINER_OF(t, struct member_care, timer)->member);
        break;
    case TIMER_STREAM:
        sync_stream_timer(g, CONTAINER_OF(t, struct stream, timer));
        break;
    case TIMER_SYNC:
        sync_look(g);
        break;
    case TIMER_PUBLISH:
        self_timer(g);
        break;
    case TIMER_PERSIST:
        persist_timer(g);
        self_place(g);
        break;
    case TIMER_ASK:
        ask_timer(g, CONTAINER_OF(t, struct ask, timer));
        break;
    case TIMER_EAGER:
        broadcast_eager(g);
        break;
    case TIMER_POLICY:
        policy_timer(g);
        break;
    }
}

/* False: more are due. */
static bool run_timers(struct gossip *g)
{
    for (uint32_t i = 0; i < TIMERS_A_STEP; i++) {
        struct heap_node *first = heap_min(&g->timers);
        if (first == NULL || first->key > g->now_ms) return true;
        (void)heap_pop(&g->timers);
        run_timer(g, CONTAINER_OF(first, struct timer, node));
    }
    return false;
}

static enum err remove_member(struct gossip *g, const struct node_id *id)
{
    struct member *m = member_find(&g->members, id);
    if (m == NULL) return ERR_NOT_FOUND;
    if (m->self || member_is_live(m)) return ERR_BUSY;
    transition_forget(g, m);
    return ERR_OK;
}

static enum err dispatch(struct gossip *g, const struct gossip_event *e)
{
    switch (e->kind) {
    case GOSSIP_DATAGRAM:
        receive_datagram(g, e->data, &e->from);
        return ERR_OK;
    case GOSSIP_STREAM_OPENED:
        sync_opened(g, e);
        return ERR_OK;
    case GOSSIP_STREAM_DATA:
        sync_data(g, e);
        return ERR_OK;
    case GOSSIP_STREAM_CLOSED:
        sync_closed(g, e);
        return ERR_OK;
    case GOSSIP_TICK:
        return ERR_OK;
    case GOSSIP_JOIN:
        for (size_t i = 0; i < e->addr_count; i++)
            sync_seed(g, &e->addr[i]);
        return ERR_OK;
    case GOSSIP_LEAVE:
        self_leave(g);
        return ERR_OK;
    case GOSSIP_UPSERT:
        return self_upsert(g, e->data);
    case GOSSIP_REMOVE:
        return remove_member(g, &e->node);
    case GOSSIP_ADMISSION:
        return self_admission(g, e->data);
    case GOSSIP_INTENT:
        return policy_intent(g, e);
    case GOSSIP_POLICY_VERDICT:
        rollout_verdict(g, e);
        return ERR_OK;
    case GOSSIP_POLICY_APPLIED:
        rollout_answer(g, e);
        return ERR_OK;
    case GOSSIP_PING:
        return ask_start(g, e);
    case GOSSIP_HINT:
        for (size_t i = 0; i < e->addr_count; i++)
            probe_hint(g, &e->addr[i]);
        return ERR_OK;
    case GOSSIP_EVIDENCE:
        for (size_t i = 0; i < e->addr_count; i++)
            probe_evidence(g, &e->addr[i]);
        return ERR_OK;
    }
    return ERR_INVALID;
}

enum err gossip_step(struct gossip *g, const struct gossip_event *e, struct gossip_effects *fx)
{
    CHECK_OBJ(g, STATE_MAGIC);
    event_effects_reset(fx);
    g->fx = fx;
    if (e->now_ms > g->now_ms) g->now_ms = e->now_ms;
    uint64_t now_us = e->now_us > 0 ? e->now_us : e->now_ms * 1000;
    if (now_us > g->now_us) g->now_us = now_us;
    g->wall_ms = e->wall_ms;
    g->tells = 0;
    if (!g->started) start(g);
    forgive_pause(g);
    if (digest_waits(&g->digest))
        digest_settle(&g->digest, g->now_ms, 2 * tuning_spread_ms(&g->tuning, state_live(g)));
    enum err err = dispatch(g, e);
    sync_ride(g);
    policy_settle(g);
    bool timers_done = e->more || run_timers(g);
    policy_settle(g);
    bool changes_done = policy_flush(g);
    changes_done = change_flush(g) && changes_done;
    const struct heap_node *first = heap_min(&g->timers);
    member_sweep(&g->members);
    g->deadline_ms = changes_done && first != NULL ? first->key : g->now_ms;
    g->fx = NULL;
    if (err == ERR_OK && !(timers_done && changes_done)) err = ERR_FULL;
    return err;
}

uint64_t gossip_next_deadline_ms(const struct gossip *g)
{
    CHECK_OBJ(g, STATE_MAGIC);
    return g->deadline_ms;
}

static struct member *random_member(struct gossip *g, const struct member *except, bool lossy_too)
{
    const struct member_table *t = &g->members;
    size_t at = 0;
    for (size_t i = 0; i < RANDOM_TRIES + t->count; i++) {
        at = i < RANDOM_TRIES ? (size_t)rng_below(&g->rng, t->count) : (at + 1) % t->count;
        const struct member *m = member_peek(t, at);
        if (m->self || (m->state > MEMBER_SUSPECT && !(lossy_too && m->lossy))) continue;
        if (except == NULL || m->index != except->index) return member_at(t, at);
    }
    return NULL;
}

struct member *gossip_random_member(struct gossip *g, const struct member *except)
{
    return random_member(g, except, false);
}

struct member *gossip_random_listener(struct gossip *g)
{
    return random_member(g, NULL, true);
}

uint32_t gossip_estimate_us(const struct gossip *g, const struct member *m)
{
    struct coordinate peer;
    struct status status;
    if (m->contact != NULL && m->contact->placed)
        coordinate_decode(m->contact->place, &peer);
    else if (status_decode(member_status(m), &status) == ERR_OK && status.placed)
        coordinate_decode(status.place, &peer);
    else
        return 0;
    return coordinate_estimate_us(&g->space, &peer);
}

static uint32_t loss_permille(const struct member *m)
{
    const struct member_contact *c = m->contact;
    uint32_t lost = 0;
    if (c == NULL || c->probe_count == 0) return 0;
    for (uint32_t bits = c->probes; bits != 0; bits &= bits - 1)
        lost++;
    return lost * 1000 / c->probe_count;
}

static void describe(const struct gossip *g, const struct member *m, struct gossip_member *out)
{
    *out = (struct gossip_member){
        .id = m->head->owner,
        .name = *member_name(m),
        .addr = m->head->addr,
        .state = m->self && g->self.leaving ? MEMBER_LEFT : (enum member_state)m->state,
        .epoch = m->head->epoch,
        .incarnation = m->head->inc,
        .version = m->body_version,
        .since_ms = m->since_ms,
        .estimate_us = m->self ? 0 : gossip_estimate_us(g, m),
        .rtt_us = member_rtt(m)->srtt_us,
        .loss_permille = loss_permille(m),
        .self = m->self,
        .not_from_here = m->not_from_here,
        .lossy = m->lossy,
        .stream_only = m->contact != NULL && m->contact->by_stream >= STREAM_ONLY_PROBES,
    };
    if (m->admission == NULL) return;
    out->roles = m->admission->roles;
    out->not_after_s = m->admission->not_after_s;
    memcpy(out->spki_sha256, m->admission->spki_sha256, sizeof(out->spki_sha256));
}

bool gossip_member_next(const struct gossip *g, size_t *pos, struct gossip_member *out)
{
    CHECK_OBJ(g, STATE_MAGIC);
    if (*pos >= g->members.count) return false;
    describe(g, member_peek(&g->members, (*pos)++), out);
    return true;
}

enum err gossip_member_get(const struct gossip *g, const struct node_id *id,
                           struct gossip_member *out)
{
    CHECK_OBJ(g, STATE_MAGIC);
    const struct member *m = member_find(&g->members, id);
    if (m == NULL) return ERR_NOT_FOUND;
    describe(g, m, out);
    return ERR_OK;
}

bool gossip_asked_next(const struct gossip *g, size_t *pos, struct addr *addr, uint64_t *since_ms)
{
    CHECK_OBJ(g, STATE_MAGIC);
    const struct probe *p = probe_asking(&g->probes, pos);
    if (p == NULL) return false;
    *addr = p->target->head->addr;
    *since_ms = p->started_us / 1000;
    return true;
}

struct span gossip_member_body(const struct gossip *g, const struct node_id *id)
{
    CHECK_OBJ(g, STATE_MAGIC);
    const struct member *m = member_find(&g->members, id);
    return m != NULL ? member_announced(m) : span_of(NULL, 0);
}

struct span gossip_member_admission(const struct gossip *g, const struct node_id *id)
{
    CHECK_OBJ(g, STATE_MAGIC);
    const struct member *m = member_find(&g->members, id);
    return m != NULL ? member_admission(m) : span_of(NULL, 0);
}

uint64_t gossip_view_hash(const struct gossip *g)
{
    CHECK_OBJ(g, STATE_MAGIC);
    return digest_root(&g->digest);
}

void gossip_agreement(const struct gossip *g, uint32_t *agreeing, uint32_t *alive)
{
    CHECK_OBJ(g, STATE_MAGIC);
    uint64_t ours = digest_root(&g->digest);
    *agreeing = *alive = 0;
    for (size_t i = 0; i < g->members.count; i++) {
        const struct member *m = member_peek(&g->members, i);
        if (!member_is_live(m)) continue;
        (*alive)++;
        bool heard = m->contact != NULL && m->contact->heard_ms != 0;
        *agreeing += m->self || (heard && digest_same_records(m->contact->summary, ours));
    }
}

bool gossip_synced(const struct gossip *g)
{
    CHECK_OBJ(g, STATE_MAGIC);
    return sync_is_synced(g);
}

const struct gossip_counters *gossip_counters(const struct gossip *g)
{
    CHECK_OBJ(g, STATE_MAGIC);
    return &g->counters;
}

bool gossip_messages_next(const struct gossip *g, size_t *pos, struct gossip_messages *out)
{
    CHECK_OBJ(g, STATE_MAGIC);
    if (*pos >= MESSAGE_KINDS) return false;
    *out = g->told[*pos];
    out->kind = message_word((enum message_kind) * pos);
    ++*pos;
    return true;
}

const char *gossip_state_word(enum member_state s)
{
    static const char *const word[MEMBER_STATES] = {"alive", "suspect", "unreachable",
                                                    "dead",  "left",    "banned"};
    return (unsigned)s < MEMBER_STATES ? word[s] : "unknown";
}
