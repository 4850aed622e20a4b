#include "gossip/ballot.h"

#include "gossip/catalogue.h"
#include "gossip/packet.h"
#include "gossip/rollout_vote.h"
#include "gossip/state.h"

#define DOMAIN     "parley-ballot-2"
#define TEXT_BYTES (MESH_ID_BYTES + NODE_ID_BYTES + 8u + MANIFEST_HASH_BYTES + 1u)
#define HASH_AT    8u
#define STATE_AT   (HASH_AT + STATUS_HASH_BYTES)
#define SIG_AT     (STATE_AT + 1u)

uint32_t ballot_rank(enum status_state state)
{
    switch (state) {
    case STATUS_VALID:
        return 1;
    case STATUS_APPLIED:
        return 2;
    case STATUS_REJECTED:
    case STATUS_ROLLED_BACK:
        return 3;
    case STATUS_NONE:
    case STATUS_WAITING:
    case STATUS_STOPPED:
    case STATUS_REVERTED:
    case STATUS_STATES:
        break;
    }
    return 0;
}

static void text_of(const struct gossip *g, const struct member *m, uint8_t state,
                    uint8_t out[TEXT_BYTES])
{
    const struct manifest_ref *target = &g->policy.rollout.target;
    uint8_t *at = out + MESH_ID_BYTES;
    memcpy(out, g->mesh.byte, MESH_ID_BYTES);
    memcpy(at, m->head->owner.byte, NODE_ID_BYTES);
    head_put_u64(at + NODE_ID_BYTES, target->gen);
    memcpy(at + NODE_ID_BYTES + 8, target->hash.byte, MANIFEST_HASH_BYTES);
    out[TEXT_BYTES - 1] = state;
}

static struct rollout_voter *voter(struct rollout *r, const uint8_t id[NODE_ID_SHORT_BYTES])
{
    for (uint32_t i = 0; i < r->voter_count; i++)
        if (memcmp(r->voter_of[i].id, id, sizeof(r->voter_of[i].id)) == 0) return &r->voter_of[i];
    return NULL;
}

static void tell(struct gossip *g, struct rollout_voter *v, uint8_t state, const uint8_t *signature)
{
    v->cast = state;
    v->telling = true;
    v->sends = v->duplicates = 0;
    memcpy(v->signature, signature, SIGN_BYTES);
    g->counters.rumours_queued++;
    broadcast_hurry(g);
}

/* The first wave waits for every ballot, and by rumour alone the last of fifty comes late. It may
 * not have heard of the generation yet either. */
static void tell_first_wave(struct gossip *g)
{
    const struct rollout *r = &g->policy.rollout;
    unsigned told = 0;
    for (uint32_t i = 0; i < r->voter_count && told < TUNING_FANOUT; i++) {
        struct member *m = member_find_short(&g->members, r->voter_of[i].id);
        struct packet p;
        if (r->voter_of[i].wave != 0 || m == NULL || m->self) continue;
        told++;
        packet_begin(g, &p, m);
        policy_news_fill(g, &p, false);
        if (!ballot_add_own(g, &p)) {
            if (p.rumours > 0) (void)packet_send(g, &p, PACKET_RUMOUR);
            packet_begin(g, &p, m);
            if (!ballot_add_own(g, &p)) return;
        }
        (void)packet_send(g, &p, PACKET_RUMOUR);
    }
}

void ballot_cast(struct gossip *g, enum status_state state)
{
    struct rollout *r = &g->policy.rollout;
    const struct member *self = g->self.member;
    struct rollout_voter *v = voter(r, self->head->owner.byte);
    uint8_t text[TEXT_BYTES], signature[SIGN_BYTES];
    if (v == NULL || g->fx == NULL) return; /* NULL: restoring; the first step says it */
    if (ballot_rank(state) <= ballot_rank((enum status_state)v->cast)) return;
    text_of(g, self, (uint8_t)state, text);
    g->crypto->sign(g->key, DOMAIN, span_of(text, sizeof(text)), signature);
    tell(g, v, (uint8_t)state, signature);
    if (state == STATUS_VALID) tell_first_wave(g);
}

static bool is_genuine(struct gossip *g, const struct member *m, uint8_t state,
                       const uint8_t *signature)
{
    uint8_t text[TEXT_BYTES];
    text_of(g, m, state, text);
    return m->admission != NULL && g->crypto->verify(m->admission->public_key, DOMAIN,
                                                     span_of(text, sizeof(text)), signature);
}

void ballot_receive(struct gossip *g, const uint8_t wire[BALLOT_BYTES], struct member *from)
{
    struct rollout *r = &g->policy.rollout;
    const struct member *m = member_find_short(&g->members, wire);
    uint8_t state = wire[STATE_AT];
    uint32_t rank = state < STATUS_STATES ? ballot_rank((enum status_state)state) : 0;
    if (r->target.gen == 0 || memcmp(wire + HASH_AT, r->target.hash.byte, STATUS_HASH_BYTES) != 0)
        return; /* of another generation: not yet, or no longer, our concern */
    if (m == NULL || m->self || m->state >= MEMBER_LEFT || rank == 0) return;
    struct rollout_voter *v = voter(r, wire);
    if (v != NULL && rank <= ballot_rank((enum status_state)v->cast)) {
        if (state != v->cast) return;
        if (v->duplicates < UINT8_MAX) v->duplicates++;
        if (policy_news_enough(v->sends, v->duplicates, UINT32_MAX)) v->telling = false;
        return;
    }
    if (!catalogue_may_verify(g, from)) return;
    if (!is_genuine(g, m, state, wire + SIG_AT)) {
        g->counters.dropped_signature++;
        return;
    }
    if (v != NULL) tell(g, v, state, wire + SIG_AT);
    rollout_cast(g, m, (enum status_state)state);
}

static bool add(struct gossip *g, struct packet *p, const struct rollout_voter *v)
{
    const struct rollout *r = &g->policy.rollout;
    struct message m = {.kind = MESSAGE_BALLOT};
    memcpy(m.ballot, v->id, sizeof(v->id));
    memcpy(m.ballot + HASH_AT, r->target.hash.byte, STATUS_HASH_BYTES);
    m.ballot[STATE_AT] = v->cast;
    memcpy(m.ballot + SIG_AT, v->signature, SIGN_BYTES);
    return packet_add(p, &m);
}

bool ballot_add_own(struct gossip *g, struct packet *p)
{
    const struct rollout_voter *v = voter(&g->policy.rollout, g->self.member->head->owner.byte);
    return v != NULL && v->cast != STATUS_NONE && add(g, p, v);
}

uint32_t ballot_count(const struct gossip *g)
{
    const struct rollout *r = &g->policy.rollout;
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->voter_count; i++)
        n += r->voter_of[i].telling;
    return n;
}

static bool is_fresh(const struct rollout_voter *v)
{
    return v->telling && v->sends < TUNING_FANOUT;
}

bool ballot_fresh(const struct gossip *g)
{
    const struct rollout *r = &g->policy.rollout;
    for (uint32_t i = 0; i < r->voter_count; i++)
        if (is_fresh(&r->voter_of[i])) return true;
    return false;
}

void ballot_fill(struct gossip *g, struct packet *p, bool fresh)
{
    struct rollout *r = &g->policy.rollout;
    uint32_t limit = tuning_retransmits(state_live(g));
    uint32_t first = r->next_told;
    for (uint32_t n = 0; n < r->voter_count; n++) {
        uint32_t at = (first + n) % r->voter_count;
        struct rollout_voter *v = &r->voter_of[at];
        bool knows = head_is(p->to->head, v->id);
        if (!v->telling || knows || (fresh && !is_fresh(v))) continue;
        if (!add(g, p, v)) {
            r->next_told = at; /* goes first next time */
            return;
        }
        p->rumours++;
        g->counters.rumours_sent++;
        v->telling = !policy_news_enough(++v->sends, v->duplicates, limit);
    }
}

void ballot_drop(struct gossip *g)
{
    struct rollout *r = &g->policy.rollout;
    for (uint32_t i = 0; i < r->voter_count; i++)
        r->voter_of[i].telling = false;
}
