/* The inside of a metrics shard, shared by its writer (metrics.c) and its reader
 * (metrics_render.c).
 *
 *   shard -> series -> series -> ...          newest first, never unlinked
 *              |-> code -> code -> ...        of kind http: one a status and origin
 *              `-> decision -> decision ...   of kind policy: one a verdict and rule
 *   shard -> handshake -> ...
 *
 * A list only grows at its head: a node is filled in, then its pointer is stored with release; a
 * reader loads the head with acquire and then sees whole nodes. Counters have one writer, which
 * adds by a relaxed load and store; a reader sees some recent value.
 */
#ifndef PROXY_OBSERVE_METRICS_SHARD_H
#define PROXY_OBSERVE_METRICS_SHARD_H

#include <stdatomic.h>

#include "core/base/map.h"
#include "core/model/name.h"
#include "proxy/observe/metrics.h"

#define METRICS_SHARD_MAGIC 0x3e7a1c5u
#define METRICS_BOUNDS      14u
#define METRICS_LABEL_BYTES 79u /* "node:" and a name, and to spare */
#define METRICS_RULE_BYTES  127u
#define METRICS_GRPC_CODES  17u /* OK to UNAUTHENTICATED */

/* interface.md 6.1: in seconds .0005 .001 .0025 .005 .01 .025 .05 .1 .25 .5 1 2.5 5 10. */
extern const uint64_t metrics_bound_us[METRICS_BOUNDS];

struct metrics_hist {
    _Atomic uint64_t bucket[METRICS_BOUNDS + 1];
    _Atomic uint64_t sum_us;
};

struct metrics_code {
    struct metrics_code *next;
    unsigned status;
    bool app;
    _Atomic uint64_t count;
};

struct metrics_decision {
    struct metrics_decision *next;
    const char *verdict, *layer; /* static */
    char rule[METRICS_RULE_BYTES + 1];
    _Atomic uint64_t count;
};

enum metrics_kind { METRICS_HTTP, METRICS_TCP, METRICS_POLICY, METRICS_KINDS };

struct metrics_series {
    struct metrics_series *next;
    enum metrics_kind kind;
    enum filter_direction direction;
    size_t key_len;
    char key[2 + 2 * (METRICS_LABEL_BYTES + 1)]; /* of the writer's map */
    char service[METRICS_LABEL_BYTES + 1];
    char peer[METRICS_LABEL_BYTES + 1];
    _Atomic(struct metrics_code *) codes;
    _Atomic(struct metrics_decision *) decisions;
    struct metrics_hist duration, app;     /* app: http only */
    _Atomic uint64_t reason[REASON_COUNT]; /* http: failures; tcp: how sessions closed */
    _Atomic uint64_t grpc[METRICS_GRPC_CODES];
    _Atomic uint64_t retries_won, retries_lost, out_of_budget;
    _Atomic int64_t open;   /* http: in flight; tcp: open sessions */
    _Atomic int64_t queued; /* http: of those in flight */
    _Atomic uint64_t rx_bytes, tx_bytes;
};

struct metrics_handshakes {
    struct metrics_handshakes *next;
    bool server;
    char result[METRICS_LABEL_BYTES + 1];
    struct metrics_hist duration; /* its count is the number of handshakes */
};

struct metrics_shard {
    uint32_t magic;
    /* The writer's alone. */
    struct map map;                               /* series by key */
    struct metrics_series *recent[METRICS_KINDS]; /* found last */
    size_t entries;                               /* series, codes and decisions */
    /* Shared. */
    _Atomic(struct metrics_series *) series;
    _Atomic(struct metrics_handshakes *) handshakes;
    _Atomic uint64_t count[METRICS_COUNTS];
    _Atomic uint64_t overflow;
};

#endif
