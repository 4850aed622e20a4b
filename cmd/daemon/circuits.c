#include "cmd/daemon/circuits.h"

#include <assert.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/map.h"

#define CIRCUITS_MAGIC 0x63697201u
#define GONE_BATCH     64u

struct entry {
    uint64_t id;
    struct name service;
    uint64_t open; /* a bit a worker */
    enum circuit_cause cause;
    uint64_t opened_total;
};

struct circuits {
    uint32_t magic;
    struct map entry;          /* by id; values owned */
    struct build_reset *reset; /* owned */
    size_t reset_count;
};

static_assert(WORKERS_MAX <= 64, "a bit a worker");

enum err circuits_new(const struct hash_key *key, struct circuits **out)
{
    struct circuits *c = calloc(1, sizeof *c);
    if (c == NULL) return ERR_NOMEM;
    c->reset = calloc(CONFIG_UPSTREAMS_MAX, sizeof *c->reset);
    if (c->reset == NULL) {
        free(c);
        return ERR_NOMEM;
    }
    c->magic = CIRCUITS_MAGIC;
    map_init(&c->entry, key, CIRCUITS_MAX);
    *out = c;
    return ERR_OK;
}

void circuits_free(struct circuits *c)
{
    size_t pos = 0;
    if (c == NULL) return;
    CHECK_OBJ(c, CIRCUITS_MAGIC);
    for (void *e; (e = map_next(&c->entry, &pos)) != NULL;)
        free(e);
    map_fini(&c->entry);
    free(c->reset);
    c->magic = MAGIC_POISON;
    free(c);
}

static struct span key_of(const uint64_t *id)
{
    return span_of(id, sizeof *id);
}

/* One that is closed makes room; its total goes with it. */
static void make_room(struct circuits *c)
{
    size_t pos = 0;
    for (struct entry *e; (e = map_next(&c->entry, &pos)) != NULL;) {
        if (e->open != 0) continue;
        (void)map_del(&c->entry, key_of(&e->id));
        free(e);
        return;
    }
}

static struct entry *find_or_make(struct circuits *c, const struct worker_message *m)
{
    struct entry *e = map_get(&c->entry, key_of(&m->endpoint));
    if (e != NULL) return e;
    if (c->entry.count == CIRCUITS_MAX) make_room(c);
    e = calloc(1, sizeof *e);
    if (e == NULL) return NULL;
    e->id = m->endpoint;
    e->service = m->service;
    if (map_put(&c->entry, key_of(&e->id), e) == ERR_OK) return e;
    free(e);
    return NULL;
}

void circuits_note(struct circuits *c, unsigned index, const struct worker_message *m)
{
    CHECK_OBJ(c, CIRCUITS_MAGIC);
    CHECK(m->kind == WORKER_CIRCUIT && index < WORKERS_MAX);
    uint64_t bit = UINT64_C(1) << index;
    struct entry *e = find_or_make(c, m);
    if (e == NULL) return;
    if (m->open) {
        e->open |= bit;
        e->cause = m->cause;
        e->opened_total++;
    } else {
        e->open &= ~bit;
    }
}

static struct circuits_state state_of(const struct entry *e)
{
    return (struct circuits_state){.open_workers = (unsigned)__builtin_popcountll(e->open),
                                   .cause = e->open != 0 ? e->cause : CIRCUIT_NONE,
                                   .opened_total = e->opened_total};
}

struct circuits_state circuits_get(const struct circuits *c, uint64_t endpoint_id)
{
    CHECK_OBJ(c, CIRCUITS_MAGIC);
    const struct entry *e = map_get(&c->entry, key_of(&endpoint_id));
    return e != NULL ? state_of(e) : (struct circuits_state){.open_workers = 0};
}

struct circuits_state circuits_of_service(const struct circuits *c, const struct name *service)
{
    struct circuits_state sum = {.open_workers = 0};
    size_t pos = 0;
    CHECK_OBJ(c, CIRCUITS_MAGIC);
    for (const struct entry *e; (e = map_next(&c->entry, &pos)) != NULL;) {
        if (!name_eq(&e->service, service)) continue;
        sum.open_workers += e->open != 0;
        sum.opened_total += e->opened_total;
    }
    return sum;
}

enum err circuits_reset(struct circuits *c, const struct name *service)
{
    size_t pos = 0, i = 0;
    CHECK_OBJ(c, CIRCUITS_MAGIC);
    while (i < c->reset_count && !name_eq(&c->reset[i].service, service))
        i++;
    if (i == CONFIG_UPSTREAMS_MAX) return ERR_FULL;
    if (i == c->reset_count) c->reset[c->reset_count++] = (struct build_reset){.service = *service};
    c->reset[i].count++;
    for (struct entry *e; (e = map_next(&c->entry, &pos)) != NULL;)
        if (name_eq(&e->service, service)) e->open = 0;
    return ERR_OK;
}

static bool is_gone(const struct config *config, const struct name *service)
{
    return config_upstream(config, span_str(service->text)) == NULL;
}

/* The ids of some that are gone: a deletion moves what the map holds. */
static size_t find_gone(const struct circuits *c, const struct config *config,
                        uint64_t id[GONE_BATCH])
{
    size_t pos = 0, count = 0;
    for (struct entry *e; count < GONE_BATCH && (e = map_next(&c->entry, &pos)) != NULL;)
        if (is_gone(config, &e->service)) id[count++] = e->id;
    return count;
}

void circuits_keep(struct circuits *c, const struct config *config)
{
    uint64_t id[GONE_BATCH];
    size_t kept = 0, gone;
    CHECK_OBJ(c, CIRCUITS_MAGIC);
    for (size_t i = 0; i < c->reset_count; i++)
        if (!is_gone(config, &c->reset[i].service)) c->reset[kept++] = c->reset[i];
    c->reset_count = kept;
    while ((gone = find_gone(c, config, id)) > 0)
        for (size_t i = 0; i < gone; i++)
            free(map_del(&c->entry, key_of(&id[i])));
}

const struct build_reset *circuits_resets(const struct circuits *c, size_t *count)
{
    CHECK_OBJ(c, CIRCUITS_MAGIC);
    *count = c->reset_count;
    return c->reset;
}
