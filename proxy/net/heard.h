/* Heard: when a worker last got an answer from a mesh address over mutual TLS, for the control
 * thread's failure detector (gossip.md 3.2 item 7).
 *
 *   slot   63            32 31             0
 *          +---------------+---------------+
 *          | tag of addr   | milliseconds  |   slot and tag: of the address's keyed hash
 *          +---------------+---------------+
 *
 * One worker's thread notes, with one store to memory that is its own; any thread looks. The store
 * is relaxed and pairs with a relaxed load: nothing else is read by way of it. Two addresses in one
 * slot overwrite each other: what is lost is a hint that the detector does without.
 */
#ifndef PROXY_NET_HEARD_H
#define PROXY_NET_HEARD_H

#include <stdatomic.h>

#include "core/base/hash.h"
#include "core/model/addr.h"

#define HEARD_SLOTS 1024u

struct heard {
    struct hash_key key;
    _Atomic uint64_t slot[HEARD_SLOTS];
};

/* Where one address is noted. */
struct heard_place {
    _Atomic uint64_t *slot; /* borrowed */
    uint64_t tag;           /* in its upper half */
};

/* Of all-zero storage; the key is any secret. */
void heard_init(struct heard *h, const struct hash_key *key);
struct heard_place heard_place(struct heard *h, const struct addr *a);
/* An answer came at `now_ms`, monotonic. */
static inline void heard_note(const struct heard_place *p, uint64_t now_ms)
{
    atomic_store_explicit(p->slot, p->tag | (uint32_t)now_ms, memory_order_relaxed);
}
/* Whether one came from `a` at `since_ms`, at most weeks ago, or later. Any thread. */
bool heard_since(const struct heard *h, const struct addr *a, uint64_t since_ms, uint64_t now_ms);

#endif
