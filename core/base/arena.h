/* Arena: bump allocation with one free.
 *
 * One owner, one thread at a time. Chunks come from malloc and are kept by arena_reset, so that a
 * warm arena allocates nothing. `bytes_max` bounds the total: past it arena_alloc gives NULL.
 */
#ifndef CORE_BASE_ARENA_H
#define CORE_BASE_ARENA_H

#include "core/base/span.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *first; /* owned */
    struct arena_chunk *current;
    size_t chunk_bytes;
    size_t bytes_max;
    size_t bytes_used; /* sum over chunks, padding included */
};

/* `chunk_bytes`: size of a chunk (a larger request gets its own). Allocates nothing yet. */
void arena_init(struct arena *a, size_t chunk_bytes, size_t bytes_max);
void arena_fini(struct arena *a);
/* Forgets all objects; keeps chunks of the ordinary size. */
void arena_reset(struct arena *a);
/* `len` bytes, zeroed, aligned to 16. NULL when the bound or memory is exhausted. len 0 gives a
 * valid pointer. */
void *arena_alloc(struct arena *a, size_t len);
/* count * size, checked. */
void *arena_array(struct arena *a, size_t count, size_t size);
/* A copy with a NUL behind it; NULL when full. */
char *arena_dup(struct arena *a, const void *p, size_t len);
/* As arena_dup, as a span; {NULL,0} when full. */
struct span arena_span(struct arena *a, struct span s);
char *arena_fmt(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
