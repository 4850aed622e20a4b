#include "gossip/policy.h"

#include "core/crypto/sign_manifest.h"
#include "gossip/authority.h"
#include "gossip/catalogue.h"
#include "gossip/policy_head.h"
#include "gossip/policy_root.h"
#include "gossip/policy_store.h"
#include "gossip/state.h"

#include <stdlib.h>

#define REPORT_REFUSED_MS 1000u

void policy_init(struct gossip *g)
{
    g->policy.timer.kind = TIMER_POLICY;
    g->policy.intent = POLICY_ACCEPTED;
    policy_news_init(&g->policy.news);
    rollout_init(&g->policy.rollout);
}

static void free_item(struct policy_item *i)
{
    if (i != NULL) free(i->bytes);
    free(i);
}

void policy_fini(struct gossip *g)
{
    struct policy *p = &g->policy;
    policy_root_fini(p);
    for (size_t i = 0; i < p->held_count; i++)
        free_item(p->held[i]);
    for (size_t i = 0; i < POLICY_PENDING_MAX; i++)
        free(p->pending[i].bytes);
    policy_text_fini(&p->texts);
}

struct manifest_ref policy_root_ref(const struct policy *p)
{
    return p->root_count > 0 ? p->root[p->root_count - 1].ref : (struct manifest_ref){0};
}

struct manifest_ref policy_head_ref(const struct policy *p)
{
    return p->head != NULL ? p->head->ref : (struct manifest_ref){0};
}

struct policy_item *policy_find(const struct policy *p, const struct manifest_hash *hash)
{
    for (size_t i = 0; i < p->held_count; i++)
        if (manifest_hash_eq(&p->held[i]->ref.hash, hash)) return p->held[i];
    return NULL;
}

struct policy_item *policy_parent(const struct policy *p, const struct policy_item *i)
{
    return i->ref.gen > 1 ? policy_find(p, &i->parent) : NULL;
}

void policy_store_soon(struct gossip *g)
{
    g->policy.store_due = g->policy.report_due = true;
}

void policy_arm(struct gossip *g, uint64_t at_ms)
{
    struct timer *t = &g->policy.timer;
    if (!timer_armed(t) || t->node.key > at_ms) state_timer(g, t, at_ms);
}

size_t policy_missing(const struct policy *p, const struct policy_item *i,
                      struct manifest_hash *out, size_t max)
{
    struct manifest m;
    size_t n = 0;
    if (pack_manifest_decode(span_of(i->bytes, i->len), &m) != ERR_OK) return 0;
    for (uint32_t t = 0; t < m.text_count && n < max; t++) {
        const struct policy_text *have = policy_text_find(&p->texts, &m.text[t].hash);
        if (have == NULL || have->len != m.text[t].bytes) out[n++] = m.text[t].hash;
    }
    return n;
}

/* Newest first: (gen, hlc, hash), as memcmp would say. */
static int order(const struct policy_item *a, const struct policy_item *b)
{
    if (a->ref.gen != b->ref.gen) return a->ref.gen < b->ref.gen ? -1 : 1;
    if (a->hlc != b->hlc) return a->hlc < b->hlc ? -1 : 1;
    return manifest_hash_cmp(&a->ref.hash, &b->ref.hash);
}

static void remove_at(struct policy *p, size_t at)
{
    free_item(p->held[at]);
    p->held_count--;
    memmove(&p->held[at], &p->held[at + 1], (p->held_count - at) * sizeof(p->held[0]));
}

/* The one that is missed least: the oldest sibling, then the oldest of all. */
static bool make_room(struct policy *p, const struct policy_item *newcomer)
{
    if (p->held_count < POLICY_HELD_MAX) return true;
    size_t at = p->held_count, siblings = 0;
    for (size_t i = 0; i < p->held_count; i++)
        if (!p->held[i]->main) {
            siblings++;
            at = i;
        }
    if (siblings < POLICY_SIBLINGS) at = p->held_count - 1;
    if (p->held[at] == p->head || order(newcomer, p->held[at]) < 0) return false;
    remove_at(p, at);
    return true;
}

static struct policy_item *new_item(struct span wire, const struct manifest *m,
                                    const struct manifest_hash *hash)
{
    struct policy_item *i = malloc(sizeof(*i));
    uint8_t *bytes = malloc(wire.len);
    if (i == NULL || bytes == NULL) {
        free(i);
        free(bytes);
        return NULL;
    }
    memcpy(bytes, wire.p, wire.len);
    *i = (struct policy_item){.ref = {.gen = m->gen, .hash = *hash},
                              .parent = m->parent,
                              .hlc = m->hlc,
                              .signer_count = m->signer_count,
                              .confirm_within_ms = m->confirm_within_ms,
                              .bytes = bytes,
                              .len = wire.len,
                              .valid = true};
    memcpy(i->signer, m->signer, sizeof(i->signer));
    return i;
}

static enum policy_refusal insert(struct gossip *g, struct policy_item *i)
{
    struct policy *p = &g->policy;
    size_t at = 0;
    if (!make_room(p, i)) return POLICY_FULL;
    while (at < p->held_count && order(i, p->held[at]) < 0)
        at++;
    memmove(&p->held[at + 1], &p->held[at], (p->held_count - at) * sizeof(p->held[0]));
    p->held[at] = i;
    p->held_count++;
    p->changed = true;
    policy_store_soon(g);
    return POLICY_ACCEPTED;
}

static bool generation_fits(const struct policy *p, const struct manifest *m,
                            const struct manifest_hash *hash)
{
    const struct policy_item *parent = m->gen > 1 ? policy_find(p, &m->parent) : NULL;
    if (parent != NULL && parent->ref.gen + 1 != m->gen) return false;
    for (size_t i = 0; i < p->held_count; i++)
        if (p->held[i]->ref.gen > 1 && manifest_hash_eq(&p->held[i]->parent, hash) &&
            p->held[i]->ref.gen != m->gen + 1)
            return false;
    return true;
}

static enum policy_refusal judge(struct gossip *g, struct span wire, const struct manifest *m,
                                 const struct manifest_hash *hash, struct member *from)
{
    struct policy *p = &g->policy;
    struct authority a = {
        .crypto = g->crypto, .mesh = &g->mesh, .issuer_pk = g->issuer_pk, .root = p->authority};
    /* The chain of roots may have been longer, before the issuer shortened it. */
    bool pinned = policy_head_is_pinned(p, hash);
    if (p->authority == NULL || (!pinned && m->root_gen > p->root_count))
        return POLICY_UNKNOWN_ROOT;
    if (!pinned) {
        if (!catalogue_may_verify(g, from)) return POLICY_FULL;
        enum policy_refusal r = authority_check(&a, wire, m);
        if (r != POLICY_ACCEPTED) return r;
    }
    if ((int64_t)(m->hlc >> 16) - g->wall_ms > POLICY_AHEAD_MS) return POLICY_FROM_THE_FUTURE;
    return generation_fits(p, m, hash) ? POLICY_ACCEPTED : POLICY_WRONG_GENERATION;
}

/* Applied on what is not the newest: the operator should look again. */
static bool is_next(const struct policy *p, const struct manifest *m)
{
    const struct manifest_ref head = policy_head_ref(p);
    return m->gen == head.gen + 1 && manifest_hash_eq(&m->parent, &head.hash);
}

static enum policy_refusal take_policy(struct gossip *g, struct span wire, const struct manifest *m,
                                       const struct manifest_hash *hash, struct member *from)
{
    struct policy *p = &g->policy;
    const struct manifest_ref head = policy_head_ref(p);
    if (policy_find(p, hash) != NULL) return POLICY_KNOWN;
    if (head.gen > POLICY_HISTORY && m->gen <= head.gen - POLICY_HISTORY) return POLICY_KNOWN;
    if (from == NULL && !is_next(p, m)) return POLICY_NOT_HEAD;
    enum policy_refusal r = judge(g, wire, m, hash, from);
    if (r != POLICY_ACCEPTED) return r;
    struct policy_item *i = new_item(wire, m, hash);
    if (i == NULL) return POLICY_FULL;
    r = insert(g, i);
    if (r != POLICY_ACCEPTED) free_item(i);
    return r;
}

/* The sender's one place, or a free one. */
static struct policy_pending *pending_slot(struct policy *p,
                                           const uint8_t from[NODE_ID_SHORT_BYTES])
{
    struct policy_pending *free_slot = NULL;
    for (size_t i = 0; i < POLICY_PENDING_MAX; i++) {
        struct policy_pending *slot = &p->pending[i];
        if (slot->bytes == NULL)
            free_slot = slot;
        else if (memcmp(slot->from, from, sizeof(slot->from)) == 0)
            return slot;
    }
    return free_slot;
}

static void keep_pending(struct gossip *g, struct span wire, const struct member *from, bool future)
{
    struct policy_pending *slot = pending_slot(&g->policy, from->head->owner.byte);
    if (slot == NULL) {
        g->policy.refusals[POLICY_FULL]++;
        return;
    }
    uint8_t *bytes = malloc(wire.len);
    if (bytes == NULL) return;
    memcpy(bytes, wire.p, wire.len);
    free(slot->bytes);
    *slot = (struct policy_pending){
        .bytes = bytes, .len = wire.len, .since_ms = g->now_ms, .future = future};
    head_short_id(from->head, slot->from);
    policy_arm(g, g->now_ms + 1000);
}

static void refused(struct gossip *g, enum policy_refusal r, const struct member *from)
{
    struct policy *p = &g->policy;
    p->refusals[r]++;
    if (r == POLICY_KNOWN || r == POLICY_ACCEPTED || g->fx == NULL) return;
    if (g->now_ms < p->report_refused_ms) return;
    struct gossip_effect *e = event_push(g->fx, GOSSIP_POLICY_REFUSED);
    if (e == NULL) return;
    if (from != NULL) e->node = from->head->owner;
    e->data = span_str(gossip_policy_refusal_word(r));
    p->report_refused_ms = g->now_ms + REPORT_REFUSED_MS;
}

static enum policy_refusal take(struct gossip *g, struct span wire, struct member *from,
                                bool may_wait)
{
    struct manifest m;
    if (pack_manifest_decode(wire, &m) != ERR_OK) return POLICY_MALFORMED;
    struct manifest_hash hash = sign_manifest_hash(wire);
    bool root = m.scope == MANIFEST_ROOT;
    enum policy_refusal r =
        root ? policy_root_take(g, wire, &m, &hash, from) : take_policy(g, wire, &m, &hash, from);
    if (may_wait && (r == POLICY_UNKNOWN_ROOT ||
                     (root && (r == POLICY_UNKNOWN_PARENT || r == POLICY_FORK_LOST))))
        policy_news_lack(g, from);
    if (may_wait && !root && (r == POLICY_UNKNOWN_ROOT || r == POLICY_FROM_THE_FUTURE))
        keep_pending(g, wire, from, r == POLICY_FROM_THE_FUTURE);
    return r;
}

enum policy_refusal policy_take(struct gossip *g, struct span wire, struct member *from)
{
    enum policy_refusal r = take(g, wire, from, from != NULL);
    refused(g, r, from);
    return r;
}

/* Those who signed may have been removed since; what the root pins stays as it was. Not what led to
 * it: a trial that nobody confirmed then is not to be confirmed by who has been removed. */
static enum policy_refusal check_confirm(struct gossip *g, struct span wire,
                                         const struct manifest_confirm *c,
                                         const struct policy_item *i)
{
    const struct policy *p = &g->policy;
    struct authority a = {
        .crypto = g->crypto, .mesh = &g->mesh, .issuer_pk = g->issuer_pk, .root = p->authority};
    enum policy_refusal r = authority_check_confirm(&a, wire, c);
    if (r != POLICY_UNKNOWN_SIGNER || !manifest_ref_eq(&p->authority->pinned, &i->ref)) return r;
    struct manifest *old = malloc(sizeof(*old));
    a.root = old;
    for (size_t n = p->root_count; old != NULL && n > 0 && r == POLICY_UNKNOWN_SIGNER; n--)
        if (pack_manifest_decode(span_of(p->root[n - 1].bytes, p->root[n - 1].len), old) == ERR_OK)
            r = authority_check_confirm(&a, wire, c);
    free(old);
    return r;
}

static enum policy_refusal take_confirm(struct gossip *g, struct span wire, struct member *from)
{
    struct policy *p = &g->policy;
    struct manifest_confirm c;
    if (pack_manifest_confirm_decode(wire, &c) != ERR_OK || c.scope != MANIFEST_POLICY)
        return POLICY_MALFORMED;
    struct policy_item *i = policy_find(p, &c.ref.hash);
    if (i == NULL || i->ref.gen != c.ref.gen) return POLICY_UNKNOWN_PARENT;
    if (i->confirmed) return POLICY_KNOWN;
    uint64_t by = (i->hlc >> 16) + i->confirm_within_ms + POLICY_CONFIRM_SLACK_MS;
    if (c.hlc >> 16 > by) return POLICY_TOO_LATE;
    if (!catalogue_may_verify(g, from)) return POLICY_FULL;
    enum policy_refusal r = check_confirm(g, wire, &c, i);
    if (r != POLICY_ACCEPTED) return r;
    i->confirmed = true;
    i->reverted = false;
    memcpy(i->confirm, wire.p, sizeof(i->confirm));
    p->changed = true;
    policy_store_soon(g);
    policy_news_tell(g, NEWS_CONFIRM, &i->ref);
    return POLICY_ACCEPTED;
}

enum policy_refusal policy_take_confirm(struct gossip *g, struct span wire, struct member *from)
{
    enum policy_refusal r = take_confirm(g, wire, from);
    refused(g, r, from);
    return r;
}

static bool is_wanted(const struct policy *p, const struct manifest_hash *hash)
{
    struct manifest_hash missing[MANIFEST_TEXTS_MAX];
    for (size_t i = 0; i < p->held_count; i++) {
        if (p->held[i]->complete) continue;
        size_t n = policy_missing(p, p->held[i], missing, MANIFEST_TEXTS_MAX);
        for (size_t k = 0; k < n; k++)
            if (manifest_hash_eq(&missing[k], hash)) return true;
    }
    return false;
}

enum policy_refusal policy_take_text(struct gossip *g, struct span bytes)
{
    struct policy *p = &g->policy;
    enum policy_refusal r = POLICY_TEXT_MISMATCH;
    struct manifest_hash hash = sign_manifest_hash(bytes);
    if (policy_text_find(&p->texts, &hash) != NULL)
        r = POLICY_KNOWN;
    else if (is_wanted(p, &hash))
        r = policy_text_add(&p->texts, &hash, bytes) == ERR_OK ? POLICY_ACCEPTED : POLICY_FULL;
    if (r == POLICY_ACCEPTED) {
        p->changed = true;
        policy_store_soon(g);
    } else {
        p->refusals[r]++;
    }
    return r;
}

static enum policy_refusal check_texts(const struct policy *p, const struct manifest *m,
                                       const struct gossip_event *e)
{
    bool needed[MANIFEST_TEXTS_MAX] = {false};
    if (e->text_count > MANIFEST_TEXTS_MAX) return POLICY_FULL;
    for (size_t i = 0; i < e->text_count; i++) {
        struct manifest_hash hash = sign_manifest_hash(e->text[i]);
        bool named = false;
        for (uint32_t t = 0; t < m->text_count; t++)
            if (manifest_hash_eq(&m->text[t].hash, &hash) && m->text[t].bytes == e->text[i].len)
                named = needed[t] = true;
        if (!named) return POLICY_TEXT_MISMATCH;
    }
    size_t bytes = 0;
    for (size_t i = 0; i < e->text_count; i++)
        bytes += e->text[i].len;
    if (bytes + p->texts.bytes > POLICY_TEXT_BYTES_MAX) return POLICY_FULL;
    for (uint32_t t = 0; t < m->text_count; t++) {
        const struct policy_text *have = policy_text_find(&p->texts, &m->text[t].hash);
        if (needed[t]) continue;
        if (have == NULL) return POLICY_TEXT_MISSING;
        if (have->len != m->text[t].bytes) return POLICY_TEXT_MISMATCH;
    }
    return POLICY_ACCEPTED;
}

static enum policy_refusal intend(struct gossip *g, const struct gossip_event *e)
{
    struct manifest m;
    if (e->data.len == PACK_MANIFEST_CONFIRM_BYTES) return take_confirm(g, e->data, NULL);
    if (pack_manifest_decode(e->data, &m) != ERR_OK) return POLICY_MALFORMED;
    enum policy_refusal r = check_texts(&g->policy, &m, e);
    if (r == POLICY_ACCEPTED) r = take(g, e->data, NULL, false);
    for (size_t i = 0; i < e->text_count && r == POLICY_ACCEPTED; i++)
        if (policy_take_text(g, e->text[i]) == POLICY_FULL) r = POLICY_FULL;
    return r;
}

enum err policy_intent(struct gossip *g, const struct gossip_event *e)
{
    g->policy.intent = intend(g, e);
    refused(g, g->policy.intent, NULL);
    return gossip_policy_refusal_err(g->policy.intent);
}

static void retry_pending(struct gossip *g)
{
    struct policy *p = &g->policy;
    for (size_t i = 0; i < POLICY_PENDING_MAX; i++) {
        struct policy_pending slot = p->pending[i];
        if (slot.bytes == NULL) continue;
        struct member *from = member_find_short(&g->members, slot.from);
        enum policy_refusal r = POLICY_FULL;
        if (from != NULL && g->now_ms < slot.since_ms + POLICY_PENDING_LIFE_MS)
            r = take(g, span_of(slot.bytes, slot.len), from, false);
        if (r == POLICY_UNKNOWN_ROOT || r == POLICY_FROM_THE_FUTURE) {
            policy_arm(g, g->now_ms + 1000);
            continue;
        }
        p->refusals[r]++;
        free(slot.bytes);
        p->pending[i] = (struct policy_pending){0};
    }
}

static void tell_siblings(struct gossip *g)
{
    struct policy *p = &g->policy;
    for (size_t i = p->held_count; i > 0; i--) {
        struct policy_item *item = p->held[i - 1];
        if (item->main || item->told || !item->complete || !item->connected) continue;
        item->told = true;
        p->report_due = true;
        policy_news_tell(g, NEWS_SIBLING, &item->ref);
    }
}

void policy_settle(struct gossip *g)
{
    struct policy *p = &g->policy;
    if (!p->changed) return;
    retry_pending(g);
    p->changed = false;
    if (policy_head_choose(g)) {
        policy_store_soon(g);
        if (p->head != NULL) policy_news_tell(g, NEWS_HEAD, &p->head->ref);
    }
    tell_siblings(g);
    if (policy_head_lacks(p)) policy_news_lack(g, NULL);
    digest_policy(&g->digest, policy_head_print(g), g->now_ms);
    rollout_retarget(g);
}

static bool report(struct gossip *g)
{
    struct policy *p = &g->policy;
    if (!p->report_due) return true;
    if (event_push(g->fx, GOSSIP_POLICY_CHANGED) == NULL) return false;
    p->report_due = false;
    return true;
}

bool policy_flush(struct gossip *g)
{
    struct policy *p = &g->policy;
    if (p->store_due) {
        if (!policy_store_push(g)) return false;
        p->store_due = false;
    }
    return rollout_flush(g) && report(g);
}

static bool has_pending(const struct policy *p)
{
    for (size_t i = 0; i < POLICY_PENDING_MAX; i++)
        if (p->pending[i].bytes != NULL) return true;
    return false;
}

void policy_timer(struct gossip *g)
{
    if (has_pending(&g->policy)) retry_pending(g);
    policy_news_look(g);
    rollout_look(g);
    uint64_t news = policy_news_due_ms(g), roll = rollout_due_ms(g);
    if (news < roll) roll = news;
    if (roll != UINT64_MAX) policy_arm(g, roll > g->now_ms ? roll : g->now_ms + 1);
}

bool policy_restore_root(struct gossip *g, struct span wire)
{
    struct manifest m;
    if (pack_manifest_decode(wire, &m) != ERR_OK || m.scope != MANIFEST_ROOT) return false;
    struct manifest_hash hash = sign_manifest_hash(wire);
    return policy_root_append(g, wire, &m, &hash);
}

struct policy_item *policy_restore_item(struct gossip *g, struct span wire)
{
    struct manifest m;
    if (pack_manifest_decode(wire, &m) != ERR_OK || m.scope != MANIFEST_POLICY) return NULL;
    struct manifest_hash hash = sign_manifest_hash(wire);
    if (policy_find(&g->policy, &hash) != NULL) return NULL;
    struct policy_item *i = new_item(wire, &m, &hash);
    if (i == NULL) return NULL;
    if (insert(g, i) == POLICY_ACCEPTED) return i;
    free_item(i);
    return NULL;
}
