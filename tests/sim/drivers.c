#include "tests/sim/drivers.h"

#include "core/base/check.h"
#include "gossip/gossip_policy.h"
#include "tests/sim/measure.h"
#include "tests/sim/oracle.h"

#include <stdlib.h>

#define ANSWERS_MAX     1000000u
#define JUDGE_US        2000u /* parsing and a dry run */
#define PUT_IN_FORCE_US 3000u
#define RESTART_US      500000u
#define CRASH_SOON_US   20000u

enum what { VERDICT, APPLIED, CRASH, RESTART };

struct answer {
    struct world_event event;
    enum what what;
    struct manifest_ref ref;
    uint64_t epoch; /* of the life that it is for; 0: any */
};

enum err drivers_init(struct drivers *d, struct world *w)
{
    *d = (struct drivers){.world = w, .soak_us = MANIFEST_SOAK_MS_DEFAULT * UINT64_C(1000)};
    slab_init(&d->answers, sizeof(struct answer), ANSWERS_MAX);
    d->node = calloc(w->options.nodes, sizeof(d->node[0]));
    return d->node != NULL ? ERR_OK : ERR_NOMEM;
}

void drivers_fini(struct drivers *d)
{
    for (uint32_t i = 0; d->node != NULL && i < d->world->options.nodes; i++)
        free(d->node[i].store);
    free(d->node);
    slab_fini(&d->answers);
}

static void after(struct drivers *d, uint32_t i, enum what what, const struct manifest_ref *ref,
                  uint64_t delay_us)
{
    struct world *w = d->world;
    struct answer *a = slab_get(&d->answers);
    CHECK(a != NULL);
    *a = (struct answer){.event = {.kind = WORLD_POLICY, .to = i},
                         .what = what,
                         .ref = *ref,
                         .epoch = what == RESTART ? 0 : w->node[i].epoch};
    world_schedule(w, &a->event, w->now_us + delay_us);
}

static bool hits(const struct drivers_node *n, const struct manifest_ref *ref,
                 enum drivers_fault fault)
{
    return n->fault == fault && ref->gen != 0 &&
           (manifest_hash_is_zero(&n->marked) || manifest_hash_eq(&n->marked, &ref->hash));
}

/* I15. */
static bool is_whole(const struct gossip *g, const struct manifest_ref *ref)
{
    struct gossip_policy_entry entry;
    struct manifest m;
    if (ref->gen == 0) return true;
    if (gossip_policy_get(g, MANIFEST_POLICY, ref, &entry) != ERR_OK) return false;
    if (pack_manifest_decode(entry.bytes, &m) != ERR_OK) return false;
    for (uint32_t t = 0; t < m.text_count; t++) {
        struct span text = gossip_policy_text(g, &m.text[t].hash);
        struct manifest_hash hash = sign_manifest_hash(text);
        if (text.len != m.text[t].bytes || !manifest_hash_eq(&hash, &m.text[t].hash)) return false;
    }
    return true;
}

/* I13: of what is new to the mesh, one is first, and has survived before another follows. */
static void judge_order(struct drivers *d, uint32_t i, const struct manifest_ref *ref)
{
    struct world *w = d->world;
    if (ref->gen <= d->first.gen && !manifest_ref_eq(ref, &d->first)) return;
    if (!manifest_ref_eq(ref, &d->first)) {
        d->first = *ref;
        d->first_us = w->now_us;
        return;
    }
    if (d->soak_us > 0 && w->now_us < d->first_us + d->soak_us)
        oracle_fail(w->oracle, "I13: node %u puts generation %llu in force %llu us after the first",
                    i, (unsigned long long)ref->gen, (unsigned long long)(w->now_us - d->first_us));
}

static void activate(struct drivers *d, uint32_t i, const struct manifest_ref *ref)
{
    struct drivers_node *n = &d->node[i];
    struct world *w = d->world;
    d->activations++;
    if (!is_whole(w->node[i].gossip, ref))
        oracle_fail(w->oracle, "I15: node %u is to put in force what is not whole", i);
    struct manifest_ref head = gossip_policy_head(w->node[i].gossip, MANIFEST_POLICY);
    if (ref->gen > n->in_force.gen && manifest_ref_eq(ref, &head)) {
        if (!manifest_ref_eq(ref, &n->judged))
            oracle_fail(w->oracle, "I13: node %u has not judged what it puts in force", i);
        judge_order(d, i, ref);
        n->tries = manifest_ref_eq(ref, &n->trying) ? n->tries + 1 : 1;
        n->trying = *ref;
    }
    bool dies = hits(n, ref, DRIVERS_CRASHES_AT_IT);
    after(d, i, dies ? CRASH : APPLIED, ref, PUT_IN_FORCE_US);
}

/* A sample, when that was the one that makes 99 % or all. */
static void sample(struct drivers *d, uint32_t count, enum measure_what p99, enum measure_what all)
{
    double ms = (double)(d->world->now_us - d->watched_us) / 1000.0;
    struct measure_series *series = d->world->measure->series;
    if (count == d->expected - d->expected / 100) measure_add(&series[p99], ms);
    if (count == d->expected) measure_add(&series[all], ms);
}

static void note_knows(struct drivers *d, uint32_t i)
{
    struct drivers_node *n = &d->node[i];
    if (d->watched.gen == 0 || n->knows) return;
    struct manifest_ref head = gossip_policy_head(d->world->node[i].gossip, MANIFEST_POLICY);
    if (!manifest_ref_eq(&head, &d->watched)) return;
    n->knows = true;
    sample(d, ++d->know, MEASURE_HEAD_P99, MEASURE_HEAD_ALL);
}

static void note_has(struct drivers *d, uint32_t i)
{
    struct drivers_node *n = &d->node[i];
    if (d->watched.gen == 0 || n->has || !manifest_ref_eq(&n->in_force, &d->watched)) return;
    n->has = true;
    sample(d, ++d->have, MEASURE_FORCE_P99, MEASURE_FORCE_ALL);
}

void drivers_watch(struct drivers *d, const struct manifest_ref *ref)
{
    d->watched = *ref;
    d->watched_us = d->world->now_us;
    d->expected = d->know = d->have = 0;
    for (uint32_t i = 0; i < d->world->options.nodes; i++) {
        d->node[i].knows = d->node[i].has = false;
        d->expected += world_is_up(d->world, i);
    }
}

void drivers_effect(struct drivers *d, uint32_t i, const struct gossip_effect *e)
{
    struct drivers_node *n = &d->node[i];
    bool mute = hits(n, &e->ref, DRIVERS_MUTE);
    if (e->kind == GOSSIP_POLICY_VALIDATE && !mute) after(d, i, VERDICT, &e->ref, JUDGE_US);
    if (e->kind == GOSSIP_POLICY_ACTIVATE) activate(d, i, &e->ref);
    if (e->kind == GOSSIP_POLICY_CHANGED) note_knows(d, i);
    if (e->kind != GOSSIP_POLICY_STORE) return;
    char *copy = malloc(e->data.len);
    CHECK(copy != NULL);
    memcpy(copy, e->data.p, e->data.len);
    free(n->store);
    n->store = copy;
    n->store_len = e->data.len;
}

static void give_verdict(struct drivers *d, uint32_t i, const struct manifest_ref *ref)
{
    struct drivers_node *n = &d->node[i];
    struct gossip_event e = {.kind = GOSSIP_POLICY_VERDICT, .ref = *ref};
    bool crashed = manifest_ref_eq(ref, &n->trying) && n->tries >= DRIVERS_CRASHES;
    if (crashed || hits(n, ref, DRIVERS_REJECTS)) {
        e.err = ERR_INVALID;
        e.data = crashed ? SPAN_LIT("crashed") : SPAN_LIT("authz:1:1: unknown key");
    } else {
        n->judged = *ref;
    }
    world_step(d->world, i, &e);
}

static void give_answer(struct drivers *d, uint32_t i, const struct manifest_ref *ref)
{
    struct drivers_node *n = &d->node[i];
    struct gossip_event e = {.kind = GOSSIP_POLICY_APPLIED, .ref = *ref};
    if (hits(n, ref, DRIVERS_FAILS)) {
        e.err = ERR_INTERNAL;
        e.data = SPAN_LIT("does not fit here");
    } else {
        n->in_force = *ref;
        note_has(d, i);
    }
    if (hits(n, ref, DRIVERS_CRASHES_SOON)) after(d, i, CRASH, ref, CRASH_SOON_US);
    world_step(d->world, i, &e);
}

static void crash(struct drivers *d, uint32_t i)
{
    static const struct manifest_ref none = {0};
    d->crashes++;
    world_crash(d->world, i, true);
    measure_went(d->world->measure, d->world, i, false);
    after(d, i, RESTART, &none, RESTART_US);
}

void drivers_discard(struct drivers *d, struct world_event *e)
{
    slab_put(&d->answers, CONTAINER_OF(e, struct answer, event));
}

void drivers_event(struct drivers *d, struct world_event *e)
{
    struct answer a = *CONTAINER_OF(e, struct answer, event);
    struct world *w = d->world;
    uint32_t i = e->to;
    drivers_discard(d, e);
    if (a.what == RESTART) {
        if (!world_runs(w, i) && world_start(w, i) != ERR_OK)
            oracle_fail(w->oracle, "node %u does not start", i);
        measure_came(w->measure, w, i);
        return;
    }
    if (!world_is_up(w, i) || w->node[i].epoch != a.epoch) return;
    if (a.what == VERDICT) give_verdict(d, i, &a.ref);
    if (a.what == APPLIED) give_answer(d, i, &a.ref);
    if (a.what == CRASH) crash(d, i);
}

struct span drivers_store(const struct drivers *d, uint32_t i)
{
    return span_of(d->node[i].store, d->node[i].store_len);
}

void drivers_start(struct drivers *d, uint32_t i)
{
    d->node[i].in_force = gossip_policy_active(d->world->node[i].gossip);
}

enum err drivers_intent(struct drivers *d, uint32_t i, const struct operators_signed *s,
                        struct span text)
{
    struct gossip *g = d->world->node[i].gossip;
    struct gossip_event e = {.kind = GOSSIP_INTENT,
                             .data = span_of(s->bytes, s->len),
                             .text = &text,
                             .text_count = text.p != NULL};
    world_step(d->world, i, &e);
    return gossip_policy_refusal_err(gossip_policy_intent_refusal(g));
}

uint32_t drivers_in_force(const struct drivers *d, const struct manifest_ref *ref)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->world->options.nodes; i++)
        n += world_is_up(d->world, i) && manifest_ref_eq(&d->node[i].in_force, ref);
    return n;
}

uint32_t drivers_heads(const struct drivers *d, const struct manifest_ref *ref)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->world->options.nodes; i++) {
        if (!world_is_up(d->world, i)) continue;
        struct manifest_ref head = gossip_policy_head(d->world->node[i].gossip, MANIFEST_POLICY);
        n += manifest_ref_eq(&head, ref);
    }
    return n;
}

bool drivers_agree(const struct drivers *d)
{
    const struct world *w = d->world;
    const struct drivers_node *one = NULL;
    struct manifest_ref head = {0}, root = {0};
    for (uint32_t i = 0; i < w->options.nodes; i++) {
        if (!world_is_up(w, i)) continue;
        struct manifest_ref h = gossip_policy_head(w->node[i].gossip, MANIFEST_POLICY);
        struct manifest_ref r = gossip_policy_head(w->node[i].gossip, MANIFEST_ROOT);
        if (one == NULL) {
            one = &d->node[i];
            head = h;
            root = r;
        }
        if (!manifest_ref_eq(&h, &head) || !manifest_ref_eq(&r, &root)) return false;
        if (!manifest_ref_eq(&d->node[i].in_force, &one->in_force)) return false;
    }
    return true;
}
