/* Deadline heap: a 4-ary min-heap of intrusive nodes keyed by (key, insertion order).
 *
 *   slot  | key, order, node | ...   four children lie side by side: a step down looks at no node
 *
 * One thread. The heap owns its array, not the nodes; a node is in at most one heap. Equal keys
 * leave in the order they came, which keeps simulations replayable.
 */
#ifndef CORE_BASE_HEAP_H
#define CORE_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

struct heap_node {
    uint64_t key; /* for deadlines: milliseconds */
    size_t pos;   /* 1-based position; 0: on no heap */
};

struct heap_slot {
    uint64_t key, seq;
    struct heap_node *node;
};

struct heap {
    struct heap_slot *slot; /* owned array */
    size_t count;
    size_t cap;
    size_t count_max;
    uint64_t seq_next;
};

void heap_init(struct heap *h, size_t count_max);
void heap_fini(struct heap *h);
/* Makes room for `count` <= count_max nodes, so that heap_set cannot lack memory below it.
 * ERR_FULL, ERR_NOMEM: unchanged. */
enum err heap_reserve(struct heap *h, size_t count) MUST_USE;
/* Inserts, or moves the node to its new key. ERR_FULL, ERR_NOMEM. */
enum err heap_set(struct heap *h, struct heap_node *n, uint64_t key) MUST_USE;
/* No effect when it is on no heap. */
void heap_remove(struct heap *h, struct heap_node *n);
struct heap_node *heap_min(const struct heap *h);
struct heap_node *heap_pop(struct heap *h);

#endif
