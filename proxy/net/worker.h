/* Worker: one thread of the data plane, with its loop, listeners, sessions, pools and endpoint
 * states.
 *
 * worker_new .. worker_start .. worker_publish* .. worker_stop .. worker_free, all called by the
 * control thread. Workers share nothing mutable; what crosses is the snapshot slot, the mailbox to
 * control, the metric shard and the access-log ring.
 *
 * A worker accepts on the mesh port, peeks the hello and keeps ALPN `h2`; a hello for parley-sync/1
 * or parley-join/1 goes untouched to the control thread (WORKER_HANDOFF).
 */
#ifndef PROXY_NET_WORKER_H
#define PROXY_NET_WORKER_H

#include "core/base/hash.h"
#include "core/crypto/tls_engine.h"
#include "core/io/log.h"
#include "core/io/loop.h"
#include "proxy/observe/metrics.h"
#include "proxy/snapshot/publish.h"
#include "proxy/traffic/circuit.h"

struct clients;
struct lineage;
struct worker;

struct worker_options {
    unsigned index;
    const struct tls_profile *profile;
    struct log *log;
    uint64_t seed;
    struct hash_key hash_key;
    struct metrics_shard *metrics;  /* borrowed */
    struct byte_ring *access_ring;  /* borrowed */
    struct lineage *lineage;        /* borrowed, of all workers; NULL: calls are not correlated */
    struct clients *clients;        /* borrowed, of all workers; NULL: no limit by client */
    struct loop_post *control_post; /* posted when the mailbox to control has something, and when
                                       the access ring has and its reader sleeps */
};

enum worker_message_kind { WORKER_HANDOFF, WORKER_DEAD_LINK, WORKER_CIRCUIT };
struct worker_message { /* malloc'd by the worker, freed by the control thread */
    enum worker_message_kind kind;
    int fd;              /* HANDOFF: owned by the receiver */
    char alpn[32];       /* HANDOFF */
    struct addr from;    /* HANDOFF */
    struct addr peer;    /* DEAD_LINK: a mesh address whose connection failed: a hint to probe it
                         first, never a vote */
    uint64_t endpoint;   /* CIRCUIT: its stable id */
    struct name service; /* CIRCUIT */
    bool open;           /* CIRCUIT */
    enum circuit_cause cause; /* CIRCUIT */
    size_t seen_len;
    uint8_t seen[]; /* HANDOFF: bytes already read */
};

enum err worker_new(const struct worker_options *o, struct worker **out) MUST_USE;
enum err worker_start(struct worker *w) MUST_USE;
/* Gives the worker a snapshot (one reference of the caller's count). Returns one that it never
 * took, or NULL. */
struct snapshot *worker_publish(struct worker *w, struct snapshot *s);
/* A snapshot the worker is done with, or NULL. */
struct snapshot *worker_reclaim(struct worker *w);
/* The next message, or NULL. */
struct worker_message *worker_receive(struct worker *w);
/* Exchanges and TCP sessions in progress; downstream connections; the snapshot generation in use.
 * Any thread. */
uint64_t worker_in_flight(const struct worker *w);
uint64_t worker_sessions(const struct worker *w);
uint64_t worker_generation(const struct worker *w);
/* Whether an answer came from the mesh address `a` over mutual TLS at `since_ms` or later. Any
 * thread. */
bool worker_heard_since(const struct worker *w, const struct addr *a, uint64_t since_ms,
                        uint64_t now_ms);
/* For the watchdog: makes its loop turn, however idle it is. */
void worker_nudge(struct worker *w);
/* How often it has turned for that, or for a snapshot. Any thread. */
uint64_t worker_ticks(const struct worker *w);
/* Ends the loop, closing all connections, and joins the thread. Snapshots come back through
 * worker_reclaim. */
void worker_stop(struct worker *w);
void worker_free(struct worker *w);

#endif
