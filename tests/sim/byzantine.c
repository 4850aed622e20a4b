#include "tests/sim/byzantine.h"

#include "core/base/check.h"
#include "gossip/catalogue.h"
#include "gossip/packet.h"
#include "gossip/state.h"
#include "tests/sim/world.h"

#include <stdlib.h>

#define EVERY_US       100000u
#define FLOOD_EVERY_US 2000u
#define YEAR_MS        (UINT64_C(365) * 24 * 3600 * 1000)
#define NEAR_MS        (UINT64_C(9) * 60 * 1000) /* what a clock may be ahead, nearly */

struct old_record {
    struct head head;
    uint8_t admission[ADMISSION_BYTES_MAX];
    size_t admission_len;
};

const char *byzantine_word(enum byzantine_kind kind)
{
    static const char *const word[] = {"forge",  "replay", "accuse", "flood",
                                       "future", "stale",  "lie",    "all"};
    return (unsigned)kind < BYZANTINE_KINDS ? word[kind] : NULL;
}

bool byzantine_init(struct byzantine *b, struct world *w)
{
    *b = (struct byzantine){.world = w, .due_us = UINT64_MAX};
    rng_seed(&b->rng, w->options.seed ^ UINT64_C(0x62797a));
    b->tape = calloc(BYZANTINE_TAPES, sizeof(b->tape[0]));
    return b->tape != NULL;
}

void byzantine_fini(struct byzantine *b)
{
    free(b->tape);
    free(b->old);
    b->tape = NULL;
    b->old = NULL;
    if (b->world != NULL) b->world->byzantine = NULL;
}

/* What it knows of the others now, to tell it when it is long out of date. */
static void remember(struct byzantine *b, const struct gossip *g)
{
    free(b->old);
    b->old_count = 0;
    b->old = calloc(g->members.count, sizeof(b->old[0]));
    CHECK(b->old != NULL);
    for (size_t i = 0; i < g->members.count; i++) {
        const struct member *m = member_peek(&g->members, i);
        struct old_record *old = &b->old[b->old_count];
        if (m->self || m->admission == NULL || m->admission->len > sizeof(old->admission)) continue;
        old->head = *m->head;
        old->admission_len = m->admission->len;
        memcpy(old->admission, m->admission->bytes, m->admission->len);
        b->old_count++;
    }
}

void byzantine_begin(struct byzantine *b, uint32_t i, enum byzantine_kind kind)
{
    const struct gossip *g = b->world->node[i].gossip;
    if (b->active || g == NULL) return;
    b->active = true;
    b->node = i;
    b->kind = (unsigned)kind < BYZANTINE_KINDS ? kind : BYZANTINE_ALL;
    b->due_us = b->world->now_us;
    b->world->byzantine = b;
    remember(b, g);
}

void byzantine_end(struct byzantine *b, uint32_t i)
{
    if (!b->active || b->node != i) return;
    b->active = false;
    b->due_us = UINT64_MAX;
    b->world->byzantine = NULL;
}

uint64_t byzantine_due_us(const struct byzantine *b)
{
    return b->due_us;
}

void byzantine_see(struct byzantine *b, const struct addr *from, uint32_t to, struct span data)
{
    struct byzantine_tape *t = &b->tape[b->taped % BYZANTINE_TAPES];
    if (data.len > sizeof(t->data)) return;
    t->from = *from;
    t->to = to;
    t->len = data.len;
    memcpy(t->data, data.p, data.len);
    b->taped++;
}

static struct member *someone(struct byzantine *b, struct gossip *g)
{
    struct member *m;
    if (g->members.count < 2) return NULL;
    do
        m = member_at(&g->members, rng_below(&b->rng, g->members.count));
    while (m->self);
    return m;
}

/* One packet with one message, past the honest machine's budget. */
static void send(struct byzantine *b, struct gossip *g, struct member *to, const struct message *m)
{
    struct world *w = b->world;
    struct packet p;
    if (to == NULL) return;
    event_effects_reset(&w->fx);
    g->fx = &w->fx;
    bucket_init(&g->pay, TUNING_RATE_BYTES, TUNING_BURST_BYTES, g->now_ms);
    packet_begin(g, &p, to);
    if (packet_add(&p, m)) (void)packet_send_plain(g, &p, PACKET_PROBE, &to->head->addr);
    g->fx = NULL;
    for (size_t i = 0; i < w->fx.count; i++)
        world_send(w, b->node, &w->fx.effect[i]);
    b->sent++;
}

/* What is said against `m`, and nobody has said it yet. */
static struct accusation charge_of(const struct member *m)
{
    return (struct accusation){
        .target = m->head->owner, .epoch = m->head->epoch, .inc = m->head->inc};
}

/* A vote in the name of `accuser`, signed with the only key there is. */
static void vote(struct byzantine *b, const struct gossip *g, const struct member *accuser,
                 struct accusation *a)
{
    struct accusation_vote v;
    enum accusation_kind kind = rng_below(&b->rng, 2) == 0 ? ACCUSATION_SILENT : ACCUSATION_REFUSED;
    accusation_sign(g->crypto, g->key, &accuser->head->owner, a, kind, &v);
    (void)accusation_add(a, &v);
}

static void own_signature(const struct gossip *g, struct head *h)
{
    head_sign(g->crypto, g->key, h);
}

/* In the name of another: what only that one may say. */
static void forge(struct byzantine *b, struct gossip *g)
{
    struct member *victim = someone(b, g);
    struct message m = {.kind = MESSAGE_RECORD};
    if (victim == NULL) return;
    switch (rng_below(&b->rng, 4)) {
    case 0:
        m.offer.head = *victim->head;
        m.offer.head.inc++;
        own_signature(g, &m.offer.head);
        break;
    case 1:
        m.offer.head = *victim->head;
        m.offer.head.version++;
        m.offer.head.flags |= HEAD_LEFT; /* keeps the victim's signature */
        break;
    case 2:
        m.offer.head = *victim->head;
        m.offer.head.epoch += 1 + rng_below(&b->rng, 1000);
        m.offer.admission =
            span_of(g->self.member->admission->bytes, g->self.member->admission->len);
        own_signature(g, &m.offer.head);
        break;
    default:
        m.kind = MESSAGE_ACCUSE;
        m.accusation = charge_of(victim);
        for (uint32_t i = 0; i < TUNING_ACCUSERS_MAX; i++)
            vote(b, g, someone(b, g), &m.accusation);
    }
    send(b, g, someone(b, g), &m);
}

static void replay(struct byzantine *b)
{
    struct world *w = b->world;
    if (b->taped == 0) return;
    uint64_t have = b->taped < BYZANTINE_TAPES ? b->taped : BYZANTINE_TAPES;
    struct byzantine_tape t = b->tape[rng_below(&b->rng, have)];
    uint32_t to = t.to;
    if (rng_below(&b->rng, 2) == 0) to = (uint32_t)rng_below(&b->rng, w->options.nodes);
    world_inject(w, &t.from, to, span_of(t.data, t.len));
    b->sent++;
}

static void accuse(struct byzantine *b, struct gossip *g)
{
    const struct member *victim = someone(b, g);
    if (victim == NULL) return;
    struct message m = {.kind = rng_below(&b->rng, 2) == 0 ? MESSAGE_ACCUSE : MESSAGE_CONFIRM,
                        .accusation = charge_of(victim)};
    vote(b, g, g->self.member, &m.accusation);
    send(b, g, someone(b, g), &m);
}

static void flood(struct byzantine *b, struct gossip *g)
{
    struct member *victim = someone(b, g);
    if (victim == NULL) return;
    struct message m = {.kind = MESSAGE_PING, .seq = (uint32_t)rng_u64(&b->rng)};
    switch (rng_below(&b->rng, 3)) {
    case 0:
        break;
    case 1:
        m.kind = MESSAGE_PING_REQ;
        m.target = victim->head->owner;
        break;
    default:
        m.kind = MESSAGE_RECORD;
        m.offer.head = *g->self.member->head;
        m.offer.head.version += 1 + ++b->turn;
        own_signature(g, &m.offer.head);
    }
    send(b, g, someone(b, g), &m);
}

static void future(struct byzantine *b, struct gossip *g)
{
    struct message m = {.kind = MESSAGE_RECORD};
    bool far = rng_below(&b->rng, 2) == 0;
    m.offer.head = *g->self.member->head;
    m.offer.head.epoch = (uint64_t)g->wall_ms + (far ? YEAR_MS : NEAR_MS) + b->turn++;
    own_signature(g, &m.offer.head);
    send(b, g, someone(b, g), &m);
}

static void stale(struct byzantine *b, struct gossip *g)
{
    struct message m = {.kind = MESSAGE_RECORD};
    if (b->old_count == 0) return;
    const struct old_record *old = &b->old[rng_below(&b->rng, b->old_count)];
    m.offer.head = old->head;
    m.offer.admission = span_of(old->admission, old->admission_len);
    if (old->admission_len == 0) m.offer.admission = span_of(NULL, 0);
    send(b, g, someone(b, g), &m);
}

static void lie(struct byzantine *b, struct gossip *g)
{
    const struct member *about = someone(b, g);
    struct member *to = someone(b, g);
    if (to == NULL) return;
    struct message m = {.seq = (uint32_t)rng_u64(&b->rng)};
    switch (rng_below(&b->rng, 4)) {
    case 0:
        m.kind = MESSAGE_REACHED;
        m.target = about->head->owner;
        m.epoch = about->head->epoch;
        m.inc = about->head->inc;
        break;
    case 1:
        m.kind = MESSAGE_ACCUSED;
        m.accusation = charge_of(to);
        m.accusation.inc += (uint32_t)rng_below(&b->rng, 3);
        vote(b, g, g->self.member, &m.accusation);
        break;
    case 2:
        m.kind = MESSAGE_CONFLICT;
        break;
    default:
        m.kind = rng_below(&b->rng, 2) == 0 ? MESSAGE_ACK : MESSAGE_NACK;
    }
    send(b, g, to, &m);
}

static void act(struct byzantine *b, struct gossip *g, enum byzantine_kind kind)
{
    switch (kind) {
    case BYZANTINE_FORGE:
        forge(b, g);
        break;
    case BYZANTINE_REPLAY:
        replay(b);
        break;
    case BYZANTINE_ACCUSE:
        accuse(b, g);
        break;
    case BYZANTINE_FLOOD:
        flood(b, g);
        break;
    case BYZANTINE_FUTURE:
        future(b, g);
        break;
    case BYZANTINE_STALE:
        stale(b, g);
        break;
    case BYZANTINE_LIE:
        lie(b, g);
        break;
    case BYZANTINE_ALL:
    case BYZANTINE_KINDS:
        act(b, g, (enum byzantine_kind)rng_below(&b->rng, BYZANTINE_ALL));
        break;
    }
}

void byzantine_act(struct byzantine *b)
{
    struct world *w = b->world;
    while (b->due_us <= w->now_us) {
        struct gossip *g = w->node[b->node].gossip;
        b->due_us += b->kind == BYZANTINE_FLOOD ? FLOOD_EVERY_US : EVERY_US;
        if (g != NULL) act(b, g, b->kind);
    }
}
