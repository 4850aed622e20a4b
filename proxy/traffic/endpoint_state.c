#include "proxy/traffic/endpoint_state.h"

#include "core/base/check.h"

void endpoint_state_table_init(struct endpoint_table *t, const struct hash_key *key)
{
    map_init(&t->map, key, ENDPOINT_STATE_MAX);
    slab_init(&t->slab, sizeof(struct endpoint_state), ENDPOINT_STATE_MAX);
    edge_state_table_init(&t->edges, key);
}

void endpoint_state_table_fini(struct endpoint_table *t)
{
    map_fini(&t->map);
    slab_fini(&t->slab);
    edge_state_table_fini(&t->edges);
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
        list_init(&e->waiting);
        list_init(&e->h2_apps);
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
    if (e->views > 0 || e->in_flight > 0 || e->serving > 0) return;
    if (!list_empty(&e->links) || !list_empty(&e->apps) || !list_empty(&e->h2_apps)) return;
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

void endpoint_state_stamped(struct endpoint_state *e, uint32_t load, uint64_t now_ms)
{
    e->others = load > e->in_flight ? load - e->in_flight : 0;
    e->stamped_ms = now_ms;
}

uint64_t endpoint_state_load(const struct endpoint_state *e, uint64_t now_ms)
{
    uint64_t age_ms = now_ms - e->stamped_ms;
    if (e->others == 0 || age_ms >= ENDPOINT_LOAD_MS) return e->in_flight;
    return e->in_flight + e->others * (ENDPOINT_LOAD_MS - age_ms) / ENDPOINT_LOAD_MS;
}

/* T / (T + dt) stands for exp(-dt / T): equal for the short times between two samples, and it needs
 * no floating point. */
static uint64_t faded(uint64_t value, uint64_t age_ms)
{
    if (age_ms == 0 || value == 0) return value;
    if (age_ms > UINT32_MAX) return 0;
    return value * ENDPOINT_LATENCY_MS / (ENDPOINT_LATENCY_MS + age_ms);
}

void endpoint_state_answered(struct endpoint_state *e, uint64_t latency_us, uint64_t now_ms)
{
    uint64_t age_ms = now_ms - e->answered_ms;
    uint64_t sample_ns = latency_us > UINT32_MAX ? UINT32_MAX * 1000ull : latency_us * 1000 + 1;
    e->peak_ns =
        sample_ns >= e->peak_ns ? sample_ns : sample_ns + faded(e->peak_ns - sample_ns, age_ms);
    if (e->answers < ENDPOINT_ANSWERS) e->answers++;
    e->mean_ns = e->mean_ns - e->mean_ns / e->answers + sample_ns / e->answers;
    e->answered_ms = now_ms;
}

uint64_t endpoint_state_peak_ns(const struct endpoint_state *e, uint64_t now_ms)
{
    return faded(e->peak_ns, now_ms - e->answered_ms);
}

uint64_t endpoint_state_mean_ns(const struct endpoint_state *e, uint64_t now_ms)
{
    if (e->answers < ENDPOINT_ANSWERS) return 0;
    return faded(e->mean_ns, now_ms - e->answered_ms);
}
