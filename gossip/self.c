#include "gossip/self.h"

#include "gossip/catalogue.h"
#include "gossip/change.h"
#include "gossip/state.h"
#include "gossip/transition.h"

#include <stdlib.h>

#define PUBLISH_RATE  1u /* a second, gossip.md 3.6 */
#define PUBLISH_BURST 5u
#define STATUS_RATE   2u /* a rollout takes four */
#define STATUS_BURST  8u
#define ENVELOPE_ROOM 16u

static void sign(struct gossip *g)
{
    struct member *m = g->self.member;
    g->crypto->hash(span_of(m->admission, m->admission_len), m->head.admission_hash);
    g->crypto->hash(span_of(m->body, m->body_len), m->head.body_hash);
    head_sign(g->crypto, g->key, &m->head);
    digest_note(&g->digest, m, g->now_ms);
    g->persist_due = true;
}

static bool matches(struct gossip *g, const struct sign_admission *a)
{
    /* The key and the certificate belong together if what one signs the other verifies. */
    struct head h = {.owner = a->node};
    head_sign(g->crypto, g->key, &h);
    return head_verify(g->crypto, a->public_key, &h);
}

static void adopt(struct member *m, const struct sign_admission *a)
{
    memcpy(m->public_key, a->public_key, sizeof(m->public_key));
    memcpy(m->spki_sha256, a->spki_sha256, sizeof(m->spki_sha256));
    m->roles = a->roles;
    m->not_after_s = a->not_after_s;
}

/* The envelope of what the driver announces and our status. */
static enum err wrap(struct gossip *g, struct span announced)
{
    struct member *m = g->self.member;
    size_t cap = announced.len + STATUS_BYTES_MAX + ENVELOPE_ROOM, len;
    uint8_t *body = malloc(cap);
    if (body == NULL) return ERR_NOMEM;
    enum err err = status_seal(announced, &g->self.status, body, cap, &len);
    size_t before = m->body_len;
    if (err == ERR_OK) err = member_set_body(m, span_of(body, len));
    if (err == ERR_OK) g->bodies_bytes = g->bodies_bytes - before + m->body_len;
    free(body);
    return err;
}

enum err self_init(struct gossip *g, const struct gossip_options *o)
{
    struct sign_admission a;
    struct member *m;
    enum err err =
        g->crypto->admission_open(o->admission, g->issuer_pk, &g->mesh, g->wall_ms / 1000, &a);
    if (err != ERR_OK) return err;
    if (!matches(g, &a)) return ERR_INVALID;
    err = member_add(&g->members, &a.node, &m);
    if (err == ERR_OK) err = member_take_name(&g->members, m, &a.name);
    if (err == ERR_OK) err = member_set_admission(m, o->admission);
    if (err != ERR_OK) return err;
    adopt(m, &a);
    m->self = true;
    m->head.epoch = o->epoch;
    m->head.version = 1;
    m->head.addr = o->addr;
    g->self.member = m;
    err = wrap(g, span_of("", 0));
    if (err != ERR_OK) return err;
    bucket_init(&g->self.statuses, STATUS_RATE, STATUS_BURST, 0);
    bucket_init(&g->self.publish, PUBLISH_RATE, PUBLISH_BURST, 0);
    bucket_init(&g->self.refute, PUBLISH_RATE, PUBLISH_BURST, 0);
    g->self.timer.kind = TIMER_PUBLISH;
    sign(g);
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
    bool record = m->body_version == 0 || !span_eq(announced, member_announced(m));
    enum err err = wrap(g, announced);
    if (err != ERR_OK) return err;
    m->head.version++;
    m->body_version = m->head.version;
    sign(g);
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
    return publish(g, member_announced(self->member), BROADCAST_POLICY) == ERR_OK;
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
    if (name_node_id_cmp(&a.node, &m->head.owner) != 0 || !name_eq(&a.name, &m->name))
        return ERR_INVALID;
    err = member_set_admission(m, cert);
    if (err != ERR_OK) return err;
    adopt(m, &a);
    m->head.version++;
    sign(g);
    broadcast_record(g, m, BROADCAST_SERVICE, true, false);
    return ERR_OK;
}

void self_refute(struct gossip *g, uint64_t epoch, uint32_t inc, struct member *from, bool several)
{
    struct member *m = g->self.member;
    if (epoch > m->head.epoch || (epoch == m->head.epoch && inc > m->head.inc)) return;
    if (epoch == m->head.epoch && inc == m->head.inc && !g->self.leaving) {
        if (!bucket_take(&g->self.refute, g->now_ms, 1, 0)) return;
        m->head.inc++;
        sign(g);
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
    g->self.leaving = true;
    m->head.flags |= HEAD_LEFT;
    m->head.version++;
    sign(g);
    broadcast_record(g, m, BROADCAST_MEMBERSHIP, false, false);
    broadcast_burst(g, TUNING_LEAVE_FANOUT);
}
