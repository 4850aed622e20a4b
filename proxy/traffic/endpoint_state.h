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
#include "proxy/traffic/circuit.h"
#include "proxy/traffic/edge_state.h"
#include "proxy/traffic/keepalive.h"

#define ENDPOINT_STATE_MAX    65536u
#define ENDPOINT_AVOID_MS     250u /* after the first failure; doubles with each more */
#define ENDPOINT_AVOID_MS_MAX 10000u
#define ENDPOINT_LOAD_MS      2000u /* until a load stamp counts for nothing, linearly */
#define ENDPOINT_LATENCY_MS   2000u /* time constant of the peak EWMA, and of forgetting */
#define ENDPOINT_ANSWERS      16u   /* until a mean latency counts, and its weight from then on */

struct endpoint_state {
    uint64_t id;
    uint32_t in_flight;      /* attempts of ours at it */
    uint32_t serving;        /* when it is a local application: exchanges that are with it */
    uint32_t views;          /* views that name it */
    uint32_t failures;       /* connect failures and dead links in a row */
    uint64_t avoid_until_ms; /* after a failure: chosen only when nothing else is left */
    uint64_t turn_credit;    /* round robin: up to the largest weight, which makes it due */
    struct circuit circuit;
    struct list waiting; /* when it is a local application: exchanges at its gate */
    uint32_t waiting_count;
    bool up;               /* in the newest view */
    uint64_t warm_from_ms; /* it came up beside others that were: slow start; 0: as old as they */
    uint64_t picks_total;
    uint32_t others;      /* what it serves for others, of its last stamp */
    uint64_t stamped_ms;  /* when that came */
    uint64_t peak_ns;     /* peak EWMA of the time to the response head; 0: not known */
    uint64_t mean_ns;     /* EWMA over the last answers */
    uint32_t answers;     /* up to ENDPOINT_ANSWERS */
    uint64_t answered_ms; /* when the last came */
    struct list links;    /* the pool's mesh links to it (proxy/net/pool), any source identity */
    struct keepalive keepalive; /* of those in apps */
    struct list apps; /* idle connections to it when it is a local application (http/h1_client) */
    struct list h2_apps; /* those that are shared (http/h2_app) */
};

struct endpoint_table {
    struct map map; /* by id */
    struct slab slab;
    struct edge_table edges;
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
/* It says that `load` requests wait for its application, ours among them. */
void endpoint_state_stamped(struct endpoint_state *e, uint32_t load, uint64_t now_ms);
/* Requests that wait for its application: ours, and others' as of the last stamp, which fades. */
uint64_t endpoint_state_load(const struct endpoint_state *e, uint64_t now_ms);
/* A response head came `latency_us` after the request had left. Peak EWMA: a slower one counts at
 * once, faster ones by the time that passes (Finagle's cost function). */
void endpoint_state_answered(struct endpoint_state *e, uint64_t latency_us, uint64_t now_ms);
/* Of the peak EWMA and of the mean; 0: not known. Both fade while no answer comes, so that one who
 * was slow is tried again. */
uint64_t endpoint_state_peak_ns(const struct endpoint_state *e, uint64_t now_ms);
uint64_t endpoint_state_mean_ns(const struct endpoint_state *e, uint64_t now_ms);

#endif
