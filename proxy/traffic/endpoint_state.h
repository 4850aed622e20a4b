/* Endpoint state: what this worker knows of an endpoint from its own traffic. Survives snapshots
 * (keyed by stable id).
 *
 * One worker's thread. Held in a table of at most ENDPOINT_STATE_MAX entries. An entry is freed
 * when no view names it, nothing is in flight on it, the pool has no link to it and no connection
 * to it is idle: whoever drops the last of the three calls endpoint_state_release or
 * endpoint_state_settle. No clock: `now_ms` comes in.
 */
#ifndef PROXY_TRAFFIC_ENDPOINT_STATE_H
#define PROXY_TRAFFIC_ENDPOINT_STATE_H

#include "core/base/list.h"
#include "core/base/map.h"
#include "core/base/slab.h"

#define ENDPOINT_STATE_MAX    65536u
#define ENDPOINT_AVOID_MS     250u /* after the first failure; doubles with each more */
#define ENDPOINT_AVOID_MS_MAX 10000u

struct endpoint_state {
    uint64_t id;
    uint32_t in_flight;
    uint32_t views;          /* views that name it */
    uint32_t failures;       /* connect failures and dead links in a row */
    uint64_t avoid_until_ms; /* after a failure: chosen only when nothing else is left */
    int64_t wrr_credit;      /* smooth weighted round robin */
    uint64_t picks_total;
    struct list links; /* the pool's mesh links to it (proxy/net/pool), any source identity */
    struct list apps;  /* idle connections to it when it is a local application (http/h1_client) */
};

struct endpoint_table {
    struct map map; /* by id */
    struct slab slab;
};

void endpoint_state_table_init(struct endpoint_table *t, const struct hash_key *key);
/* All entries go with it: no view and no link may be left. */
void endpoint_state_table_fini(struct endpoint_table *t);
/* Finds or makes, and counts a view. NULL: table full or out of memory. */
struct endpoint_state *endpoint_state_hold(struct endpoint_table *t, uint64_t id);
/* A view lets go; freed when nothing uses it any more. */
void endpoint_state_release(struct endpoint_table *t, struct endpoint_state *e);
/* Frees `e` when nothing uses it: for the pool, after the last link of an endpoint that no view
 * names any more has gone. */
void endpoint_state_settle(struct endpoint_table *t, struct endpoint_state *e);
/* A link died or could not be made: avoid it for 250 ms, doubling to 10 s. */
void endpoint_state_failed(struct endpoint_state *e, uint64_t now_ms);
void endpoint_state_succeeded(struct endpoint_state *e);

#endif
