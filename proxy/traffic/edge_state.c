#include "proxy/traffic/edge_state.h"

#include "core/base/check.h"
#include "core/base/limits.h"

/* Old views may still name upstreams that a new configuration has replaced. */
#define EDGES_MAX (4u * CONFIG_UPSTREAMS_MAX)

void edge_state_table_init(struct edge_table *t, const struct hash_key *key)
{
    map_init(&t->map, key, EDGES_MAX);
    slab_init(&t->slab, sizeof(struct edge_state), EDGES_MAX);
}

void edge_state_table_fini(struct edge_table *t)
{
    map_fini(&t->map);
    slab_fini(&t->slab);
}

static struct span key_of(const uint64_t *id)
{
    return span_of(id, sizeof(*id));
}

struct edge_state *edge_state_hold(struct edge_table *t, uint64_t id)
{
    struct edge_state *e = map_get(&t->map, key_of(&id));
    if (e == NULL) {
        e = slab_get(&t->slab);
        if (e == NULL) return NULL;
        e->id = id;
        if (map_put(&t->map, key_of(&e->id), e) != ERR_OK) {
            slab_put(&t->slab, e);
            return NULL;
        }
    }
    e->views++;
    return e;
}

void edge_state_release(struct edge_table *t, struct edge_state *e)
{
    CHECK(e->views > 0);
    if (--e->views > 0) return;
    void *gone = map_del(&t->map, key_of(&e->id));
    CHECK(gone == e);
    slab_put(&t->slab, e);
}

void edge_state_request(struct edge_state *e, uint32_t percent, uint32_t workers, uint64_t now_ms)
{
    budget_request(&e->budget, e->suspended ? 0 : percent, workers, now_ms);
}

bool edge_state_pays(struct edge_state *e, bool reached_application)
{
    if (reached_application || e->suspended) return budget_take(&e->budget);
    budget_charge(&e->budget);
    return true;
}
