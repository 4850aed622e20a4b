/* Byte ring: records of any length (log lines) between two threads, lock-free, one producer and one
 * consumer. A record is kept whole or dropped and counted.
 *
 *   data: [len 4][bytes...][len 4][bytes...]   counted on without wrapping, stored modulo `cap`
 *
 * The producer publishes `head` with release, the consumer reads it with acquire, and the other way
 * round for `tail`. A consumer without work may sleep: both exchange `asleep` with acquire and
 * release, the consumer before it looks once more, the producer after it put. Whoever comes second
 * sees what the other did.
 */
#ifndef CORE_BASE_BYTE_RING_H
#define CORE_BASE_BYTE_RING_H

#include <stdatomic.h>

#include "core/base/err.h"
#include "core/base/span.h"

struct byte_ring {
    uint8_t *data; /* owned */
    size_t cap;    /* power of two */
    _Alignas(64) _Atomic size_t head;
    _Atomic uint64_t dropped; /* records refused for lack of room */
    _Alignas(64) _Atomic size_t tail;
    _Atomic bool asleep; /* the consumer waits to be woken */
};

enum err byte_ring_init(struct byte_ring *r, size_t cap) MUST_USE;
void byte_ring_fini(struct byte_ring *r);
/* Producer. False: no room, counted in `dropped`. An empty record is nothing and true. */
bool byte_ring_put(struct byte_ring *r, struct span record);
/* Consumer: copies the oldest record into `dst` (cap bytes); its length, or 0 when empty. A record
 * longer than `cap` is dropped and counted. */
size_t byte_ring_get(struct byte_ring *r, void *dst, size_t cap);
/* Consumer: from now on the producer is to wake us. False: a record is there already, and nobody
 * will. */
bool byte_ring_sleep(struct byte_ring *r);
/* Producer, after a put: whether the consumer sleeps and is now to be woken; true once a sleep. */
bool byte_ring_wakes(struct byte_ring *r);

#endif
