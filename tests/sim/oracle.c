#include "tests/sim/oracle.h"

#include "core/base/check.h"
#include "gossip/state.h"
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SMALL_WORLD 32u
#define PAGE_VIEWS  64u

bool oracle_init(struct oracle *o, uint32_t nodes)
{
    *o = (struct oracle){.nodes = nodes};
    o->view = calloc(nodes, sizeof(o->view[0]));
    o->node = calloc(nodes, sizeof(o->node[0]));
    if (o->view != NULL && o->node != NULL && wiretap_init(&o->tap, nodes)) return true;
    oracle_fini(o);
    return false;
}

static uint32_t pages(const struct oracle *o)
{
    return (o->nodes + PAGE_VIEWS - 1) / PAGE_VIEWS;
}

static void forget(struct oracle *o, uint32_t i)
{
    for (uint32_t k = 0; o->view[i] != NULL && k < pages(o); k++)
        free(o->view[i][k]);
    free(o->view[i]);
    o->view[i] = NULL;
}

void oracle_fini(struct oracle *o)
{
    for (uint32_t i = 0; o->view != NULL && i < o->nodes; i++)
        forget(o, i);
    wiretap_fini(&o->tap);
    free(o->view);
    free(o->node);
    o->view = NULL;
    o->node = NULL;
}

bool oracle_failed(const struct oracle *o)
{
    return o->failed;
}

void oracle_fail(struct oracle *o, const char *fmt, ...)
{
    va_list ap;
    if (o->failed) return;
    o->failed = true;
    va_start(ap, fmt);
    (void)vsnprintf(o->message, sizeof(o->message), fmt, ap);
    va_end(ap);
}

/* A clone signs in the name of the same owner. */
static void signed_up_to(struct oracle_node *owner, uint64_t epoch, uint32_t inc)
{
    if (epoch < owner->epoch || (epoch == owner->epoch && inc < owner->inc)) return;
    owner->epoch = epoch;
    owner->inc = inc;
}

void oracle_start(struct oracle *o, const struct world *w, uint32_t i)
{
    struct oracle_node *owner = &o->node[w->node[i].who];
    forget(o, i);
    signed_up_to(owner, w->node[i].epoch, 0);
    wiretap_start(&o->tap, w, i);
}

/* What node i last saw of `owner`. Big worlds have more of these than memory, so only the pages are
 * there in which one has been seen. */
static struct oracle_view *view_of(struct oracle *o, uint32_t i, uint32_t owner)
{
    if (o->view[i] == NULL) o->view[i] = calloc(pages(o), sizeof(struct oracle_view *));
    CHECK(o->view[i] != NULL);
    struct oracle_view **page = &o->view[i][owner / PAGE_VIEWS];
    if (*page == NULL) *page = calloc(PAGE_VIEWS, sizeof(struct oracle_view));
    CHECK(*page != NULL);
    return &(*page)[owner % PAGE_VIEWS];
}

void oracle_liar(struct oracle *o, uint32_t i)
{
    o->node[i].liar = true;
}

/* Whether all that we hold of it was said by its owner: by keys and ids that we know, not by what
 * the machine believes. */
static void check_signed(struct oracle *o, const struct world *w, uint32_t i, uint32_t owner,
                         const struct member *m)
{
    const struct persona *p = &w->node[owner].persona;
    const uint8_t *pk = p->real != NULL ? sign_key_public(p->real) : p->fake.public_key;
    double now = (double)w->now_us / 1e6;
    if (!head_verify(persona_crypto(&w->issuer), pk, m->head))
        oracle_fail(o, "I2: at %.3f s node %u took a record that %u did not sign", now, i, owner);
    if (m->admission == NULL) return;
    if (memcmp(m->admission->public_key, pk, SIGN_PUBLIC_BYTES) != 0)
        oracle_fail(o, "I2: at %.3f s node %u holds a certificate of %u for another key", now, i,
                    owner);
    if (m->admission->not_after_s <= hostclock_wall_ms(&w->node[i].clock, w->now_us) / 1000)
        oracle_fail(o, "I2: at %.3f s node %u took a record of %u, whose certificate is over", now,
                    i, owner);
}

static void check_member(struct oracle *o, const struct world *w, uint32_t i,
                         const struct member *m)
{
    uint32_t owner = world_by_id(w, &m->head->owner);
    struct oracle_view *v = view_of(o, i, owner);
    const struct oracle_node *own = &o->node[owner];
    struct head before = {.epoch = v->epoch, .inc = v->inc, .version = v->version};
    double now = (double)w->now_us / 1e6;
    int order = v->known ? head_cmp(m->head, &before) : 1;
    if (order != 0) check_signed(o, w, i, owner, m);
    if (order < 0)
        oracle_fail(o, "I1: at %.3f s node %u went back in the record of %u", now, i, owner);
    if (!own->liar &&
        (m->head->epoch > own->epoch || (m->head->epoch == own->epoch && m->head->inc > own->inc)))
        oracle_fail(o, "I3: at %.3f s node %u holds %u at inc %u, which %u never signed", now, i,
                    owner, m->head->inc, owner);
    bool left = v->known && v->state == MEMBER_LEFT && v->epoch == m->head->epoch;
    if (left && m->state != MEMBER_LEFT)
        oracle_fail(o, "I4: at %.3f s node %u took %u from left to %s in one epoch", now, i, owner,
                    gossip_state_word(m->state));
    *v = (struct oracle_view){.epoch = m->head->epoch,
                              .version = m->head->version,
                              .inc = m->head->inc,
                              .state = (uint8_t)m->state,
                              .known = true};
}

/* How many others said so, with their own keys. */
static uint32_t voters(const struct oracle *o, const struct world *w, const struct accusation *a,
                       bool refused)
{
    uint32_t n = 0;
    for (uint32_t k = 0; a != NULL && k < a->count; k++) {
        const struct accusation_vote *v = &a->vote[k];
        uint32_t who = world_by_id(w, &v->accuser);
        bool twice = false;
        for (uint32_t before = 0; before < k; before++)
            twice = twice || name_node_id_cmp(&a->vote[before].accuser, &v->accuser) == 0;
        if (who >= o->nodes || twice || name_node_id_cmp(&v->accuser, &a->target) == 0) continue;
        const struct persona *p = &w->node[who].persona;
        const uint8_t *pk = p->real != NULL ? sign_key_public(p->real) : p->fake.public_key;
        bool counts = !refused || v->kind == ACCUSATION_REFUSED;
        n += counts && accusation_verify(persona_crypto(&w->issuer), pk, a, v);
    }
    return n;
}

/* Node i says that `m` is unreachable, or dead all at once. */
static void check_verdict(struct oracle *o, const struct world *w, uint32_t i,
                          const struct member *m, const struct gossip_effect *e)
{
    const struct gossip *g = w->node[i].gossip;
    bool at_once = e->new_state == MEMBER_DEAD && e->old_state < MEMBER_UNREACHABLE;
    if (e->old_state >= MEMBER_UNREACHABLE || (e->new_state != MEMBER_UNREACHABLE && !at_once))
        return;
    if (m->restored && !m->vouched && at_once)
        return; /* only its store speaks of it: nobody else can vote */
    uint32_t needed = tuning_accusers_needed(g->alive + 1);
    uint32_t have = voters(o, w, member_votes(m), at_once);
    if (have < needed)
        oracle_fail(o, "I5: at %.3f s node %u gave up %u on %u of %u votes",
                    (double)w->now_us / 1e6, i, world_by_id(w, &m->head->owner), have, needed);
}

void oracle_effect(struct oracle *o, const struct world *w, uint32_t i,
                   const struct gossip_effect *e)
{
    const struct gossip *g = w->node[i].gossip;
    const struct member *m;
    switch (e->kind) {
    case GOSSIP_SEND_DATAGRAM:
        wiretap_sent(o, w, i, e->data);
        break;
    case GOSSIP_STREAM_SEND:
        if (e->data.len > GOSSIP_STREAM_MESSAGE_BYTES_MAX || e->data.len == 0)
            oracle_fail(o, "I9: node %u sent a message of %zu bytes", i, e->data.len);
        break;
    case GOSSIP_MEMBER_CHANGED:
    case GOSSIP_RECORD_CHANGED:
        m = member_find(&g->members, &e->node);
        if (m != NULL) check_member(o, w, i, m);
        if (m != NULL && e->kind == GOSSIP_MEMBER_CHANGED) check_verdict(o, w, i, m, e);
        break;
    case GOSSIP_STREAM_OPEN:
    case GOSSIP_STREAM_CLOSE:
    case GOSSIP_PERSIST:
    case GOSSIP_CONFLICT:
    case GOSSIP_STATUS_CHANGED:
    case GOSSIP_POLICY_VALIDATE:
    case GOSSIP_POLICY_ACTIVATE:
    case GOSSIP_POLICY_CHANGED:
    case GOSSIP_POLICY_STORE:
    case GOSSIP_KEY_STORE:
    case GOSSIP_KEY_USE:
    case GOSSIP_KEY_DROP:
    case GOSSIP_POLICY_REFUSED:
    case GOSSIP_PONG:
        break;
    }
}

static void check_table(struct oracle *o, const struct world *w, uint32_t i)
{
    const struct gossip *g = w->node[i].gossip;
    uint32_t live = 0, rumours = 0;
    for (size_t k = 0; k < g->members.count; k++) {
        const struct member *m = member_peek(&g->members, k);
        live += member_is_live(m);
        for (size_t r = 0; m->care != NULL && r < RUMOUR_KINDS; r++)
            rumours += list_linked(&m->care->rumour[r].link);
        check_member(o, w, i, m);
        if (m->state == MEMBER_SUSPECT && !member_timer_armed(m))
            oracle_fail(o, "node %u suspects %u for ever", i, world_by_id(w, &m->head->owner));
    }
    if (live != g->members.live)
        oracle_fail(o, "node %u counts %u live members of %u", i, g->members.live, live);
    if (rumours != g->broadcast.count)
        oracle_fail(o, "I9: node %u counts %zu rumours of %u", i, g->broadcast.count, rumours);
}

void oracle_step(struct oracle *o, const struct world *w, uint32_t i)
{
    const struct gossip *g = w->node[i].gossip;
    const struct head *own = g->self.member->head;
    signed_up_to(&o->node[w->node[i].who], own->epoch, own->inc);
    if (o->nodes <= SMALL_WORLD) check_table(o, w, i);
}

/* What costs little, and is not so most of the time that it is asked. */
static bool counts_agree(const struct world *w)
{
    uint64_t root = 0;
    bool first = true;
    uint32_t up = 0;
    for (uint32_t i = 0; i < w->options.nodes; i++)
        up += world_is_up(w, i);
    for (uint32_t i = 0; i < w->options.nodes; i++) {
        if (!world_is_up(w, i)) continue;
        const struct gossip *g = w->node[i].gossip;
        if (state_live(g) != up) return false;
        uint64_t ours = gossip_view_hash(g);
        if (!first && ours != root) return false;
        root = ours;
        first = false;
    }
    return true;
}

bool oracle_is_converged(const struct world *w)
{
    if (!counts_agree(w)) return false;
    for (uint32_t i = 0; i < w->options.nodes; i++) {
        if (!world_is_up(w, i)) continue;
        const struct member_table *t = &w->node[i].gossip->members;
        for (size_t k = member_next_own(t, 0); k < t->count; k = member_next_own(t, k + 1)) {
            const struct member *m = member_peek(t, k);
            bool complete = m->state == MEMBER_ALIVE && !m->body_missing && !m->admission_missing;
            if (!complete && world_is_up(w, world_by_id(w, &m->head->owner))) return false;
        }
    }
    return true;
}
