#include "gossip/self.h"

#include "gossip/catalogue.h"
#include "gossip/change.h"
#include "gossip/state.h"
#include "gossip/transition.h"

#include <assert.h>
#include <stdlib.h>

#define PUBLISH_RATE    1u     /* a second, gossip.md 3.6 */
#define PLACE_SPREAD_MS 10000u /* nobody waits for it, and not all at once */
#define PLACE_FIRST_MS  60000u
#define PLACE_RARE_MS   3600000u
#define PUBLISH_BURST   5u
#define STATUS_RATE     2u /* a rollout takes four */
#define STATUS_BURST    8u
#define ENVELOPE_ROOM   16u

/* Publishing, refuting and what is said of policy, each with its own. */
static_assert(SELF_NEWS_RATE == 2 * PUBLISH_RATE + STATUS_RATE, "what others grant us");
static_assert(SELF_NEWS_BURST == 2 * PUBLISH_BURST + STATUS_BURST, "what others grant us");

/* Makes `next` our announcement, with the hashes of what belongs to it as it stands. */
static enum err announce(struct gossip *g, struct head *next)
{
    struct member *m = g->self.member;
    memcpy(next->admission_hash, m->admission->hash, sizeof(next->admission_hash));
    memcpy(next->body_hash, m->body->hash, sizeof(next->body_hash));
    head_sign(g->crypto, g->key, next);
    enum err err = member_set_head(&g->members, m, next);
    if (err != ERR_OK) return err;
    digest_note(&g->digest, m, g->now_ms);
    g->persist_due = true;
    return ERR_OK;
}

static enum err set_admission(struct gossip *g, struct span cert, const struct sign_admission *a)
{
    uint8_t hash[CRYPTO_OPS_HASH_BYTES];
    g->crypto->hash(cert, hash);
    return member_set_admission(&g->members, g->self.member, hash, cert, a);
}

static enum err set_body(struct gossip *g, struct span body)
{
    uint8_t hash[CRYPTO_OPS_HASH_BYTES];
    g->crypto->hash(body, hash);
    return member_set_body(&g->members, g->self.member, hash, body);
}

static bool matches(struct gossip *g, const struct sign_admission *a)
{
    /* The key and the certificate belong together if what one signs the other verifies. */
    struct head h = {.owner = a->node};
    head_sign(g->crypto, g->key, &h);
    return head_verify(g->crypto, a->public_key, &h);
}

/* The envelope of what the driver announces and our status. */
static enum err wrap(struct gossip *g, struct span announced)
{
    size_t cap = announced.len + STATUS_BYTES_MAX + ENVELOPE_ROOM, len;
    uint8_t *body = malloc(cap);
    if (body == NULL) return ERR_NOMEM;
    enum err err = status_seal(announced, &g->self.status, body, cap, &len);
    size_t before = member_body(g->self.member).len;
    if (err == ERR_OK) err = set_body(g, span_of(body, len));
    if (err == ERR_OK) g->bodies_bytes = g->bodies_bytes - before + len;
    free(body);
    return err;
}

enum err self_init(struct gossip *g, const struct gossip_options *o)
{
    struct sign_admission a;
    enum err err =
        g->crypto->admission_open(o->admission, g->issuer_pk, &g->mesh, g->wall_ms / 1000, &a);
    if (err != ERR_OK) return err;
    if (!matches(g, &a)) return ERR_INVALID;
    struct head h = {.owner = a.node, .epoch = o->epoch, .version = 1, .addr = o->addr};
    err = member_add(&g->members, &h, &g->self.member);
    if (err == ERR_OK) err = set_admission(g, o->admission, &a);
    if (err == ERR_OK) err = member_take_name(&g->members, g->self.member);
    if (err == ERR_OK) err = wrap(g, span_of("", 0));
    if (err == ERR_OK) err = announce(g, &h);
    if (err != ERR_OK) return err;
    g->self.member->self = true;
    bucket_init(&g->self.statuses, STATUS_RATE, STATUS_BURST, 0);
    bucket_init(&g->self.publish, PUBLISH_RATE, PUBLISH_BURST, 0);
    bucket_init(&g->self.refute, PUBLISH_RATE, PUBLISH_BURST, 0);
    g->self.timer.kind = TIMER_PUBLISH;
    return ERR_OK;
}

void self_fini(struct gossip *g)
{
    free(g->self.body);
    g->self.body = NULL;
}

static enum err publish(struct gossip *g, struct span announced, enum broadcast_urgency urgency)
{
    struct member *m = g->self.member;
    struct head next = *m->head;
    bool record = m->body_version == 0 || !span_eq(announced, member_announced(m));
    enum err err = wrap(g, announced);
    if (err != ERR_OK) return err;
    next.version++;
    err = announce(g, &next);
    if (err != ERR_OK) return err;
    m->body_version = m->head->version;
    if (record) change_record(g, m);
    if (g->self.status_due_ms != 0) change_status(g, m);
    g->self.status_due_ms = 0;
    broadcast_record(g, m, urgency, false, true);
    return ERR_OK;
}

static void arm(struct gossip *g)
{
    struct self_record *self = &g->self;
    uint64_t at = UINT64_MAX;
    if (self->body != NULL) at = bucket_ready_ms(&self->publish, g->now_ms, 1);
    if (self->status_due_ms != 0) {
        uint64_t ready = bucket_ready_ms(&self->statuses, g->now_ms, 1);
        if (ready < self->status_due_ms) ready = self->status_due_ms;
        if (ready < at) at = ready;
    }
    if (at != UINT64_MAX) state_timer(g, &self->timer, at > g->now_ms ? at : g->now_ms + 1);
}

enum err self_upsert(struct gossip *g, struct span body)
{
    struct member *m = g->self.member;
    if (body.len > STATUS_ENVELOPE_MAX) return ERR_TOO_LARGE;
    if (g->self.leaving) return ERR_OK;
    if (g->self.body == NULL && m->body_version != 0 && span_eq(body, member_announced(m)))
        return ERR_OK;
    if (g->self.body == NULL && bucket_take(&g->self.publish, g->now_ms, 1, 0))
        return publish(g, body, BROADCAST_SERVICE);
    char *copy = malloc(body.len > 0 ? body.len : 1);
    if (copy == NULL) return ERR_NOMEM;
    if (body.len > 0) memcpy(copy, body.p, body.len);
    free(g->self.body);
    g->self.body = copy;
    g->self.body_len = body.len;
    arm(g);
    return ERR_OK;
}

static bool publish_waiting(struct gossip *g)
{
    struct self_record *self = &g->self;
    if (self->body != NULL && bucket_take(&self->publish, g->now_ms, 1, 0)) {
        struct span body = span_of(self->body, self->body_len);
        if (publish(g, body, BROADCAST_SERVICE) != ERR_OK) return false;
        self_fini(g);
        return true;
    }
    bool due = self->status_due_ms != 0 && self->status_due_ms <= g->now_ms;
    if (!due || !bucket_take(&self->statuses, g->now_ms, 1, 0)) return true;
    bool bad = self->status.state == STATUS_REJECTED || self->status.state == STATUS_ROLLED_BACK;
    return publish(g, member_announced(self->member), bad ? BROADCAST_POLICY : BROADCAST_SERVICE) ==
           ERR_OK;
}

void self_timer(struct gossip *g)
{
    (void)publish_waiting(g); /* without memory: tried again */
    arm(g);
}

void self_status(struct gossip *g, const struct status *s, uint64_t delay_ms)
{
    struct self_record *self = &g->self;
    uint64_t due = g->now_ms + delay_ms;
    if (self->leaving) return;
    self->status = *s;
    if (self->status_due_ms == 0 || self->status_due_ms > due)
        self->status_due_ms = due > 0 ? due : 1;
    self_timer(g);
}

enum err self_admission(struct gossip *g, struct span cert)
{
    struct member *m = g->self.member;
    struct sign_admission a;
    enum err err = g->crypto->admission_open(cert, g->issuer_pk, &g->mesh, g->wall_ms / 1000, &a);
    if (err != ERR_OK) return err;
    if (name_node_id_cmp(&a.node, &m->head->owner) != 0 || !name_eq(&a.name, member_name(m)))
        return ERR_INVALID;
    err = set_admission(g, cert, &a);
    if (err != ERR_OK) return err;
    struct head next = *m->head;
    next.version++;
    err = announce(g, &next);
    if (err != ERR_OK) return err;
    broadcast_record(g, m, BROADCAST_SERVICE, true, false);
    return ERR_OK;
}

void self_refute(struct gossip *g, uint64_t epoch, uint32_t inc, struct member *from, bool several)
{
    struct member *m = g->self.member;
    if (epoch > m->head->epoch || (epoch == m->head->epoch && inc > m->head->inc)) return;
    if (epoch == m->head->epoch && inc == m->head->inc && !g->self.leaving) {
        if (!bucket_take(&g->self.refute, g->now_ms, 1, 0)) return;
        struct head next = *m->head;
        next.inc++;
        if (announce(g, &next) != ERR_OK) return;
        g->counters.refutations++;
        if (several) awareness_bad(&g->awareness);
        broadcast_record(g, m, BROADCAST_REFUTE, false, false);
    }
    if (from != NULL) catalogue_tell(g, m, from);
}

void self_leave(struct gossip *g)
{
    struct member *m = g->self.member;
    if (g->self.leaving) return;
    struct head next = *m->head;
    next.flags |= HEAD_LEFT;
    next.version++;
    if (announce(g, &next) != ERR_OK) return; /* the driver may ask again */
    g->self.leaving = true;
    broadcast_record(g, m, BROADCAST_MEMBERSHIP, false, false);
    broadcast_burst(g, TUNING_LEAVE_FANOUT);
}

void self_place(struct gossip *g)
{
    struct self_record *self = &g->self;
    struct status s = self->status;
    if (self->place_wait_ms == 0) {
        self->place_wait_ms = PLACE_FIRST_MS;
        self->place_due_ms = g->now_ms + PLACE_FIRST_MS / 2;
    }
    if (g->now_ms < self->place_due_ms || !coordinate_moved(&g->space.own, &self->placed)) return;
    if (self->place_wait_ms < PLACE_RARE_MS) self->place_wait_ms *= 2;
    self->place_due_ms = g->now_ms + self->place_wait_ms;
    self->placed = g->space.own;
    s.placed = true;
    coordinate_encode(&g->space.own, s.place);
    self_status(g, &s, rng_below(&g->rng, PLACE_SPREAD_MS));
}
