/* Event loop: libev, one a thread, with deadlines and the two-phase flush of performance.md 7.
 *
 * A turn drains every ready descriptor (collecting output), then, before it sleeps, flushes what
 * became dirty: first plain connections (LOOP_FLUSH_PLAIN), then mesh links (LOOP_FLUSH_LINK), so
 * that many requests share one TLS record and one send. Everything here belongs to the loop's
 * thread, except loop_post.
 */
#ifndef CORE_IO_LOOP_H
#define CORE_IO_LOOP_H

#include <ev.h>

#include "core/base/heap.h"
#include "core/base/held.h"
#include "core/base/iobuf.h"
#include "core/base/list.h"
#include "core/base/slab.h"

#define LOOP_OBJECTS_MAX 262144u /* of one size, in a slab: connections, sessions, .. */
/* Deadlines at once: one for each connection, session and upstream codec, in slabs of their own,
 * and for each exchange. Address space for all of them is reserved at start, so none can be
 * refused. */
#define LOOP_TIMERS_MAX  (LOOP_OBJECTS_MAX * 4u)
#define LOOP_BLOCK_BYTES 16384u /* a block of the pool: one TLS record's plaintext */
#define LOOP_BLOCKS_MAX  16384u /* 256 MiB a loop */
#define LOOP_SLABS_MAX   16u    /* object sizes */
/* They are in nobody's limits any more. */
#define LOOP_ORPHANS_MAX 1024u

struct loop;

/* Never libev's default loop: one for each thread. ERR_NOMEM, ERR_FULL (no descriptor), ERR_IO. */
enum err loop_new(struct loop **out) MUST_USE;
/* Ends the orphans and what waits in LOOP_FLUSH_FREE, then the loop. Everything else registered
 * must be gone. NULL is fine. */
void loop_free(struct loop *l);
/* Runs until loop_stop; what was marked by then is still flushed. May be called again. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* Monotonic milliseconds, read once a turn. */
uint64_t loop_now_ms(const struct loop *l);
/* Read afresh: monotonic microseconds for latencies, and Unix time. */
uint64_t loop_now_us(const struct loop *l);
int64_t loop_wall_s(const struct loop *l);
/* The Unix time of a moment of this turn that loop_now_us has told. */
uint64_t loop_wall_at(const struct loop *l, uint64_t now_us);
uint64_t loop_wall_us(const struct loop *l);
/* The thread's shared read buffer (READ_BUFFER_BYTES) and block pool. */
uint8_t *loop_read_buffer(struct loop *l);
/* What TLS connections hold beside blocks of the pool, as their engines count it. */
struct held *loop_held(struct loop *l);
/* The one that output is made in, WRITE_BUFFER_BYTES. */
uint8_t *loop_write_buffer(struct loop *l);
struct iobuf_pool *loop_pool(struct loop *l);
/* How much of it a connection reads at once: all, or less from now on (what is read and cannot go
 * on waits in memory). */
size_t loop_read_bytes(const struct loop *l);
void loop_limit_reads(struct loop *l, size_t bytes);
/* The thread's slab for objects of this size, made at the first call; it lives as long as the loop.
 * At most LOOP_SLABS_MAX sizes, LOOP_OBJECTS_MAX objects of each. */
struct slab *loop_slab(struct loop *l, size_t object_bytes);

/* Descriptor watcher, embedded by its owner; zero-initialise. */
struct loop_io {
    ev_io ev;
    void (*on_ready)(struct loop_io *io, bool readable, bool writable);
};
void loop_io_init(struct loop_io *io, int fd, void (*on_ready)(struct loop_io *, bool, bool));
/* Changes interest; both false stops it. Cheap when nothing changes. */
void loop_io_set(struct loop *l, struct loop_io *io, bool readable, bool writable);

/* One-shot deadline, embedded; zero-initialise, set `on_expire`. All share one heap and one
 * ev_timer. */
struct loop_timer {
    struct heap_node node;
    void (*on_expire)(struct loop_timer *t);
};
void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t deadline_ms);
void loop_timer_clear(struct loop *l, struct loop_timer *t);

/* End-of-turn flush, embedded; zero-initialise, set `on_flush`. Marking twice is once. on_flush may
 * mark again (next turn) and may free its own object. */
enum loop_flush_phase { LOOP_FLUSH_PLAIN, LOOP_FLUSH_LINK, LOOP_FLUSH_FREE, LOOP_FLUSH_PHASES };
struct loop_flush {
    struct list node;
    void (*on_flush)(struct loop_flush *f);
};
void loop_flush_mark(struct loop *l, struct loop_flush *f, enum loop_flush_phase phase);
void loop_flush_clear(struct loop_flush *f);

/* Something that ends by itself and has no owner left (a closing connection that lingers);
 * embedded, zero-initialise. on_end must remove it: loop_free calls it of each that is still there,
 * loop_orphan_add of the oldest, `cut`, when there are LOOP_ORPHANS_MAX. Removing twice is once. */
struct loop_orphan {
    struct list node;
    void (*on_end)(struct loop_orphan *o, bool cut);
};
void loop_orphan_add(struct loop *l, struct loop_orphan *o);
void loop_orphan_remove(struct loop *l, struct loop_orphan *o);
/* How many were cut, ever. */
uint64_t loop_orphans_cut(const struct loop *l);

/* Wakes the loop from another thread: `on_post` runs on the loop's thread soon (posts may merge).
 */
struct loop_post {
    ev_async ev;
    struct loop *loop;
    void (*on_post)(struct loop_post *p);
};
void loop_post_init(struct loop *l, struct loop_post *p, void (*on_post)(struct loop_post *));
void loop_post_fini(struct loop_post *p);
/* Any thread. */
void loop_post(struct loop_post *p);

/* Signal on this loop (control thread only). */
struct loop_signal {
    ev_signal ev;
    void (*on_signal)(struct loop_signal *s, int signum);
};
void loop_signal_start(struct loop *l, struct loop_signal *s, int signum,
                       void (*on_signal)(struct loop_signal *, int));
void loop_signal_stop(struct loop *l, struct loop_signal *s);

#endif
