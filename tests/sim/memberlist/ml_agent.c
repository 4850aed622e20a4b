#include "tests/sim/memberlist/ml_agent.h"

#include "core/base/check.h"
#include "tests/sim/memberlist/ml_probe.h"
#include "tests/sim/memberlist/ml_state.h"
#include "tests/sim/memberlist/ml_stream.h"
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

#define SCORE_MAX      7
#define SUSPICIONS_MAX 16384u
#define GOSSIP_NODES   3u
#define CHANGES_FIRST  16u

enum err ml_agent_new(const struct world *w, uint32_t self, uint64_t seed, bool settled,
                      struct ml_agent **out)
{
    struct ml_agent *a = calloc(1, sizeof(*a));
    if (a == NULL) return ERR_NOMEM;
    a->self = self;
    a->nodes = w->options.nodes;
    a->world = w;
    rng_seed(&a->rng, seed);
    a->seq_next = 1;
    heap_init(&a->suspicions, SUSPICIONS_MAX);
    ml_queue_init(&a->queue);
    if (ml_roster_init(&a->roster, a->nodes) != ERR_OK) {
        ml_agent_free(a);
        return ERR_NOMEM;
    }
    if (settled) {
        ml_roster_fill(&a->roster, &a->rng);
    } else {
        ml_roster_list(&a->roster, &a->rng, self);
        ml_roster_set(&a->roster, self, ML_ALIVE, 0);
        a->roster.entry[self].inc = 1;
    }
    *out = a;
    return ERR_OK;
}

void ml_agent_free(struct ml_agent *a)
{
    if (a == NULL) return;
    heap_fini(&a->suspicions);
    for (uint32_t i = 0; i < a->slots; i++)
        free(a->slot[i]);
    free(a->slot);
    free(a->change);
    ml_queue_fini(&a->queue);
    ml_roster_fini(&a->roster);
    free(a);
}

void ml_agent_score(struct ml_agent *a, int delta)
{
    int score = (int)a->score + delta;
    if (score < 0) score = 0;
    a->score = (uint32_t)(score > SCORE_MAX ? SCORE_MAX : score);
}

static enum member_state told_as(enum ml_status s)
{
    if (s == ML_ALIVE) return MEMBER_ALIVE;
    if (s == ML_SUSPECT) return MEMBER_SUSPECT;
    return s == ML_LEFT ? MEMBER_LEFT : MEMBER_DEAD;
}

void ml_agent_changed(struct ml_agent *a, uint32_t target, enum ml_status from, enum ml_status to)
{
    if (from == ML_UNKNOWN) return;
    if (a->changes == a->changes_cap) {
        a->changes_cap = a->changes_cap > 0 ? a->changes_cap * 2 : CHANGES_FIRST;
        a->change = realloc(a->change, a->changes_cap * sizeof(a->change[0]));
        CHECK(a->change != NULL);
    }
    a->change[a->changes++] =
        (struct ml_change){.target = target, .from = told_as(from), .to = told_as(to)};
}

static bool report(struct ml_agent *a)
{
    while (a->changes_told < a->changes) {
        const struct ml_change *c = &a->change[a->changes_told];
        struct gossip_effect *e = event_push(a->fx, GOSSIP_MEMBER_CHANGED);
        if (e == NULL) return false;
        e->node = a->world->node[c->target].persona.id;
        e->old_state = c->from;
        e->new_state = c->to;
        a->changes_told++;
    }
    a->changes = a->changes_told = 0;
    return true;
}

void ml_agent_broadcast(struct ml_agent *a, const struct ml_rumour *r)
{
    CHECK(ml_queue_put(&a->queue, r) == ERR_OK);
    a->counters.rumours_queued++;
}

static void post(struct ml_agent *a, uint32_t to, const struct ml_letter *l,
                 const struct ml_rumour *r, uint32_t bytes)
{
    size_t len = sizeof(*l) + l->rumours * sizeof(*r);
    char *data = arena_alloc(&a->fx->arena, len);
    struct gossip_effect *e = event_push(a->fx, GOSSIP_SEND_DATAGRAM);
    CHECK(data != NULL && e != NULL);
    memcpy(data, l, sizeof(*l));
    memcpy(data + sizeof(*l), r, l->rumours * sizeof(*r));
    e->to = a->world->node[to].addr;
    e->data = span_of(data, len);
    a->counters.datagrams_sent++;
    a->counters.bytes_sent += bytes;
    a->counters.rumours_sent += l->rumours;
}

/* Only gossip and pings to suspects look up the peer, and so know that it checks sums. */
bool ml_agent_send(struct ml_agent *a, uint32_t to, const struct ml_letter *l)
{
    struct ml_rumour r[ML_WIRE_RUMOURS_MAX];
    struct ml_letter full = *l;
    bool gossip = l->kind == ML_LETTER_GOSSIP;
    uint32_t own = ml_wire_message_bytes(l->kind);
    uint32_t room = ML_WIRE_DATAGRAM_MAX - ML_WIRE_SEAL - ML_WIRE_COMPOUND - own;
    uint32_t before = room;
    full.rumours = ml_queue_take(&a->queue, a->roster.listed, &room, ML_WIRE_RUMOURS_MAX, r);
    if (gossip && full.rumours == 0) return false;
    uint32_t others = before - room;
    if (gossip && full.rumours == 1)
        others -= ML_WIRE_COMPOUND;
    else if (full.rumours > 0)
        others += ML_WIRE_COMPOUND * (gossip ? 1 : 2);
    post(a, to, &full, r, ml_wire_datagram_bytes(own, others, gossip));
    return true;
}

void ml_agent_send_suspected(struct ml_agent *a, uint32_t to, const struct ml_letter *l,
                             const struct ml_rumour *r)
{
    struct ml_letter full = *l;
    full.rumours = 1;
    uint32_t others = 3 * ML_WIRE_COMPOUND + ml_wire_rumour_bytes(r);
    post(a, to, &full, r, ml_wire_datagram_bytes(ml_wire_message_bytes(l->kind), others, true));
}

static void gossip(struct ml_agent *a)
{
    uint32_t peer[GOSSIP_NODES];
    struct ml_letter l = {.kind = ML_LETTER_GOSSIP};
    struct ml_draw draw = {.want = GOSSIP_NODES,
                           .gossip = true,
                           .self = a->self,
                           .except = a->nodes,
                           .now_ms = (uint32_t)a->now_ms};
    uint32_t peers = ml_roster_random(&a->roster, &a->rng, &draw, peer);
    for (uint32_t i = 0; i < peers && ml_agent_send(a, peer[i], &l); i++)
        ;
}

/* The ticker of 200 ms, of which only the ticks matter that find rumours. */
static uint64_t gossip_due_ms(const struct ml_agent *a)
{
    return ml_queue_is_empty(&a->queue) ? ML_NEVER_MS : a->gossip_next_ms;
}

static void gossip_align(struct ml_agent *a)
{
    uint64_t since = a->now_ms - a->gossip_phase_ms;
    a->gossip_next_ms = a->now_ms - since % ML_GOSSIP_MS + ML_GOSSIP_MS;
}

static void datagram(struct ml_agent *a, uint32_t from, struct span bytes)
{
    struct ml_letter l;
    struct ml_rumour r;
    CHECK(bytes.len >= sizeof(l));
    memcpy(&l, bytes.p, sizeof(l));
    CHECK(bytes.len == sizeof(l) + l.rumours * sizeof(r));
    a->counters.datagrams_received++;
    ml_probe_letter(a, from, &l);
    for (uint32_t i = 0; i < l.rumours; i++) {
        memcpy(&r, bytes.p + sizeof(l) + i * sizeof(r), sizeof(r));
        ml_state_take(a, &r);
    }
}

static void leave(struct ml_agent *a)
{
    struct ml_rumour r = {.status = ML_DEAD,
                          .subject = a->self,
                          .inc = a->roster.entry[a->self].inc,
                          .from = a->self};
    a->leaving = true;
    ml_state_take(a, &r);
}

static void start(struct ml_agent *a)
{
    a->gossip_phase_ms = a->now_ms - rng_below(&a->rng, ML_GOSSIP_MS);
    gossip_align(a);
    ml_probe_init(a, a->now_ms + rng_below(&a->rng, ML_PROBE_INTERVAL_MS));
    ml_stream_init(a);
}

static void handle(struct ml_agent *a, const struct gossip_event *e)
{
    if (e->kind == GOSSIP_DATAGRAM)
        datagram(a, world_by_addr(a->world, &e->from), e->data);
    else if (e->kind == GOSSIP_STREAM_OPENED || e->kind == GOSSIP_STREAM_DATA ||
             e->kind == GOSSIP_STREAM_CLOSED)
        ml_stream_event(a, e);
    else if (e->kind == GOSSIP_JOIN)
        ml_stream_join(a, world_by_addr(a->world, e->addr));
    else if (e->kind == GOSSIP_LEAVE)
        leave(a);
}

enum err ml_agent_step(struct ml_agent *a, const struct gossip_event *e, struct gossip_effects *fx)
{
    bool fresh = a->now_ms == 0;
    a->now_ms = e->now_ms;
    a->fx = fx;
    event_effects_reset(fx);
    if (fresh) start(a);
    if (ml_queue_is_empty(&a->queue)) gossip_align(a);
    handle(a, e);
    ml_state_tick(a);
    ml_probe_tick(a);
    ml_stream_tick(a);
    if (gossip_due_ms(a) <= a->now_ms) {
        gossip(a);
        gossip_align(a);
    }
    return report(a) ? ERR_OK : ERR_FULL;
}

uint64_t ml_agent_next_deadline_ms(const struct ml_agent *a)
{
    uint64_t due = ml_state_deadline_ms(a), other = ml_probe_deadline_ms(a);
    if (other < due) due = other;
    other = ml_stream_deadline_ms(a);
    if (other < due) due = other;
    other = gossip_due_ms(a);
    return other < due ? other : due;
}
