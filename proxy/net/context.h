/* Context: what the parts of one worker share: its loop, its view, its tables and its way to the
 * control thread.
 *
 * One worker's thread; the counters marked atomic are read by the control thread too (relaxed: they
 * order nothing). Embedded in struct worker, which owns the thread. Everything of the data plane
 * gets it as its first argument, so that nothing is global.
 */
#ifndef PROXY_NET_CONTEXT_H
#define PROXY_NET_CONTEXT_H

#include <stdatomic.h>

#include "core/base/rng.h"
#include "core/wire/mux_alloc.h"
#include "proxy/net/heard.h"
#include "proxy/net/worker.h"
#include "proxy/snapshot/view.h"

#define CONTEXT_MAILBOX_MAX  1024u /* messages to control that wait */
#define CONTEXT_H2_BYTES_MAX ((size_t)256 * 1024 * 1024)

/* TLS handshakes under way are bounded each kind by itself: who stalls those that come in, which
 * needs no certificate, keeps us from no peer. */
enum context_handshake {
    CONTEXT_HANDSHAKE_FROM_PEER,
    CONTEXT_HANDSHAKE_TO_PEER,
    CONTEXT_HANDSHAKE_LOCAL, /* a client of ours that speaks TLS to us */
    CONTEXT_HANDSHAKES
};

/* So are connections of which nothing is known yet (proxy/net/opening.h). */
enum context_opening { CONTEXT_OPENING_PEER, CONTEXT_OPENING_LOCAL, CONTEXT_OPENINGS };

struct context {
    uint32_t magic;
    unsigned index;
    struct loop *loop;       /* owned */
    struct iobuf_pool *pool; /* of the loop */
    const struct tls_profile *profile;
    struct log *log;
    struct rng rng;
    struct metrics_shard *metrics;
    struct byte_ring *access_ring;
    struct lineage *lineage; /* borrowed; may be NULL */
    struct clients *clients; /* borrowed; may be NULL */
    struct loop_post *control_post;
    struct publish_slot slot;
    struct ring mailbox;
    struct view *view; /* the newest, pinned; NULL before the first */
    struct endpoint_table endpoints;
    struct heard *heard; /* owned; the control thread looks into it */
    struct mux_alloc mux_alloc;
    struct list returning; /* snapshots that the full return ring refused, as context_return */
    struct list idle_exchanges;
    size_t idle_exchange_count;
    size_t idle_exchange_least; /* at any moment since they were trimmed */
    struct loop_timer trim;     /* while more is idle than is kept */
    struct list listeners;
    struct list sessions; /* downstream connections */
    struct list links;    /* mesh links out */
    struct list apps;     /* connections to local applications, by service */
    struct list h2_apps;  /* those that speak HTTP/2 */
    struct list tunnels;  /* inbound exchanges judged once */
    size_t session_count;
    size_t session_bytes;                       /* what they stand for, as pressure.h counts */
    uint64_t cut_seen;                          /* of loop_orphans_cut, in the metrics */
    size_t memory_bytes;                        /* this worker's share of the budget */
    size_t handshake_count[CONTEXT_HANDSHAKES]; /* in flight */
    size_t opening_count[CONTEXT_OPENINGS];
    struct arena scratch; /* for one call, then reset */
    bool stopping;
    _Atomic uint64_t in_flight;
    _Atomic uint64_t sessions_total;
    _Atomic uint64_t generation;
    _Atomic uint64_t ticks;
};

/* Takes what it needs from `o`; nothing runs yet. ERR_NOMEM, ERR_FULL, ERR_IO. */
enum err context_init(struct context *c, const struct worker_options *o) MUST_USE;
/* Sessions, links and exchanges must be gone; the loop is freed here. */
void context_fini(struct context *c);

/* Makes the newest snapshot the current view when there is one; true when it changed. */
bool context_refresh(struct context *c);
static inline struct view *context_pin(struct context *c)
{
    return view_pin(c->view);
}
/* Is there room for one more? */
static inline bool context_may_handshake(const struct context *c, enum context_handshake kind)
{
    return c->handshake_count[kind] < c->view->snapshot->bounds.handshakes;
}
/* Drops a pin of a view of this worker; the snapshot goes back with the last one. */
void context_unpin(struct context *c, struct view *v);
/* Drops the current view. For the worker's end. */
void context_drop_view(struct context *c);

/* Something has become idle: what stays so, exchanges and blocks of the pool, was for a peak that
 * is over, and goes back to the system after a while, also when nothing happens any more. */
void context_trim_later(struct context *c);

/* Wakes the control thread's loop: there is something for it in a ring. */
void context_wake_control(struct context *c);
/* Tells the control thread that a connection to this mesh address failed. */
void context_dead_link(struct context *c, const struct addr *peer);
/* Tells the control thread, and the log, that the circuit of `e` of this upstream has opened or
 * closed. */
void context_circuit(struct context *c, const struct name *upstream,
                     const struct snapshot_endpoint *e, const struct circuit *circuit);
/* Gives an accepted mesh connection and the bytes read from it to the control thread. The
 * descriptor is closed when that is not possible. */
void context_handoff(struct context *c, int take_fd, const char *alpn, const struct addr *from,
                     struct span seen);

static inline void context_count(_Atomic uint64_t *counter, int64_t by)
{
    /* One writer: no read-modify-write is needed. */
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + (uint64_t)by, memory_order_relaxed);
}

#endif
