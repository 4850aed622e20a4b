/* View: a worker's pin on a snapshot, with the live state of its endpoints beside it.
 *
 * One worker's thread. Plain counter: the worker's current view holds one pin, each exchange one
 * more; the last drop lets the caller return the snapshot.
 */
#ifndef PROXY_SNAPSHOT_VIEW_H
#define PROXY_SNAPSHOT_VIEW_H

#include "proxy/snapshot/snapshot.h"
#include "proxy/traffic/endpoint_state.h"

struct view {
    struct snapshot *snapshot; /* owned until returned */
    uint32_t pins;
    /* Owned array: all endpoints of all upstreams in order, then one a local service. */
    struct endpoint_state **state;
    size_t state_count;
    size_t *upstream_first;   /* owned: index of upstream u's first endpoint in state[] */
    struct edge_state **edge; /* owned array: one an upstream */
};

/* Wraps `s` with one pin and holds the state of every endpoint in it; notes which came up.
 * ERR_NOMEM, ERR_FULL (the table): the snapshot stays the caller's. */
enum err view_new(struct snapshot *s, struct endpoint_table *t, uint64_t now_ms,
                  struct view **out) MUST_USE;
static inline struct view *view_pin(struct view *v)
{
    v->pins++;
    return v;
}
/* Drops a pin. The last one frees the view and gives back its snapshot to hand over; else NULL. */
struct snapshot *view_unpin(struct view *v, struct endpoint_table *t) MUST_USE;
/* The live state of u->endpoint[endpoint_idx]; `u` is of the view's snapshot. */
struct endpoint_state *view_endpoint(const struct view *v, const struct snapshot_upstream *u,
                                     size_t endpoint_idx);
/* The live states of all of u's endpoints, in their order. */
struct endpoint_state *const *view_endpoints(const struct view *v,
                                             const struct snapshot_upstream *u);
/* The live state of the upstream as a whole. */
struct edge_state *view_edge(const struct view *v, const struct snapshot_upstream *u);
/* The live state of this host's instance of `s`. */
struct endpoint_state *view_local(const struct view *v, const struct snapshot_service *s);

#endif
