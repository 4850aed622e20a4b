/* Metrics: one shard a worker, written by it alone, rendered by the control thread
 * (interface.md 6.1).
 *
 * Series are found by their label tuple in an append-only table (release/acquire publication);
 * counters are relaxed atomics, so a scrape never stops a worker. A series allocates when it is
 * first seen and never again. At METRIC_SERIES_MAX new tuples fold into peer="_other", new status
 * codes into their class, and parley_metrics_overflow_total counts it.
 */
#ifndef PROXY_OBSERVE_METRICS_H
#define PROXY_OBSERVE_METRICS_H

#include "core/base/strbuf.h"
#include "core/model/reason.h"
#include "proxy/filters/filter.h"

struct metrics_shard;

enum err metrics_shard_new(struct metrics_shard **out) MUST_USE;
void metrics_shard_free(struct metrics_shard *m);

struct metrics_labels {
    enum filter_direction direction;
    struct span service; /* the local side */
    struct span peer;    /* the other side */
};

/* Worker thread, at the end of an exchange. `status` 0: no answer. `origin_app`: the application
 * answered. */
struct metrics_exchange {
    struct metrics_labels labels;
    unsigned status;
    bool origin_app;
    enum reason reason;
    uint64_t duration_us;
    uint64_t app_us;             /* to its first byte; 0: none */
    uint64_t rx_bytes, tx_bytes; /* of bodies: from the caller, to the caller */
    unsigned retries;
    bool out_of_budget; /* one more was not made for want of it */
    bool was_in_flight; /* metrics_in_flight has counted it: it no longer is */
    bool grpc;          /* a gRPC call, which ended with `grpc_status`: 0 to 16 */
    unsigned grpc_status;
    const char *verdict, *rule, *layer; /* "" or NULL when no decision was made here; verdict and
                                           layer are static */
};
void metrics_request(struct metrics_shard *m, const struct metrics_exchange *x);

struct metrics_tcp {
    struct metrics_labels labels;
    enum reason reason; /* how it ended; NONE: both sides closed */
    uint64_t duration_us, rx_bytes, tx_bytes;
    const char *verdict, *rule, *layer; /* as above */
};
/* Each close follows an open, also when the session was denied. */
void metrics_tcp_open(struct metrics_shard *m, const struct metrics_labels *l);
void metrics_tcp_close(struct metrics_shard *m, const struct metrics_tcp *x);
/* An exchange begins; metrics_request with the same labels ends it. */
void metrics_in_flight(struct metrics_shard *m, const struct metrics_labels *l);
/* Requests that wait for a place at their application: +1, and -1 with the same labels. */
void metrics_queued(struct metrics_shard *m, const struct metrics_labels *l, int delta);
/* result: "ok" or an x509_check / error word. */
void metrics_handshake(struct metrics_shard *m, bool server, const char *result,
                       uint64_t duration_us);
/* Counters without labels. */
enum metrics_count {
    METRICS_SESSIONS_OPENED,
    METRICS_SESSIONS_REFUSED, /* caps */
    METRICS_SHED_MEMORY,      /* connections and requests */
    METRICS_SHED_CONNECTIONS,
    METRICS_SHED_CLIENT,
    METRICS_SHED_CLOSING, /* LOOP_ORPHANS_MAX */
    METRICS_SHED_SHARE,   /* HTTP/2 connections and links */
    METRICS_ACCEPT_ERRORS,
    METRICS_PLAINTEXT_ON_MESH, /* G17 */
    METRICS_BAD_PREFACE,
    METRICS_BAD_HELLO,
    METRICS_LINKS_OPENED,
    METRICS_LINKS_HTTP2, /* to or from a peer that knows no other frame */
    METRICS_LINK_SENDS,
    METRICS_COUNTS
};
void metrics_count(struct metrics_shard *m, enum metrics_count c, uint64_t n);
uint64_t metrics_count_get(const struct metrics_shard *m, enum metrics_count c);

/* Control thread: sums all shards and appends text format 0.0.4 (# HELP, # TYPE, samples, sorted by
 * labels) to `out`. Out of memory marks `out` as overflowed. Writers go on meanwhile. */
void metrics_render(struct metrics_shard *const *shard, size_t count, struct strbuf *out);

#endif
