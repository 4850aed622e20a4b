/* Rings between two threads, lock-free, one producer and one consumer each.
 *
 * ring: pointers; a mailbox. byte_ring: variable-size records (log lines), a record is kept whole
 * or dropped and counted. The producer publishes `head` with release, the consumer reads it with
 * acquire, and the other way round for `tail`.
 */
#ifndef CORE_BASE_RING_H
#define CORE_BASE_RING_H

#include <stdatomic.h>

#include "core/base/err.h"
#include "core/base/span.h"

struct ring {
    void **slot; /* owned */
    size_t cap;  /* power of two */
    _Alignas(64) _Atomic size_t head;
    _Alignas(64) _Atomic size_t tail;
};

/* `cap`: a power of two. */
enum err ring_init(struct ring *r, size_t cap) MUST_USE;
void ring_fini(struct ring *r);
/* Producer. ERR_FULL. */
enum err ring_push(struct ring *r, void *item) MUST_USE;
/* Consumer. NULL: empty. */
void *ring_pop(struct ring *r);

struct byte_ring {
    uint8_t *data; /* owned */
    size_t cap;    /* power of two */
    _Alignas(64) _Atomic size_t head;
    _Atomic uint64_t dropped; /* records refused for lack of room */
    _Alignas(64) _Atomic size_t tail;
};

enum err byte_ring_init(struct byte_ring *r, size_t cap) MUST_USE;
void byte_ring_fini(struct byte_ring *r);
/* Producer. False: no room, counted in `dropped`. An empty record is nothing and true. */
bool byte_ring_put(struct byte_ring *r, struct span record);
/* Consumer: copies the oldest record into `dst` (cap bytes); its length, or 0 when empty. A record
 * longer than `cap` is dropped and counted. */
size_t byte_ring_get(struct byte_ring *r, void *dst, size_t cap);

#endif
