#include "core/io/conn_impl.h"

#include "core/base/limits.h"
#include "core/base/uncleared.h"
#include "core/io/sock.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define LINGER_PEER_MS 2000u /* after our FIN, for the peer's */
#define PAUSED_LOOK_MS 500u
#define SEND_RUNS_MAX  16u /* 256 KiB in one call */
#define READ_BLOCKS    (READ_BUFFER_BYTES / LOOP_BLOCK_BYTES)
#define BULK_BYTES_MIN LOOP_BLOCK_BYTES

static_assert(READ_BUFFER_BYTES % LOOP_BLOCK_BYTES == 0, "either way as much is read");

static bool wants_read(const struct conn *c)
{
    if (c->eof_seen) return false;
    if (c->state == CONN_CLOSING) return true;
    if (c->in.len > 0) return false;
    if (c->state == CONN_HANDSHAKE) return true;
    /* The engine takes no bytes while its close_notify waits to be sent. */
    bool farewell = c->tls_closing && !c->shut_done;
    return conn_may_deliver(c) && !farewell;
}

void conn_turn_interest(struct conn *c)
{
    bool alive = c->state != CONN_FAILED && c->state != CONN_CLOSED;
    if (c->fd < 0) return;
    loop_io_set(c->loop, &c->io, wants_read(c),
                alive && (c->blocked || c->state == CONN_CONNECTING));
}

void conn_turn_again(struct conn *c)
{
    if (c->flushing)
        c->again = true;
    else
        loop_flush_mark(c->loop, &c->flush, c->phase);
}

void conn_turn_mark_output(struct conn *c)
{
    if (c->flushing || c->blocked || (c->state != CONN_OPEN && c->state != CONN_OPENING)) return;
    loop_flush_mark(c->loop, &c->flush, c->phase);
}

/* Nothing is read: paused, or a plain peer's side has ended while ours goes on. */
static bool is_deaf(const struct conn *c)
{
    return c->state == CONN_OPEN && (c->paused || (c->eof_seen && c->tls == NULL));
}

/* The timer is left running when reading goes on, so that pausing costs nothing twice. */
void conn_turn_watch(struct conn *c)
{
    if (!is_deaf(c) || c->timer.node.pos != 0) return;
    loop_timer_set(c->loop, &c->timer, loop_now_ms(c->loop) + PAUSED_LOOK_MS);
}

/* libev forgets a descriptor nobody reads or writes, with it the error that epoll would tell. */
static void look_for_reset(struct conn *c)
{
    struct pollfd p = {.fd = c->fd};
    bool reset = poll(&p, 1, 0) > 0 && (p.revents & POLLERR) != 0;
    if (!reset) {
        conn_turn_watch(c);
        return;
    }
    enum err err = sock_error(c->fd);
    conn_turn_fail(c, err != ERR_OK ? err : ERR_RESET);
}

/* Nothing more to do but to give everything back at the turn's end. */
void conn_turn_end(struct conn *c)
{
    c->state = CONN_CLOSED;
    conn_turn_interest(c);
    loop_timer_clear(c->loop, &c->timer);
    loop_flush_clear(&c->flush);
    loop_flush_mark(c->loop, &c->flush, LOOP_FLUSH_FREE);
}

void conn_turn_destroy(struct conn *c)
{
    struct slab *slab = loop_slab(c->loop, sizeof(*c));
    if (c->orphaned) loop_orphan_remove(c->loop, &c->orphan);
    if (c->fd >= 0) close(c->fd);
    iobuf_clear(&c->in);
    iobuf_clear(&c->out);
    tls_engine_free(c->tls);
    c->magic = MAGIC_POISON;
    slab_put(slab, c);
}

void conn_turn_fail(struct conn *c, enum err err)
{
    if (conn_gone(c)) return;
    c->state = CONN_FAILED;
    c->error = ERR_OK;
    conn_turn_interest(c);
    loop_timer_clear(c->loop, &c->timer);
    iobuf_clear(&c->out);
    c->events->on_error(c, c->owner, err);
}

void conn_turn_opened(struct conn *c)
{
    c->state = CONN_OPEN;
    loop_timer_clear(c->loop, &c->timer);
    c->events->on_open(c, c->owner);
    if (conn_gone(c)) return;
    conn_turn_interest(c);
    conn_turn_mark_output(c);
}

void conn_turn_ended(struct conn *c)
{
    c->eof_seen = true;
    conn_turn_interest(c);
    conn_turn_watch(c);
    c->events->on_eof(c, c->owner);
}

bool conn_turn_produce(struct conn *c)
{
    if (c->state != CONN_OPEN || !c->produce || c->shut_wanted) return false;
    size_t room = conn_room(c);
    if (room == 0) return false;
    c->produce = false;
    c->events->on_flush(c, c->owner);
    if (conn_gone(c)) return false;
    size_t left = conn_room(c);
    if (left == 0) c->produce = true;
    return c->produce && left < room;
}

/* `n` is what a send has returned. */
static enum err sent_result(struct conn *c, ssize_t n, size_t *sent)
{
    if (n > 0) {
        c->sent_total += (uint64_t)n;
        *sent = (size_t)n;
        return ERR_OK;
    }
    enum err err = n < 0 ? err_from_errno(errno) : ERR_IO;
    if (err == ERR_AGAIN) c->blocked = true;
    return err;
}

enum err conn_turn_send(struct conn *c, struct span data, bool more, size_t *sent)
{
    ssize_t n;
    do
        n = send(c->fd, data.p, data.len, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    while (n < 0 && errno == EINTR);
    c->corked = more;
    return sent_result(c, n, sent);
}

void conn_turn_push(struct conn *c)
{
    c->corked = false;
    sock_push(c->fd);
}

enum err conn_turn_send_queue(struct conn *c, size_t *sent)
{
    struct span run[SEND_RUNS_MAX] UNCLEARED;
    struct iovec iov[SEND_RUNS_MAX] UNCLEARED;
    size_t count = iobuf_runs(&c->out, run, SEND_RUNS_MAX);
    /* The last bytes and the end behind them go in one segment. */
    bool more = c->state == CONN_CLOSING && c->last;
    if (count == 1) return conn_turn_send(c, run[0], more, sent);
    c->corked = more;
    for (size_t i = 0; i < count; i++)
        iov[i] = (struct iovec){(void *)(uintptr_t)run[i].p, run[i].len};
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
    ssize_t n;
    do
        n = sendmsg(c->fd, &message, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    while (n < 0 && errno == EINTR);
    return sent_result(c, n, sent);
}

static size_t input(struct conn *c, char *p, size_t len)
{
    return c->tls != NULL ? conn_tls_input(c, (uint8_t *)p, len) : conn_plain_input(c, p, len);
}

/* What the owner did not take waits in `in`, behind nothing: no read happens before it is empty. */
static void take_input(struct conn *c, char *p, size_t len)
{
    size_t used = input(c, p, len);
    if (conn_gone(c) || used == len) return;
    enum err err = iobuf_append(&c->in, p + used, len - used);
    if (err != ERR_OK) {
        conn_turn_fail(c, err);
        return;
    }
    /* A handshake goes on when its answer has left. */
    bool stuck = c->state == CONN_HANDSHAKE && c->blocked;
    if (!c->paused && !stuck) conn_turn_again(c);
}

static ssize_t recv_some(struct conn *c)
{
    return recv(c->fd, loop_read_buffer(c->loop), loop_read_bytes(c->loop), 0);
}

static void read_end(struct conn *c)
{
    /* A send that failed took the socket's error with it, and the end that is left is no clean one.
     */
    if (c->error != ERR_OK) return;
    /* T17: without close_notify the bytes may be cut short. Once our side has ended nobody cares.
     */
    if (c->tls != NULL && !c->tls_closing)
        conn_turn_fail(c, ERR_RESET);
    else
        conn_turn_ended(c);
}

static ssize_t read_blocks(struct conn *c, struct iobuf *got)
{
    struct span run[READ_BLOCKS] UNCLEARED;
    struct iovec iov[READ_BLOCKS] UNCLEARED;
    size_t count = loop_read_bytes(c->loop) / LOOP_BLOCK_BYTES;
    if (count == 0 || iobuf_room(got, count, run) != ERR_OK) return recv_some(c);
    for (size_t i = 0; i < count; i++)
        iov[i] = (struct iovec){(void *)(uintptr_t)run[i].p, run[i].len};
    ssize_t n = readv(c->fd, iov, (int)count);
    int saved = errno;
    iobuf_filled(got, n > 0 ? (size_t)n : 0);
    errno = saved;
    return n;
}

/* Few bytes are copied: a block for each few would hold much memory. */
static void take_blocks(struct conn *c, struct iobuf *got)
{
    if (got->len >= BULK_BYTES_MIN && conn_may_deliver(c)) {
        c->events->on_blocks(c, c->owner, got);
        CHECK(got->len == 0);
        return;
    }
    while (got->len > 0 && !conn_gone(c)) {
        struct span front = iobuf_front(got);
        take_input(c, (char *)(uintptr_t)front.p, front.len); /* the block is ours */
        iobuf_consume(got, front.len);
    }
    iobuf_clear(got);
}

/* Reads once and hands it on; false: nothing more to read now. */
static bool read_once(struct conn *c, size_t *len)
{
    struct iobuf got;
    iobuf_init(&got, loop_pool(c->loop));
    bool blocks = c->bulk && c->tls == NULL && c->events->on_blocks != NULL;
    ssize_t n = blocks ? read_blocks(c, &got) : recv_some(c);
    if (n == 0) {
        read_end(c);
        return false;
    }
    if (n < 0) {
        enum err err = err_from_errno(errno);
        if (err != ERR_AGAIN) conn_turn_fail(c, err);
        return false;
    }
    *len = (size_t)n;
    c->bulk = *len >= BULK_BYTES_MIN;
    if (got.len > 0)
        take_blocks(c, &got);
    else
        take_input(c, (char *)loop_read_buffer(c->loop), *len);
    return true;
}

static void read_socket(struct conn *c)
{
    size_t left = CONN_READ_BYTES_A_TURN;
    while (left > 0 && !conn_gone(c) && wants_read(c)) {
        size_t len, want = loop_read_bytes(c->loop);
        if (!read_once(c, &len)) return;
        /* A short read has emptied the socket; asking again would only say so. */
        if (len < want) return;
        left -= len < left ? len : left;
    }
}

/* Offers again what was kept, from the read buffer like fresh bytes: what is not taken goes back.
 */
static void deliver_kept(struct conn *c)
{
    char *buffer = (char *)loop_read_buffer(c->loop);
    if (c->tls != NULL && c->state == CONN_OPEN && conn_tls_has_input(c))
        (void)conn_tls_input(c, (uint8_t *)buffer, 0);
    bool ready = c->state == CONN_HANDSHAKE || conn_may_deliver(c);
    if (!ready || c->in.len == 0) return;
    size_t len = iobuf_peek(&c->in, buffer, READ_BUFFER_BYTES);
    CHECK(len == c->in.len);
    iobuf_clear(&c->in);
    take_input(c, buffer, len);
}

static enum err output(struct conn *c)
{
    if (c->blocked) return ERR_AGAIN;
    return c->tls != NULL ? conn_tls_output(c) : conn_plain_output(c);
}

/* Everything queued is with the kernel: close_notify, then FIN. */
static enum err finish_output(struct conn *c)
{
    if (c->tls != NULL && !c->tls_closing) {
        c->tls_closing = true;
        tls_engine_close(c->tls);
        enum err err = output(c);
        if (err != ERR_OK) return err;
    }
    /* ENOTCONN: the peer has reset it, which the next read tells. */
    (void)!shutdown(c->fd, SHUT_WR);
    c->shut_done = true;
    return ERR_OK;
}

static bool nothing_waits(const struct conn *c)
{
    return c->out.len == 0 && c->record_bytes == 0;
}

static void write_failed(struct conn *c, enum err err)
{
    /* A server that answers early and closes resets us while its answer is still to be read. */
    c->error = err;
    read_socket(c);
    conn_turn_fail(c, err);
}

static void flush_output(struct conn *c)
{
    enum err err = output(c);
    if (conn_gone(c)) return;
    bool finish = c->state == CONN_OPEN && c->shut_wanted && !c->shut_done;
    if (err == ERR_OK && finish && nothing_waits(c)) err = finish_output(c);
    if (err != ERR_OK && err != ERR_AGAIN) write_failed(c, err);
}

static void tell_drain(struct conn *c)
{
    if (!c->drain_wanted || conn_queued(c) > conn_low_water(c)) return;
    c->drain_wanted = false;
    if (c->events->on_drain != NULL) c->events->on_drain(c, c->owner);
}

/* Closing: whatever the peer still sends is thrown away, so that no RST destroys our last bytes
 * before it has read them (RFC 9112 9.6). */
static void discard(struct conn *c)
{
    size_t left = CONN_READ_BYTES_A_TURN;
    while (left > 0) {
        ssize_t n = recv(c->fd, loop_read_buffer(c->loop), READ_BUFFER_BYTES, 0);
        if (n < 0 && err_from_errno(errno) == ERR_AGAIN) return;
        if (n <= 0) {
            c->eof_seen = true;
            if (c->shut_done || n < 0) conn_turn_end(c);
            return;
        }
        left -= (size_t)n < left ? (size_t)n : left;
    }
}

static void close_step(struct conn *c)
{
    if (!c->shut_done) {
        enum err err = output(c);
        bool sent = err == ERR_OK && nothing_waits(c);
        if (sent && !c->last) err = finish_output(c);
        /* First of all: closing with bytes of the peer's unread throws away what is not sent. */
        if (sent && c->last && c->corked) (void)!shutdown(c->fd, SHUT_WR);
        if ((sent && c->last) || (err != ERR_OK && err != ERR_AGAIN)) {
            conn_turn_end(c);
            return;
        }
        if (!c->shut_done) return;
        loop_timer_set(c->loop, &c->timer, loop_now_ms(c->loop) + LINGER_PEER_MS);
        tls_engine_free(c->tls);
        c->tls = NULL;
    }
    /* Its end, and what it sends before, shows by the descriptor. */
    if (c->eof_seen) conn_turn_end(c);
}

/* More output appeared after its step: on_drain wrote some. */
static bool output_waits(const struct conn *c)
{
    if (c->blocked) return false;
    if (c->state == CONN_CLOSING) return !c->shut_done;
    if (c->state != CONN_OPEN) return false;
    return !nothing_waits(c) || (c->produce && conn_room(c) > 0);
}

static void flush_steps(struct conn *c)
{
    if (c->error != ERR_OK) conn_turn_fail(c, c->error);
    if (c->state == CONN_OPENING) conn_turn_opened(c);
    if (!conn_gone(c)) deliver_kept(c);
    if (!conn_gone(c) && c->state != CONN_CONNECTING) flush_output(c);
    if (c->state == CONN_OPEN) tell_drain(c);
    if (c->state == CONN_CLOSING) close_step(c);
}

void conn_turn_on_flush(struct loop_flush *f)
{
    struct conn *c = CONTAINER_OF(f, struct conn, flush);
    CHECK_OBJ(c, CONN_MAGIC);
    if (c->state == CONN_CLOSED) {
        conn_turn_destroy(c);
        return;
    }
    c->flushing = true;
    c->again = false;
    flush_steps(c);
    c->flushing = false;
    if (c->state == CONN_FAILED || c->state == CONN_CLOSED) return;
    conn_turn_interest(c);
    if (c->again || output_waits(c)) loop_flush_mark(c->loop, &c->flush, c->phase);
}

static void connected(struct conn *c)
{
    enum err err = sock_error(c->fd);
    if (err != ERR_OK) {
        conn_turn_fail(c, err);
        return;
    }
    if (c->tls == NULL) {
        conn_turn_opened(c);
        return;
    }
    c->state = CONN_HANDSHAKE;
    conn_turn_interest(c);
    conn_turn_again(c);
}

void conn_turn_on_ready(struct loop_io *io, bool readable, bool writable)
{
    struct conn *c = CONTAINER_OF(io, struct conn, io);
    CHECK_OBJ(c, CONN_MAGIC);
    if (c->state == CONN_CONNECTING) {
        if (writable) connected(c);
        return;
    }
    if (writable && c->blocked) {
        c->blocked = false;
        conn_turn_again(c);
    }
    if (!readable) return;
    if (c->state == CONN_CLOSING)
        discard(c);
    else
        read_socket(c);
    conn_turn_interest(c);
}

void conn_turn_on_deadline(struct loop_timer *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, timer);
    CHECK_OBJ(c, CONN_MAGIC);
    if (c->state == CONN_CLOSING)
        conn_turn_end(c);
    else if (c->state != CONN_OPEN)
        conn_turn_fail(c, ERR_TIMEOUT);
    else if (is_deaf(c))
        look_for_reset(c);
}
