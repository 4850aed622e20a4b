/* Edge state: what this worker knows of an upstream as a whole. Survives snapshots (keyed by stable
 * id).
 *
 * One worker's thread. Views hold it; freed with the last view that names it.
 */
#ifndef PROXY_TRAFFIC_EDGE_STATE_H
#define PROXY_TRAFFIC_EDGE_STATE_H

#include "core/base/map.h"
#include "core/base/slab.h"
#include "core/model/config.h"
#include "proxy/traffic/budget.h"

struct edge_state {
    uint64_t id;
    uint32_t views; /* that name it */
    struct budget budget;
    bool suspended;  /* so many circuits are open that it is not the endpoints (outlier.h) */
    /* Round robin goes on at this place; of each group its near and its far pool. 0: not begun. */
    uint32_t turn[2 * (CONFIG_SPLITS_MAX + 1)];
    uint64_t resets; /* of its circuits that were asked for, as of the newest view */
};

struct edge_table {
    struct map map; /* by id */
    struct slab slab;
};

void edge_state_table_init(struct edge_table *t, const struct hash_key *key);
/* No view may be left. */
void edge_state_table_fini(struct edge_table *t);
/* Finds or makes, and counts a view. NULL: table full or out of memory. */
struct edge_state *edge_state_hold(struct edge_table *t, uint64_t id);
/* A request begins: it brings its share of a retry, of which `percent` are allowed; none while the
 * edge is suspended, when a retry is likely to fail too and only the few a second are left. */
void edge_state_request(struct edge_state *e, uint32_t percent, uint32_t workers, uint64_t now_ms);
/* Whether a retry that the filter wants is paid for. One that no application saw is made also
 * without credit, and paid later, unless so many endpoints fail that it cannot be them. */
bool edge_state_pays(struct edge_state *e, bool reached_application);
void edge_state_release(struct edge_table *t, struct edge_state *e);

#endif
