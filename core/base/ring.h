/* Ring: a mailbox of pointers between two threads, lock-free, one producer and one consumer.
 *
 * The producer publishes `head` with release, the consumer reads it with acquire, and the other way
 * round for `tail`. Items are borrowed.
 */
#ifndef CORE_BASE_RING_H
#define CORE_BASE_RING_H

#include <stdatomic.h>
#include <stddef.h>

#include "core/base/err.h"

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

#endif
