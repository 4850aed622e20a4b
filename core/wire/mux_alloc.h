/* Size-classed allocator for nghttp2 and for links: blocks are kept when freed, so that a warm
 * connection allocates nothing.
 *
 * One thread; shared by all its connections of wire/mux.h. Requests above MUX_ALLOC_BLOCK_MAX go to
 * malloc (session tables, at connection start). `bytes_max` bounds what is held, live and free; of
 * free ones a part of it is kept, and none that stand in the way of another.
 *
 *      | class or large size | bytes ... |      8-byte header before each block
 */
#ifndef CORE_WIRE_MUX_ALLOC_H
#define CORE_WIRE_MUX_ALLOC_H

#include <stddef.h>

#define MUX_ALLOC_CLASSES   9u
#define MUX_ALLOC_BLOCK_MAX 16384u

struct mux_alloc_block;

struct mux_alloc {
    struct mux_alloc_block *free_list[MUX_ALLOC_CLASSES]; /* owned */
    size_t bytes_held, bytes_free;                        /* of those, on the free lists */
    size_t bytes_max;
    size_t mallocs_total;
};

void mux_alloc_init(struct mux_alloc *a, size_t bytes_max);
/* Every block must have been put back. */
void mux_alloc_fini(struct mux_alloc *a);
/* What `len` bytes take. */
size_t mux_alloc_bytes(size_t len);
/* What `p` takes; NULL: nothing. */
size_t mux_alloc_taken(void *p);
/* NULL: over the bound or out of memory. */
void *mux_alloc_get(struct mux_alloc *a, size_t len);
void mux_alloc_put(struct mux_alloc *a, void *p); /* NULL is fine */
/* As realloc(3). */
void *mux_alloc_resize(struct mux_alloc *a, void *p, size_t len);

#endif
