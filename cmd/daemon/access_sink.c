#include "cmd/daemon/access_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define ACCESS_SINK_MAGIC 0x61737331u
#define BUSY_MS           25u
#define IDLE_MS           50u
/* Moved at once: it takes the core some 40 us, which a request that needs it waits for. */
#define DRAIN_BYTES  (32u * 1024)
#define BUFFER_BYTES (64u * 1024)
/* A pipe that polls writable takes this much without blocking (POSIX PIPE_BUF on Linux); stdout is
 * shared with whoever started us, so O_NONBLOCK is not ours to set on it. */
#define STDOUT_WRITE_BYTES 4096u
#define LINES_A_DRAIN      65536u

struct access_sink {
    uint32_t magic;
    struct access_sink_options o;
    int fd;      /* owned unless it is 1; -1: nowhere */
    int next_fd; /* opened by prepare; -1: none */
    bool off, next_off;
    bool preparing;
    struct loop_timer timer;
    uint64_t drained_ms; /* when the timer last did */
    uint64_t moved;      /* bytes, since then */
    uint64_t unwritten;  /* lines */
    size_t len;          /* bytes in buffer, whole lines */
    size_t sent;         /* of them written */
    unsigned ring;       /* whose turn it is */
    char buffer[BUFFER_BYTES];
};

static void timer_due(struct loop_timer *t);
static void look_in(struct access_sink *s, uint64_t ms);

enum err access_sink_new(const struct access_sink_options *o, struct access_sink **out)
{
    struct access_sink *s = calloc(1, sizeof *s);
    if (s == NULL) return ERR_NOMEM;
    s->magic = ACCESS_SINK_MAGIC;
    s->o = *o;
    s->fd = s->next_fd = -1;
    s->off = true;
    s->timer.on_expire = timer_due;
    *out = s;
    return ERR_OK;
}

static void close_unless_stdout(int fd)
{
    if (fd > STDERR_FILENO) (void)close(fd);
}

void access_sink_free(struct access_sink *s)
{
    if (s == NULL) return;
    CHECK_OBJ(s, ACCESS_SINK_MAGIC);
    (void)access_sink_drain(s);
    loop_timer_clear(s->o.loop, &s->timer);
    close_unless_stdout(s->fd);
    close_unless_stdout(s->next_fd);
    s->magic = MAGIC_POISON;
    free(s);
}

enum err access_sink_prepare(struct access_sink *s, const struct config_log *c, struct diag *diag)
{
    CHECK_OBJ(s, ACCESS_SINK_MAGIC);
    CHECK(!s->preparing);
    int fd = -1;
    bool to_stdout = c->access_to == NULL || strcmp(c->access_to, "stdout") == 0;
    bool off = c->access_only == ACCESS_NONE;
    if (!off && to_stdout) fd = STDOUT_FILENO;
    if (!off && !to_stdout) {
        fd = open(c->access_to, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0640);
        if (fd < 0) {
            enum err err = err_from_errno(errno);
            diag_error(diag, NULL, "cannot open the access log %s: %s", c->access_to,
                       err_text(err));
            return err;
        }
    }
    s->next_fd = fd;
    s->next_off = off;
    s->preparing = true;
    return ERR_OK;
}

void access_sink_commit(struct access_sink *s)
{
    CHECK_OBJ(s, ACCESS_SINK_MAGIC);
    CHECK(s->preparing);
    (void)access_sink_drain(s);
    close_unless_stdout(s->fd);
    s->fd = s->next_fd;
    s->off = s->next_off;
    s->next_fd = -1;
    s->preparing = false;
    if (s->off)
        loop_timer_clear(s->o.loop, &s->timer);
    else
        look_in(s, IDLE_MS);
}

void access_sink_abort(struct access_sink *s)
{
    CHECK_OBJ(s, ACCESS_SINK_MAGIC);
    CHECK(s->preparing);
    close_unless_stdout(s->next_fd);
    s->next_fd = -1;
    s->preparing = false;
}

static bool would_take(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0;
}

static size_t count_lines(const char *p, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        if (p[i] == '\n') n++;
    return n;
}

/* Writes what is buffered; true when all of it went, or had to be given up. */
static bool flush(struct access_sink *s)
{
    while (s->sent < s->len) {
        size_t n = s->len - s->sent;
        if (s->fd == STDOUT_FILENO) {
            if (!would_take(s->fd)) return false;
            if (n > STDOUT_WRITE_BYTES) n = STDOUT_WRITE_BYTES;
        }
        ssize_t wrote = write(s->fd, s->buffer + s->sent, n);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0 && errno == EAGAIN) return false;
        if (wrote <= 0) {
            enum err err = wrote < 0 ? err_from_errno(errno) : ERR_IO;
            s->unwritten += count_lines(s->buffer + s->sent, s->len - s->sent);
            log_limited(s->o.log, LOG_LEVEL_ERROR, ACCESS_SINK_MAGIC, "access",
                        "lines are lost: %s", err_text(err));
            break;
        }
        s->sent += (size_t)wrote;
    }
    s->len = s->sent = 0;
    return true;
}

/* Round robin over the rings, a line each, so that one busy worker does not starve the others. */
static bool next_line(struct access_sink *s)
{
    for (unsigned tried = 0; tried < s->o.ring_count; tried++) {
        struct byte_ring *ring = s->o.ring[s->ring];
        s->ring = (s->ring + 1) % s->o.ring_count;
        size_t n = byte_ring_get(ring, s->buffer + s->len, ACCESS_LOG_LINE_BYTES_MAX);
        if (n == 0) continue;
        s->len += n;
        s->moved += n;
        s->buffer[s->len++] = '\n';
        return true;
    }
    return false;
}

size_t access_sink_drain(struct access_sink *s)
{
    CHECK_OBJ(s, ACCESS_SINK_MAGIC);
    size_t lines = 0;
    if (s->fd < 0) return 0;
    bool more = true;
    while (more && lines < LINES_A_DRAIN) {
        while (BUFFER_BYTES - s->len > ACCESS_LOG_LINE_BYTES_MAX && (more = next_line(s)))
            lines++;
        if (!flush(s)) break;
    }
    return lines;
}

static void look_in(struct access_sink *s, uint64_t ms)
{
    loop_timer_set(s->o.loop, &s->timer, loop_now_ms(s->o.loop) + ms);
}

/* Nothing waits, and each worker will say when that changes. */
static bool sleeps(struct access_sink *s)
{
    if (s->len > 0) return false;
    for (unsigned i = 0; i < s->o.ring_count; i++)
        if (!byte_ring_sleep(s->o.ring[i])) return false;
    return true;
}

uint64_t access_sink_pause_ms(uint64_t bytes, uint64_t in_ms)
{
    uint64_t ms = DRAIN_BYTES * (in_ms > 0 ? in_ms : 1) / (bytes > 0 ? bytes : 1);
    return ms < 1 ? 1 : ms > BUSY_MS ? BUSY_MS : ms;
}

static void timer_due(struct loop_timer *t)
{
    struct access_sink *s = CONTAINER_OF(t, struct access_sink, timer);
    uint64_t now_ms = loop_now_ms(s->o.loop), in_ms = now_ms - s->drained_ms;
    bool any = access_sink_drain(s) > 0;
    uint64_t bytes = s->moved;
    s->drained_ms = now_ms;
    s->moved = 0;
    if (any)
        look_in(s, access_sink_pause_ms(bytes, in_ms));
    else if (!sleeps(s))
        look_in(s, IDLE_MS);
}

void access_sink_wake(struct access_sink *s)
{
    CHECK_OBJ(s, ACCESS_SINK_MAGIC);
    if (!s->off) look_in(s, BUSY_MS);
}

void access_sink_lost(const struct access_sink *s, struct access_sink_lost *out)
{
    CHECK_OBJ(s, ACCESS_SINK_MAGIC);
    *out = (struct access_sink_lost){.unwritten = s->unwritten};
    for (unsigned i = 0; i < s->o.ring_count; i++)
        out->ring_full += atomic_load_explicit(&s->o.ring[i]->dropped, memory_order_relaxed);
}
