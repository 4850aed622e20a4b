#include "proxy/traffic/endpoint_state.h"

#include "core/base/check.h"

void endpoint_state_table_init(struct endpoint_table *t, const struct hash_key *key)
{
    map_init(&t->map, key, ENDPOINT_STATE_MAX);
    slab_init(&t->slab, sizeof(struct endpoint_state), ENDPOINT_STATE_MAX);
}

void endpoint_state_table_fini(struct endpoint_table *t)
{
    map_fini(&t->map);
    slab_fini(&t->slab);
}

static struct span key_of(const uint64_t *id)
{
    return span_of(id, sizeof(*id));
}

struct endpoint_state *endpoint_state_hold(struct endpoint_table *t, uint64_t id)
{
    struct endpoint_state *e = map_get(&t->map, key_of(&id));
    if (e == NULL) {
        e = slab_get(&t->slab);
        if (e == NULL) return NULL;
        e->id = id;
        list_init(&e->links);
        list_init(&e->apps);
        if (map_put(&t->map, key_of(&e->id), e) != ERR_OK) {
            slab_put(&t->slab, e);
            return NULL;
        }
    }
    e->views++;
    return e;
}

void endpoint_state_settle(struct endpoint_table *t, struct endpoint_state *e)
{
    if (e->views > 0 || e->in_flight > 0) return;
    if (!list_empty(&e->links) || !list_empty(&e->apps)) return;
    void *gone = map_del(&t->map, key_of(&e->id));
    CHECK(gone == e);
    slab_put(&t->slab, e);
}

void endpoint_state_release(struct endpoint_table *t, struct endpoint_state *e)
{
    CHECK(e->views > 0);
    e->views--;
    endpoint_state_settle(t, e);
}

void endpoint_state_failed(struct endpoint_state *e, uint64_t now_ms)
{
    uint64_t avoid_ms = ENDPOINT_AVOID_MS;
    for (uint32_t i = 0; i < e->failures && avoid_ms < ENDPOINT_AVOID_MS_MAX; i++)
        avoid_ms *= 2;
    if (avoid_ms > ENDPOINT_AVOID_MS_MAX) avoid_ms = ENDPOINT_AVOID_MS_MAX;
    if (e->failures < UINT32_MAX) e->failures++;
    e->avoid_until_ms = now_ms + avoid_ms;
}

void endpoint_state_succeeded(struct endpoint_state *e)
{
    e->failures = 0;
    e->avoid_until_ms = 0;
}
