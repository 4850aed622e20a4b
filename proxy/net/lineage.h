/* Lineage: what the requests came with that a local application is working on, found again by the
 * trace that the application forwards (W3C Trace Context 3.2.2) when it makes calls of its own.
 *
 *   slot   63          40 39     38      37  32 31              0
 *          +-------------+-------+-------+-----+----------------+
 *          | tag         | again | failed|  0  | deadline, ms   |   slot and tag: of the keyed hash
 *          +-------------+-------+-------+-----+----------------+   of trace id and service
 *
 * One for all workers of a process: the call may come to another worker than the request did. Each
 * slot is one word, stored and loaded relaxed: nothing else is read by way of it. Two requests in
 * one slot overwrite each other: what is lost is a deadline or a hint, which are then the caller's
 * own, as if the application did not forward the trace.
 */
#ifndef PROXY_NET_LINEAGE_H
#define PROXY_NET_LINEAGE_H

#include <stdatomic.h>

#include "core/base/hash.h"
#include "core/base/span.h"

#define LINEAGE_SLOTS 8192u

struct lineage {
    struct hash_key key;
    _Atomic uint64_t slot[LINEAGE_SLOTS];
};

struct lineage_place {
    _Atomic uint64_t *slot; /* borrowed; NULL: there is no trace */
    uint64_t tag;           /* in its upper bits */
};

struct lineage_facts {
    uint64_t deadline_ms; /* monotonic; 0: none */
    bool again;           /* the request is itself a retry of the hop above */
    bool failed;          /* a call below has failed for good */
};

/* Of all-zero storage; the key is any secret. */
void lineage_init(struct lineage *l, const struct hash_key *key);
/* Where requests to `service` of the trace in `traceparent` are noted. `l` may be NULL. */
struct lineage_place lineage_place(struct lineage *l, struct span traceparent, struct span service);
/* A request begins. */
void lineage_note(const struct lineage_place *p, const struct lineage_facts *f);
/* All zero when nothing is known. */
struct lineage_facts lineage_look(const struct lineage_place *p, uint64_t now_ms);
/* A call made for the request has failed for good. */
void lineage_fail(const struct lineage_place *p);
/* The request is over: what the application does for it from now on is under no deadline. */
void lineage_forget(const struct lineage_place *p);

#endif
