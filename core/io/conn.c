#include "core/io/conn_impl.h"

#include "core/base/limits.h"
#include "core/io/sock.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGER_OUTPUT_MS 5000u /* for the kernel to take what is queued */
/* Below it a copy is cheaper than a block of its own in what is sent. */
#define MOVE_BYTES_MIN 4096u

/* performance.md 6: an idle downstream connection is at most 512 bytes, its session included. */
static_assert(sizeof(struct conn) <= 272, "an idle connection stays small");

static void on_orphan_end(struct loop_orphan *o, bool cut)
{
    struct conn *c = CONTAINER_OF(o, struct conn, orphan);
    loop_orphan_remove(c->loop, o);
    if (cut) sock_set_abort(c->fd);
    conn_turn_end(c);
}

static struct conn *make(const struct conn_options *o, struct tls_engine *tls)
{
    struct conn *c = slab_get(loop_slab(o->loop, sizeof(*c)));
    if (c == NULL) return NULL;
    CHECK(o->phase == LOOP_FLUSH_PLAIN || o->phase == LOOP_FLUSH_LINK);
    c->magic = CONN_MAGIC;
    c->phase = (uint8_t)o->phase;
    c->fd = -1;
    c->loop = o->loop;
    c->events = o->events;
    c->owner = o->owner;
    c->tls = tls;
    if (tls != NULL) tls_engine_count(tls, loop_held(o->loop));
    CHECK(o->out_max <= UINT32_MAX);
    c->out_max = o->out_max != 0 ? (uint32_t)o->out_max : BODY_HIGH_WATER_BYTES * 4;
    c->flush.on_flush = conn_turn_on_flush;
    c->timer.on_expire = conn_turn_on_deadline;
    iobuf_init(&c->in, loop_pool(o->loop));
    iobuf_init(&c->out, loop_pool(o->loop));
    return c;
}

static void start(struct conn *c, const struct conn_options *o)
{
    if (c->fd >= 0) loop_io_init(&c->io, c->fd, conn_turn_on_ready);
    if (o->open_deadline_ms != 0 && c->state < CONN_OPENING)
        loop_timer_set(c->loop, &c->timer, o->open_deadline_ms);
    conn_turn_interest(c);
}

enum err conn_connect(const struct conn_options *o, const struct target *to,
                      struct tls_engine *take_tls, struct conn **out)
{
    bool done;
    int fd = -1;
    enum err err = sock_connect(to, &fd, &done);
    if (err == ERR_NOMEM || err == ERR_FULL) goto fail_tls;
    struct conn *c = make(o, take_tls);
    if (c == NULL) {
        err = ERR_NOMEM;
        goto fail_fd;
    }
    c->fd = fd;
    c->state = CONN_CONNECTING;
    c->error = err;
    c->remote = to->addr;
    /* When it is done already the first writable event comes at once and says the same. */
    start(c, o);
    if (err != ERR_OK) conn_turn_again(c);
    *out = c;
    return ERR_OK;
fail_fd:
    if (fd >= 0) close(fd);
fail_tls:
    tls_engine_free(take_tls);
    return err;
}

enum err conn_accept(const struct conn_options *o, int take_fd, struct tls_engine *take_tls,
                     struct span seen, struct conn **out)
{
    enum err err = ERR_TOO_LARGE;
    struct conn *c = NULL;
    if (seen.len > READ_BUFFER_BYTES) goto fail;
    err = ERR_NOMEM;
    c = make(o, take_tls);
    if (c == NULL) goto fail;
    err = iobuf_append_span(&c->in, seen);
    if (err != ERR_OK) goto fail_conn;
    c->fd = take_fd;
    c->state = take_tls != NULL ? CONN_HANDSHAKE : CONN_OPENING;
    c->remote = o->remote != NULL ? *o->remote : sock_remote(take_fd);
    start(c, o);
    conn_turn_again(c);
    *out = c;
    return ERR_OK;
fail_conn:
    c->tls = NULL;
    conn_turn_destroy(c);
fail:
    close(take_fd);
    tls_engine_free(take_tls);
    return err;
}

/* May `len` more bytes be queued? */
static enum err may_write(struct conn *c, size_t len)
{
    CHECK_OBJ(c, CONN_MAGIC);
    CHECK(c->state != CONN_CLOSING && c->state != CONN_CLOSED);
    if (c->state == CONN_FAILED || c->error != ERR_OK || c->shut_wanted) return ERR_EOF;
    if (c->tls != NULL && c->eof_seen) return ERR_EOF;
    size_t queued = conn_queued(c);
    if (len <= c->out_max && queued <= c->out_max - len) return ERR_OK;
    c->drain_wanted = true;
    conn_turn_again(c);
    return ERR_FULL;
}

static void queued_more(struct conn *c)
{
    if (conn_queued(c) > conn_low_water(c)) c->drain_wanted = true;
    if (c->error != ERR_OK)
        conn_turn_again(c);
    else
        conn_turn_mark_output(c);
}

enum err conn_write(struct conn *c, struct span data)
{
    enum err err = may_write(c, data.len);
    if (err != ERR_OK) return err;
    err = c->tls != NULL ? conn_tls_queue(c, data) : iobuf_append_span(&c->out, data);
    if (err != ERR_OK) return err;
    queued_more(c);
    return ERR_OK;
}

enum err conn_write_front(struct conn *c, struct iobuf *from, size_t *len)
{
    struct span front = iobuf_front(from);
    bool move = c->tls == NULL && front.len >= MOVE_BYTES_MIN;
    enum err err = move ? may_write(c, front.len) : conn_write(c, front);
    if (err != ERR_OK) return err;
    if (move) {
        iobuf_move_front(&c->out, from);
        queued_more(c);
    } else {
        iobuf_consume(from, front.len);
    }
    *len = front.len;
    return ERR_OK;
}

size_t conn_room(const struct conn *c)
{
    if (c->state == CONN_FAILED || c->shut_wanted || c->error != ERR_OK) return 0;
    if (c->tls == NULL) return c->out.len < c->out_max ? c->out_max - c->out.len : 0;
    return conn_tls_room(c);
}

size_t conn_queued(const struct conn *c)
{
    return c->out.len + c->record_bytes;
}

size_t conn_low_water(const struct conn *c)
{
    size_t quarter = c->out_max / 4;
    return quarter < BODY_LOW_WATER_BYTES ? quarter : BODY_LOW_WATER_BYTES;
}

void conn_ask_drain(struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    c->drain_wanted = true;
}

void conn_rebind(struct conn *c, const struct conn_events *events, void *owner)
{
    CHECK_OBJ(c, CONN_MAGIC);
    CHECK(!c->orphaned);
    c->events = events;
    c->owner = owner;
}

void conn_mark(struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    CHECK(c->events->on_flush != NULL);
    c->produce = true;
    conn_turn_mark_output(c);
}

void conn_pause(struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    if (c->paused) return;
    c->paused = true;
    conn_turn_interest(c);
    conn_turn_watch(c);
}

void conn_resume(struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    if (!c->paused) return;
    c->paused = false;
    if (c->state != CONN_OPEN) return;
    if (c->in.len > 0 || (c->tls != NULL && conn_tls_has_input(c))) conn_turn_again(c);
    conn_turn_interest(c);
}

void conn_shutdown(struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    if (conn_gone(c) || c->shut_wanted) return;
    c->shut_wanted = true;
    conn_turn_again(c);
}

void conn_close(struct conn *c, bool abort)
{
    CHECK_OBJ(c, CONN_MAGIC);
    CHECK(c->state != CONN_CLOSING && c->state != CONN_CLOSED);
    bool open = c->state == CONN_OPEN || c->state == CONN_OPENING;
    if (abort && c->fd >= 0) sock_set_abort(c->fd);
    if (abort || !open || c->error != ERR_OK) {
        conn_turn_end(c);
        return;
    }
    c->state = CONN_CLOSING;
    c->paused = false;
    loop_timer_set(c->loop, &c->timer, loop_now_ms(c->loop) + LINGER_OUTPUT_MS);
    c->orphaned = true;
    c->orphan = (struct loop_orphan){.on_end = on_orphan_end};
    loop_orphan_add(c->loop, &c->orphan);
    conn_turn_interest(c);
    conn_turn_again(c);
}

void conn_close_last(struct conn *c)
{
    /* It has sent more all the same, which closing would answer with a reset. */
    c->last = c->tls == NULL && c->in.len == 0;
    conn_close(c, false);
}

const struct x509_leaf *conn_peer(const struct conn *c)
{
    return c->tls != NULL ? tls_engine_peer(c->tls) : NULL;
}

struct tls_engine *conn_engine(struct conn *c)
{
    return c->tls;
}

const struct addr *conn_remote(const struct conn *c)
{
    return &c->remote;
}

struct addr conn_local(const struct conn *c)
{
    return c->fd >= 0 ? sock_local(c->fd) : (struct addr){.family = ADDR_NONE};
}

bool conn_still(const struct conn *c)
{
    char byte;
    if (c->fd < 0) return false;
    return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && err_from_errno(errno) == ERR_AGAIN;
}

uint64_t conn_sent_total(const struct conn *c)
{
    return c->sent_total;
}
