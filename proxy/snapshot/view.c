#include "proxy/snapshot/view.h"

#include "core/base/check.h"

#include <stdlib.h>

/* One block: the view, then state[], upstream_first[] and edge[]. */
static enum err view_alloc(const struct snapshot *s, struct view **out)
{
    size_t states = s->service_count, state_bytes, first_bytes, edge_bytes;
    size_t bytes = sizeof(struct view);
    for (size_t u = 0; u < s->upstream_count; u++)
        if (!size_add(states, s->upstream[u].endpoint_count, &states)) return ERR_NOMEM;
    if (!size_mul(states, sizeof(struct endpoint_state *), &state_bytes) ||
        !size_mul(s->upstream_count, sizeof(size_t), &first_bytes) ||
        !size_mul(s->upstream_count, sizeof(struct edge_state *), &edge_bytes) ||
        !size_add(bytes, state_bytes, &bytes) || !size_add(bytes, first_bytes, &bytes) ||
        !size_add(bytes, edge_bytes, &bytes))
        return ERR_NOMEM;
    struct view *v = calloc(1, bytes);
    if (v == NULL) return ERR_NOMEM;
    v->state = (struct endpoint_state **)(void *)(v + 1);
    v->state_count = states;
    v->upstream_first = (size_t *)(void *)(v->state + states);
    v->edge = (struct edge_state **)(void *)(v->upstream_first + s->upstream_count);
    *out = v;
    return ERR_OK;
}

static void release_states(struct view *v, size_t count, struct endpoint_table *t)
{
    for (size_t i = 0; i < count; i++)
        endpoint_state_release(t, v->state[i]);
}

static void release_edges(struct view *v, size_t count, struct endpoint_table *t)
{
    for (size_t i = 0; i < count; i++)
        edge_state_release(&t->edges, v->edge[i]);
}

/* An operator asked for it: all its endpoints are as new. */
static void reset_circuits(struct edge_state *edge, struct endpoint_state **state, size_t count)
{
    edge->suspended = false;
    for (size_t i = 0; i < count; i++) {
        state[i]->circuit = (struct circuit){.state = CIRCUIT_CLOSED};
        endpoint_state_succeeded(state[i]);
    }
}

/* Who comes up has a clean sheet. Beside others that are up it begins slowly; where all are new,
 * none does. */
static void note_up(const struct snapshot_upstream *u, struct endpoint_state **state,
                    uint64_t now_ms)
{
    bool others = false;
    for (size_t i = 0; i < u->endpoint_count; i++)
        others |= state[i]->up;
    for (size_t i = 0; i < u->endpoint_count; i++) {
        bool up = u->endpoint[i].status == ENDPOINT_UP;
        if (up && !state[i]->up) {
            state[i]->warm_from_ms = others ? now_ms : 0;
            state[i]->circuit = (struct circuit){.state = CIRCUIT_CLOSED};
        }
        state[i]->up = up;
    }
}

/* What changes with a new view. */
static void begin_upstream(const struct snapshot_upstream *u, struct edge_state *edge,
                           struct endpoint_state **state, uint64_t now_ms)
{
    note_up(u, state, now_ms);
    if (edge->resets != u->resets) reset_circuits(edge, state, u->endpoint_count);
    edge->resets = u->resets;
}

enum err view_new(struct snapshot *s, struct endpoint_table *t, uint64_t now_ms, struct view **out)
{
    struct view *v;
    size_t at = 0, edges = 0;
    enum err err = view_alloc(s, &v);
    if (err != ERR_OK) return err;
    for (; edges < s->upstream_count; edges++) {
        v->edge[edges] = edge_state_hold(&t->edges, s->upstream[edges].id);
        if (v->edge[edges] == NULL) goto fail_states;
    }
    for (size_t u = 0; u < s->upstream_count; u++) {
        v->upstream_first[u] = at;
        for (size_t i = 0; i < s->upstream[u].endpoint_count; i++, at++) {
            v->state[at] = endpoint_state_hold(t, s->upstream[u].endpoint[i].id);
            if (v->state[at] == NULL) goto fail_states;
        }
    }
    for (size_t i = 0; i < s->service_count; i++, at++) {
        v->state[at] = endpoint_state_hold(t, s->service[i].endpoint_id);
        if (v->state[at] == NULL) goto fail_states;
    }
    for (size_t u = 0; u < s->upstream_count; u++)
        begin_upstream(&s->upstream[u], v->edge[u], v->state + v->upstream_first[u], now_ms);
    v->snapshot = s;
    v->pins = 1;
    *out = v;
    return ERR_OK;

fail_states:
    release_states(v, at, t);
    release_edges(v, edges, t);
    free(v);
    return ERR_FULL;
}

struct snapshot *view_unpin(struct view *v, struct endpoint_table *t)
{
    CHECK(v->pins > 0);
    if (--v->pins > 0) return NULL;
    struct snapshot *s = v->snapshot;
    release_states(v, v->state_count, t);
    release_edges(v, s->upstream_count, t);
    free(v);
    return s;
}

struct endpoint_state *const *view_endpoints(const struct view *v,
                                             const struct snapshot_upstream *u)
{
    size_t upstream = (size_t)(u - v->snapshot->upstream);
    CHECK(upstream < v->snapshot->upstream_count);
    return v->state + v->upstream_first[upstream];
}

struct endpoint_state *view_endpoint(const struct view *v, const struct snapshot_upstream *u,
                                     size_t endpoint_idx)
{
    CHECK(endpoint_idx < u->endpoint_count);
    return view_endpoints(v, u)[endpoint_idx];
}

struct edge_state *view_edge(const struct view *v, const struct snapshot_upstream *u)
{
    size_t upstream = (size_t)(u - v->snapshot->upstream);
    CHECK(upstream < v->snapshot->upstream_count);
    return v->edge[upstream];
}

struct endpoint_state *view_local(const struct view *v, const struct snapshot_service *s)
{
    size_t service = (size_t)(s - v->snapshot->service);
    CHECK(service < v->snapshot->service_count);
    return v->state[v->state_count - v->snapshot->service_count + service];
}
