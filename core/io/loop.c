#include "core/io/loop.h"

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/io/clock.h"

#include <stdlib.h>

#define LOOP_MAGIC       0x6c6f6f70u
#define STOP_FLUSHES_MAX 16u

struct loop {
    uint32_t magic;
    bool idle_running;
    struct ev_loop *ev; /* owned */
    ev_check check;
    ev_prepare prepare;
    ev_idle idle;
    ev_timer timer;
    uint64_t armed_ms; /* deadline `timer` runs for; 0: stopped */
    uint64_t now_us;
    uint64_t wall_us; /* at `now_us` */
    struct heap timers;
    struct list dirty[LOOP_FLUSH_PHASES];
    struct list orphans; /* the oldest first */
    size_t orphan_count;
    uint64_t orphans_cut;
    struct iobuf_pool pool;
    struct slab slab[LOOP_SLABS_MAX];
    size_t slab_bytes[LOOP_SLABS_MAX]; /* as asked for; 0: unused */
    uint8_t *read_buffer;              /* owned */
    uint8_t *write_buffer;             /* owned */
    struct held held;
    size_t read_bytes; /* of it, for one read */
};

static bool any_dirty(const struct loop *l)
{
    for (size_t phase = 0; phase < LOOP_FLUSH_PHASES; phase++)
        if (!list_empty(&l->dirty[phase])) return true;
    return false;
}

/* Only what is on the list now: what a flush marks again waits for the next turn, so a turn ends.
 */
static void flush_phase(struct loop *l, enum loop_flush_phase phase)
{
    struct list *dirty = &l->dirty[phase];
    struct list batch;
    list_take(&batch, dirty);
    for (struct list *node; (node = list_first(&batch)) != NULL;) {
        struct loop_flush *f = LIST_ENTRY(node, struct loop_flush, node);
        list_remove(node);
        f->on_flush(f);
    }
}

static void flush_all(struct loop *l)
{
    flush_phase(l, LOOP_FLUSH_PLAIN);
    flush_phase(l, LOOP_FLUSH_LINK);
    flush_phase(l, LOOP_FLUSH_FREE);
}

/* Both clocks stand still between two polls, so the distance is exact however long the turn took.
 */
static void arm_timer(struct loop *l)
{
    const struct heap_node *first = heap_min(&l->timers);
    uint64_t deadline_ms = first != NULL ? (first->key != 0 ? first->key : 1) : 0;
    if (deadline_ms == l->armed_ms && (deadline_ms == 0 || ev_is_active(&l->timer))) return;
    ev_timer_stop(l->ev, &l->timer);
    l->armed_ms = deadline_ms;
    if (deadline_ms == 0) return;
    uint64_t now_ms = l->now_us / 1000u;
    double after_s = 0.;
    /* From the start of this millisecond's tail: never early by the fraction that now_ms drops. */
    if (deadline_ms > now_ms)
        after_s = (double)(deadline_ms - now_ms) / 1e3 - (double)(l->now_us % 1000u) / 1e6;
    ev_timer_set(&l->timer, after_s, 0.);
    ev_timer_start(l->ev, &l->timer);
}

static void on_prepare(struct ev_loop *ev, ev_prepare *w, int revents)
{
    struct loop *l = w->data;
    (void)revents;
    flush_all(l);
    arm_timer(l);
    bool dirty = any_dirty(l);
    if (dirty == l->idle_running) return;
    l->idle_running = dirty;
    if (dirty)
        ev_idle_start(ev, &l->idle);
    else
        ev_idle_stop(ev, &l->idle);
}

static void read_clocks(struct loop *l)
{
    l->now_us = clock_mono_us();
    l->wall_us = clock_wall_us();
}

static void on_check(struct ev_loop *ev, ev_check *w, int revents)
{
    struct loop *l = w->data;
    (void)ev;
    (void)revents;
    read_clocks(l);
}

/* An active idle watcher keeps the loop from sleeping; that is all it is for. */
static void on_idle(struct ev_loop *ev, ev_idle *w, int revents)
{
    (void)ev;
    (void)w;
    (void)revents;
}

/* At most as many as there were, so that a deadline set in the past by its own callback cannot
 * hold the turn. */
static void on_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
    struct loop *l = w->data;
    uint64_t now_ms = l->now_us / 1000u;
    (void)ev;
    (void)revents;
    l->armed_ms = 0;
    for (size_t left = l->timers.count; left > 0; left--) {
        struct heap_node *first = heap_min(&l->timers);
        if (first == NULL || first->key > now_ms) break;
        heap_remove(&l->timers, first);
        struct loop_timer *t = CONTAINER_OF(first, struct loop_timer, node);
        t->on_expire(t);
    }
}

static void start_watchers(struct loop *l)
{
    ev_prepare_init(&l->prepare, on_prepare);
    ev_check_init(&l->check, on_check);
    ev_idle_init(&l->idle, on_idle);
    ev_timer_init(&l->timer, on_timer, 0., 0.);
    l->prepare.data = l->check.data = l->idle.data = l->timer.data = l;
    /* Time is read before any other watcher of the turn runs. */
    ev_set_priority(&l->check, EV_MAXPRI);
    ev_prepare_start(l->ev, &l->prepare);
    ev_check_start(l->ev, &l->check);
}

/* libev makes room for idle watchers and expired timers when the first of them comes: now, not
 * under load. */
static void make_room(struct loop *l)
{
    ev_idle_start(l->ev, &l->idle);
    ev_timer_start(l->ev, &l->timer);
    ev_run(l->ev, EVRUN_NOWAIT);
    ev_idle_stop(l->ev, &l->idle);
}

enum err loop_new(struct loop **out)
{
    enum err err = ERR_NOMEM;
    struct loop *l = calloc(1, sizeof(*l));
    if (l == NULL) return ERR_NOMEM;
    heap_init(&l->timers, LOOP_TIMERS_MAX);
    /* Pages that no timer touches stay unbacked; in return a deadline can always be set. */
    err = heap_reserve(&l->timers, LOOP_TIMERS_MAX);
    if (err != ERR_OK) goto fail_heap;
    l->read_buffer = malloc(READ_BUFFER_BYTES);
    l->write_buffer = malloc(WRITE_BUFFER_BYTES);
    l->read_bytes = READ_BUFFER_BYTES;
    l->held.waiting_max = SIZE_MAX;
    if (l->read_buffer == NULL || l->write_buffer == NULL) {
        err = ERR_NOMEM;
        goto fail_buffer;
    }
    /* performance.md 3: epoll; io_uring and linuxaio cost more here. */
    l->ev = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV | EVFLAG_NOINOTIFY | EVFLAG_NOTIMERFD);
    if (l->ev == NULL) {
        err = ERR_FULL;
        goto fail_buffer;
    }
    l->magic = LOOP_MAGIC;
    read_clocks(l);
    for (size_t phase = 0; phase < LOOP_FLUSH_PHASES; phase++)
        list_init(&l->dirty[phase]);
    list_init(&l->orphans);
    iobuf_pool_init(&l->pool, LOOP_BLOCK_BYTES, LOOP_BLOCKS_MAX);
    start_watchers(l);
    make_room(l);
    *out = l;
    return ERR_OK;
fail_buffer:
    free(l->read_buffer);
    free(l->write_buffer);
fail_heap:
    heap_fini(&l->timers);
    free(l);
    return err;
}

void loop_free(struct loop *l)
{
    if (l == NULL) return;
    CHECK_OBJ(l, LOOP_MAGIC);
    for (struct list *node; (node = list_first(&l->orphans)) != NULL;) {
        struct loop_orphan *o = LIST_ENTRY(node, struct loop_orphan, node);
        o->on_end(o, false);
        CHECK(list_first(&l->orphans) != node);
    }
    while (!list_empty(&l->dirty[LOOP_FLUSH_FREE]))
        flush_phase(l, LOOP_FLUSH_FREE);
    CHECK(!any_dirty(l) && l->timers.count == 0);
    ev_timer_stop(l->ev, &l->timer);
    ev_idle_stop(l->ev, &l->idle);
    ev_check_stop(l->ev, &l->check);
    ev_prepare_stop(l->ev, &l->prepare);
    ev_loop_destroy(l->ev);
    for (size_t i = 0; i < LOOP_SLABS_MAX && l->slab_bytes[i] != 0; i++) {
        CHECK(l->slab[i].objects_live == 0);
        slab_fini(&l->slab[i]);
    }
    iobuf_pool_fini(&l->pool);
    heap_fini(&l->timers);
    free(l->read_buffer);
    free(l->write_buffer);
    l->magic = MAGIC_POISON;
    free(l);
}

void loop_run(struct loop *l)
{
    CHECK_OBJ(l, LOOP_MAGIC);
    read_clocks(l);
    ev_now_update(l->ev);
    ev_run(l->ev, 0);
    /* libev leaves without another prepare; a goodbye marked in the last turn still goes out. */
    for (unsigned i = 0; i < STOP_FLUSHES_MAX && any_dirty(l); i++)
        flush_all(l);
}

void loop_stop(struct loop *l)
{
    CHECK_OBJ(l, LOOP_MAGIC);
    ev_break(l->ev, EVBREAK_ALL);
}

uint64_t loop_now_ms(const struct loop *l)
{
    return l->now_us / 1000u;
}

uint64_t loop_now_us(const struct loop *l)
{
    (void)l;
    return clock_mono_us();
}

int64_t loop_wall_s(const struct loop *l)
{
    (void)l;
    return clock_wall_s();
}

uint64_t loop_wall_at(const struct loop *l, uint64_t now_us)
{
    return l->wall_us + (now_us - l->now_us);
}

uint64_t loop_wall_us(const struct loop *l)
{
    (void)l;
    return clock_wall_us();
}

size_t loop_read_bytes(const struct loop *l)
{
    return l->read_bytes;
}

void loop_limit_reads(struct loop *l, size_t bytes)
{
    CHECK(bytes > 0 && bytes <= READ_BUFFER_BYTES);
    l->read_bytes = bytes;
}

uint8_t *loop_read_buffer(struct loop *l)
{
    return l->read_buffer;
}

struct held *loop_held(struct loop *l)
{
    return &l->held;
}

uint8_t *loop_write_buffer(struct loop *l)
{
    return l->write_buffer;
}

struct iobuf_pool *loop_pool(struct loop *l)
{
    return &l->pool;
}

struct slab *loop_slab(struct loop *l, size_t object_bytes)
{
    CHECK_OBJ(l, LOOP_MAGIC);
    size_t i = 0;
    while (i < LOOP_SLABS_MAX && l->slab_bytes[i] != 0 && l->slab_bytes[i] != object_bytes)
        i++;
    CHECK(i < LOOP_SLABS_MAX);
    if (l->slab_bytes[i] == 0) {
        slab_init(&l->slab[i], object_bytes, LOOP_OBJECTS_MAX);
        l->slab_bytes[i] = object_bytes;
    }
    return &l->slab[i];
}

static void on_io(struct ev_loop *ev, ev_io *w, int revents)
{
    struct loop_io *io = CONTAINER_OF(w, struct loop_io, ev);
    (void)ev;
    /* EV_ERROR: the next call on the descriptor says what is wrong. */
    bool error = (revents & (int)EV_ERROR) != 0;
    io->on_ready(io, error || (revents & EV_READ) != 0, error || (revents & EV_WRITE) != 0);
}

void loop_io_init(struct loop_io *io, int fd, void (*on_ready)(struct loop_io *, bool, bool))
{
    CHECK(fd >= 0 && on_ready != NULL);
    *io = (struct loop_io){.on_ready = on_ready};
    ev_io_init(&io->ev, on_io, fd, EV_NONE);
}

void loop_io_set(struct loop *l, struct loop_io *io, bool readable, bool writable)
{
    int want = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);
    int have = ev_is_active(&io->ev) ? io->ev.events & (EV_READ | EV_WRITE) : 0;
    if (want == have) return;
    if (have != 0) ev_io_stop(l->ev, &io->ev);
    if (want == 0) return;
    ev_io_modify(&io->ev, want);
    ev_io_start(l->ev, &io->ev);
}

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t deadline_ms)
{
    CHECK_OBJ(l, LOOP_MAGIC);
    CHECK(t->on_expire != NULL);
    CHECK(heap_set(&l->timers, &t->node, deadline_ms) == ERR_OK);
}

void loop_timer_clear(struct loop *l, struct loop_timer *t)
{
    heap_remove(&l->timers, &t->node);
}

void loop_flush_mark(struct loop *l, struct loop_flush *f, enum loop_flush_phase phase)
{
    CHECK(f->on_flush != NULL && phase < LOOP_FLUSH_PHASES);
    if (list_linked(&f->node)) return;
    list_push_back(&l->dirty[phase], &f->node);
}

void loop_flush_clear(struct loop_flush *f)
{
    list_remove(&f->node);
}

void loop_orphan_add(struct loop *l, struct loop_orphan *o)
{
    CHECK(o->on_end != NULL);
    if (l->orphan_count == LOOP_ORPHANS_MAX) {
        struct list *oldest = list_first(&l->orphans);
        struct loop_orphan *cut = LIST_ENTRY(oldest, struct loop_orphan, node);
        l->orphans_cut++;
        cut->on_end(cut, true);
        CHECK(l->orphan_count < LOOP_ORPHANS_MAX);
    }
    list_push_back(&l->orphans, &o->node);
    l->orphan_count++;
}

void loop_orphan_remove(struct loop *l, struct loop_orphan *o)
{
    if (!list_linked(&o->node)) return;
    list_remove(&o->node);
    l->orphan_count--;
}

uint64_t loop_orphans_cut(const struct loop *l)
{
    return l->orphans_cut;
}

static void on_async(struct ev_loop *ev, ev_async *w, int revents)
{
    struct loop_post *p = CONTAINER_OF(w, struct loop_post, ev);
    (void)ev;
    (void)revents;
    p->on_post(p);
}

void loop_post_init(struct loop *l, struct loop_post *p, void (*on_post)(struct loop_post *))
{
    CHECK_OBJ(l, LOOP_MAGIC);
    *p = (struct loop_post){.loop = l, .on_post = on_post};
    ev_async_init(&p->ev, on_async);
    ev_async_start(l->ev, &p->ev);
}

void loop_post_fini(struct loop_post *p)
{
    if (p->loop == NULL) return;
    ev_async_stop(p->loop->ev, &p->ev);
    p->loop = NULL;
}

void loop_post(struct loop_post *p)
{
    ev_async_send(p->loop->ev, &p->ev);
}

static void on_signal_event(struct ev_loop *ev, ev_signal *w, int revents)
{
    struct loop_signal *s = CONTAINER_OF(w, struct loop_signal, ev);
    (void)ev;
    (void)revents;
    s->on_signal(s, w->signum);
}

void loop_signal_start(struct loop *l, struct loop_signal *s, int signum,
                       void (*on_signal)(struct loop_signal *, int))
{
    CHECK_OBJ(l, LOOP_MAGIC);
    *s = (struct loop_signal){.on_signal = on_signal};
    ev_signal_init(&s->ev, on_signal_event, signum);
    ev_signal_start(l->ev, &s->ev);
}

void loop_signal_stop(struct loop *l, struct loop_signal *s)
{
    ev_signal_stop(l->ev, &s->ev);
}
