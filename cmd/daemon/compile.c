#include "cmd/daemon/compile.h"

#include <stdlib.h>

#include "cmd/daemon/control.h"
#include "cmd/daemon/circuits.h"
#include "cmd/daemon/drain.h"
#include "cmd/daemon/endpoints.h"
#include "cmd/daemon/identities.h"
#include "cmd/daemon/listeners.h"
#include "cmd/daemon/mesh.h"
#include "cmd/daemon/own_record.h"
#include "cmd/daemon/policy_run.h"
#include "proxy/net/worker.h"

#define COMPILE_MAGIC 0x636d7031u
#define COLLECT_MS    1000u

struct published { /* a snapshot out with the workers */
    struct list node;
    struct snapshot *snapshot; /* one reference; one more for each worker that has it, or will */
};

struct compile {
    uint32_t magic;
    struct daemon *d;
    struct endpoints *endpoints;
    struct node_record *own; /* scratch */
    struct circuits *circuits;
    struct build_gate *gate; /* owned, and what they point to: for as long as workers run */
    size_t gate_count;
    struct list published;
    struct loop_timer timer;
    struct loop_timer collect; /* runs until nobody holds an older snapshot */
    uint64_t first_request_ms; /* 0: none waits */
    uint64_t generation;       /* of the newest */
    uint64_t said;             /* hash of the warnings last logged */
};

static void timer_due(struct loop_timer *t);
static void collect_due(struct loop_timer *t);

enum err compile_new(struct daemon *d, struct compile **out)
{
    struct compile *c = calloc(1, sizeof *c);
    if (c == NULL) return ERR_NOMEM;
    enum err err = ERR_NOMEM;
    c->own = calloc(1, sizeof *c->own);
    if (c->own == NULL) goto fail_compile;
    err = endpoints_new(&d->hash_key, &c->endpoints);
    if (err != ERR_OK) goto fail_own;
    err = circuits_new(&d->hash_key, &c->circuits);
    if (err != ERR_OK) goto fail_endpoints;
    c->magic = COMPILE_MAGIC;
    c->d = d;
    c->timer.on_expire = timer_due;
    c->collect.on_expire = collect_due;
    list_init(&c->published);
    *out = c;
    return ERR_OK;

fail_endpoints:
    endpoints_free(c->endpoints);
fail_own:
    free(c->own);
fail_compile:
    free(c);
    return err;
}

static void published_free(struct published *p)
{
    list_remove(&p->node);
    snapshot_free(p->snapshot);
    free(p);
}

void compile_free(struct compile *c)
{
    if (c == NULL) return;
    CHECK_OBJ(c, COMPILE_MAGIC);
    loop_timer_clear(c->d->loop, &c->timer);
    loop_timer_clear(c->d->loop, &c->collect);
    compile_reclaim(c);
    LIST_EACH(pos, tmp, &c->published)
    published_free(LIST_ENTRY(pos, struct published, node));
    endpoints_free(c->endpoints);
    circuits_free(c->circuits);
    for (size_t i = 0; i < c->gate_count; i++)
        free(c->gate[i].gate);
    free(c->gate);
    free(c->own);
    c->magic = MAGIC_POISON;
    free(c);
}

uint64_t compile_oldest(const struct compile *c)
{
    struct list *first = list_first(&c->published);
    if (first == NULL) return c->generation;
    return LIST_ENTRY(first, struct published, node)->snapshot->generation;
}

static uint64_t reached_generation(const struct compile *c)
{
    uint64_t least = c->generation;
    for (unsigned i = 0; i < c->d->worker_count; i++) {
        uint64_t g = worker_generation(c->d->worker[i].worker);
        if (g < least) least = g;
    }
    return least;
}

void compile_reclaim(struct compile *c)
{
    CHECK_OBJ(c, COMPILE_MAGIC);
    for (unsigned i = 0; i < c->d->worker_count; i++) {
        struct snapshot *s;
        while ((s = worker_reclaim(c->d->worker[i].worker)) != NULL)
            snapshot_unref(s);
    }
    LIST_EACH(pos, tmp, &c->published)
    {
        struct published *p = LIST_ENTRY(pos, struct published, node);
        if (p->snapshot->refs == 1) published_free(p);
    }
    listeners_collect(c->d->listeners, reached_generation(c), compile_oldest(c));
}

/* A service keeps its gate for good, also while it has no limits: what is inside is counted. */
static enum err make_gates(struct compile *c, const struct config *config)
{
    for (size_t s = 0; s < config->service_count; s++) {
        const struct config_service *from = &config->service[s];
        size_t i = 0;
        if (from->limits.in_flight == 0 && from->limits.rps == 0) continue;
        while (i < c->gate_count && !name_eq(&c->gate[i].service, &from->name))
            i++;
        if (i < c->gate_count) continue;
        struct build_gate *grown = realloc(c->gate, (c->gate_count + 1) * sizeof *grown);
        if (grown == NULL) return ERR_NOMEM;
        c->gate = grown;
        struct gate *gate = calloc(1, sizeof *gate);
        if (gate == NULL) return ERR_NOMEM;
        c->gate[c->gate_count++] = (struct build_gate){.service = from->name, .gate = gate};
    }
    return ERR_OK;
}

/* What the build has said, from its first entry on; the next that says the same is silent. */
static void say_warnings(struct compile *c, const struct diag *diag, unsigned first)
{
    uint64_t said = 0;
    for (unsigned i = first; i < diag->count; i++) {
        const char *text = diag->entry[i].message;
        said = said * 31 + hash_bytes(&c->d->hash_key, text, strlen(text));
    }
    if (said == c->said) return;
    c->said = said;
    for (unsigned i = first; i < diag->count; i++) {
        const struct diag_entry *e = &diag->entry[i];
        if (e->file != NULL)
            log_warn(&c->d->log, "compile", "%s:%u: %s", e->file, e->line, e->message);
        else
            log_warn(&c->d->log, "compile", "%s", e->message);
    }
}

static enum err build(struct compile *c, const struct config *config,
                      const struct policy_mesh *mesh, struct diag *diag, struct snapshot **out)
{
    struct daemon *d = c->d;
    own_record_build(d, config, c->own);
    enum err err = make_gates(c, config);
    if (err != ERR_OK) return err;
    err = endpoints_collect(c->endpoints, d->mesh, c->own);
    if (err == ERR_FULL)
        log_limited(&d->log, LOG_LEVEL_WARN, COMPILE_MAGIC, "catalogue",
                    "more than %u endpoints: the rest is left out", ENDPOINTS_MAX);
    else if (err != ERR_OK)
        return err;
    struct build_input in = {.generation = c->generation + 1,
                             .config = config,
                             .mesh = mesh,
                             .node_id = mesh_own_id(d->mesh),
                             .trust = identities_trust(d->identities),
                             .workers = d->worker_count,
                             .memory_bytes = d->memory_bytes,
                             .draining = d->drain != NULL && drain_closing(d->drain),
                             .deaf = d->drain != NULL && drain_deaf(d->drain)};
    in.endpoint = endpoints_rows(c->endpoints, &in.endpoint_count);
    in.identity = identities_all(d->identities, &in.identity_count);
    in.gate = c->gate;
    in.gate_count = c->gate_count;
    in.reset = circuits_resets(c->circuits, &in.reset_count);
    in.listener = listeners_rows(d->listeners, &in.listener_count);
    unsigned first = diag != NULL ? diag->count : 0;
    err = build_snapshot(&in, diag, out);
    if (err == ERR_OK && diag != NULL) say_warnings(c, diag, first);
    return err;
}

static void publish(struct compile *c, struct published *p)
{
    c->generation = p->snapshot->generation;
    list_push_back(&c->published, &p->node);
    for (unsigned i = 0; i < c->d->worker_count; i++)
        snapshot_unref(worker_publish(c->d->worker[i].worker, snapshot_ref(p->snapshot)));
    loop_timer_set(c->d->loop, &c->collect, loop_now_ms(c->d->loop) + COLLECT_MS);
}

/* Workers say when they give a snapshot back, but not when they have taken the first, and a wake-up
 * for each is not worth it: what is old goes within a second. */
static void collect_due(struct loop_timer *t)
{
    struct compile *c = CONTAINER_OF(t, struct compile, collect);
    compile_reclaim(c);
    if (!compile_settled(c) || compile_published(c) > 1)
        loop_timer_set(c->d->loop, t, loop_now_ms(c->d->loop) + COLLECT_MS);
    if (c->d->ready) control_status(c->d->control);
}

enum err compile_now(struct compile *c, const struct config *config, struct diag *diag)
{
    CHECK_OBJ(c, COMPILE_MAGIC);
    struct published *p = calloc(1, sizeof *p);
    if (p == NULL) return ERR_NOMEM;
    enum err err = build(c, config, policy_run_rules(c->d->policy), diag, &p->snapshot);
    if (err != ERR_OK) {
        free(p);
        return err;
    }
    loop_timer_clear(c->d->loop, &c->timer);
    c->first_request_ms = 0;
    publish(c, p);
    if (config != c->d->config) circuits_keep(c->circuits, config);
    compile_reclaim(c);
    return ERR_OK;
}

enum err compile_try(struct compile *c, const struct policy_mesh *mesh, struct diag *diag)
{
    CHECK_OBJ(c, COMPILE_MAGIC);
    struct snapshot *trial = NULL;
    enum err err = build(c, c->d->config, mesh, diag, &trial);
    if (err == ERR_OK) snapshot_unref(trial);
    return err;
}

void compile_request(struct compile *c)
{
    CHECK_OBJ(c, COMPILE_MAGIC);
    uint64_t now_ms = loop_now_ms(c->d->loop);
    if (c->first_request_ms == 0) c->first_request_ms = now_ms;
    uint64_t due = now_ms + COMPILE_QUIET_MS;
    uint64_t latest = c->first_request_ms + COMPILE_LATEST_MS;
    loop_timer_set(c->d->loop, &c->timer, due < latest ? due : latest);
}

static void timer_due(struct loop_timer *t)
{
    struct compile *c = CONTAINER_OF(t, struct compile, timer);
    struct diag diag;
    diag_init(&diag);
    c->first_request_ms = 0;
    enum err err = compile_now(c, c->d->config, &diag);
    if (err != ERR_OK) {
        const char *why = err_text(err);
        for (unsigned i = 0; i < diag.count; i++)
            if (diag.entry[i].level == DIAG_ERROR) why = diag.entry[i].message;
        log_error(&c->d->log, "compile", "the running snapshot stays: %s", why);
    }
    diag_fini(&diag);
}

const struct build_endpoint *compile_endpoints(const struct compile *c, size_t *count)
{
    CHECK_OBJ(c, COMPILE_MAGIC);
    return endpoints_rows(c->endpoints, count);
}

/* NULL: there is none yet. */
static const struct snapshot *newest(const struct compile *c)
{
    CHECK_OBJ(c, COMPILE_MAGIC);
    LIST_EACH(pos, tmp, &c->published)
    {
        const struct snapshot *s = LIST_ENTRY(pos, struct published, node)->snapshot;
        if (s->generation == c->generation) return s;
    }
    return NULL;
}

const struct snapshot_upstream *compile_upstream(const struct compile *c, const struct name *name)
{
    const struct snapshot *s = newest(c);
    return s != NULL ? snapshot_upstream(s, span_str(name->text)) : NULL;
}

const struct snapshot_service *compile_service(const struct compile *c, const struct name *name)
{
    const struct snapshot *s = newest(c);
    return s != NULL ? snapshot_service(s, span_str(name->text)) : NULL;
}

struct circuits *compile_circuits(struct compile *c)
{
    CHECK_OBJ(c, COMPILE_MAGIC);
    return c->circuits;
}

uint64_t compile_generation(const struct compile *c)
{
    CHECK_OBJ(c, COMPILE_MAGIC);
    return c->generation;
}

size_t compile_published(const struct compile *c)
{
    CHECK_OBJ(c, COMPILE_MAGIC);
    size_t n = 0;
    LIST_EACH(pos, tmp, &c->published) n++;
    return n;
}

bool compile_settled(const struct compile *c)
{
    CHECK_OBJ(c, COMPILE_MAGIC);
    return reached_generation(c) == c->generation;
}
