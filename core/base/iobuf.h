/* I/O buffers: a queue of bytes as a chain of fixed blocks from a per-thread pool.
 *
 *   iobuf: head -> [....dddddd] -> [dddddddddd] -> [ddd.......] <- tail        d = unread bytes
 *
 * One thread owns a pool and all chains made from it. Blocks are taken when bytes are written and
 * given back when they are read, so an idle connection holds none. The pool keeps freed blocks, as
 * many as its owner says: warm, nothing is malloc'd.
 */
#ifndef CORE_BASE_IOBUF_H
#define CORE_BASE_IOBUF_H

#include "core/base/err.h"
#include "core/base/span.h"

struct iobuf_block;

struct iobuf_pool {
    struct iobuf_block *free_list; /* owned */
    size_t block_bytes;            /* payload of a block */
    size_t blocks_max;             /* live */
    size_t blocks_kept;            /* free ones beyond it go back to the system */
    size_t blocks_live;
    size_t blocks_free;
    size_t blocks_unused; /* free ones that nobody took since iobuf_pool_trim */
};

struct iobuf {
    struct iobuf_pool *pool; /* borrowed */
    struct iobuf_block *head, *tail;
    size_t len; /* unread bytes */
};

void iobuf_pool_init(struct iobuf_pool *pool, size_t block_bytes, size_t blocks_max);
/* Every chain must be empty. */
void iobuf_pool_fini(struct iobuf_pool *pool);

/* Frees the free blocks that were not needed since the last call, all but `kept` of them; how many
 * bytes. */
size_t iobuf_pool_trim(struct iobuf_pool *pool, size_t kept);

void iobuf_init(struct iobuf *b, struct iobuf_pool *pool);
/* Drops all bytes. The iobuf stays usable. */
void iobuf_clear(struct iobuf *b);
/* Copies all of it or nothing: ERR_FULL when the pool's bound is reached, ERR_NOMEM. */
enum err iobuf_append(struct iobuf *b, const void *p, size_t len) MUST_USE;
static inline enum err iobuf_append_span(struct iobuf *b, struct span s)
{
    return iobuf_append(b, s.p, s.len);
}
/* The unread bytes of the first block; empty when there are none. Borrowed until the next change.
 */
struct span iobuf_front(const struct iobuf *b);
/* Drops the first `len` <= b->len bytes. */
void iobuf_consume(struct iobuf *b, size_t len);
/* Moves every block of `src` behind `dst` (same pool); no byte is copied. */
void iobuf_move(struct iobuf *dst, struct iobuf *src);
/* Moves the first block of `src`, which is not empty, behind `dst` (same pool). */
void iobuf_move_front(struct iobuf *dst, struct iobuf *src);
/* The unread bytes as the runs that they lie in, up to `cap` of them; how many. Borrowed until the
 * next change. */
size_t iobuf_runs(const struct iobuf *b, struct span *out, size_t cap);
/* Puts `count` empty blocks into `b`, which has none, for a reader to fill; each as a run in `out`.
 * iobuf_filled must follow. ERR_FULL, ERR_NOMEM: `b` is as before. */
enum err iobuf_room(struct iobuf *b, size_t count, struct span *out) MUST_USE;
/* The first `len` bytes of that room were written, in order; blocks without any go back. */
void iobuf_filled(struct iobuf *b, size_t len);
/* Copies up to `cap` first bytes out without consuming; the count. */
size_t iobuf_peek(const struct iobuf *b, void *dst, size_t cap);

#endif
