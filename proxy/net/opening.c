#include "proxy/net/opening.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/check.h"

#define OPENINGS_MAX 1024u /* of a kind; each holds a buffer */

void opening_end(struct opening *o)
{
    struct context *ctx = o->session.ctx;
    loop_io_set(ctx->loop, &o->io, false, false);
    loop_timer_clear(ctx->loop, &o->timer);
    if (o->fd >= 0) close(o->fd);
    o->fd = -1;
    ctx->opening_count[o->ops->kind]--;
    session_end(&o->session);
}

int opening_give(struct opening *o)
{
    int fd = o->fd;
    loop_io_set(o->session.ctx->loop, &o->io, false, false);
    session_give(&o->session);
    o->fd = -1;
    return fd;
}

static void on_ready(struct loop_io *io, bool readable, bool writable)
{
    struct opening *o = CONTAINER_OF(io, struct opening, io);
    ssize_t n;
    (void)readable;
    (void)writable;
    do
        n = recv(o->fd, o->bytes + o->len, sizeof o->bytes - o->len, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n <= 0) {
        opening_end(o);
        return;
    }
    o->len += (size_t)n;
    if (o->ops->judge(o) == ERR_MORE && o->len == sizeof o->bytes) o->ops->late(o);
}

static void on_expire(struct loop_timer *t)
{
    struct opening *o = CONTAINER_OF(t, struct opening, timer);
    o->ops->late(o);
}

static void session_close(struct session *session)
{
    opening_end(CONTAINER_OF(session, struct opening, session));
}

static const struct session_ops session_ops = {.size = sizeof(struct opening),
                                               .bytes = sizeof(struct opening) + SESSION_BYTES,
                                               .close = session_close};

void opening_start(struct context *ctx, const struct opening_ops *ops,
                   const struct sock_accepted *take, uint64_t listener_id)
{
    struct opening *o = NULL;
    if (ctx->opening_count[ops->kind] < OPENINGS_MAX)
        o = session_new(ctx, &session_ops, &take->peer);
    else
        metrics_count(ctx->metrics, METRICS_SESSIONS_REFUSED, 1);
    if (o == NULL) {
        close(take->fd);
        return;
    }
    ctx->opening_count[ops->kind]++;
    o->ops = ops;
    o->fd = take->fd;
    o->from = take->peer;
    o->listener_id = listener_id;
    o->timer.on_expire = on_expire;
    loop_io_init(&o->io, take->fd, on_ready);
    loop_io_set(ctx->loop, &o->io, true, false);
    loop_timer_set(ctx->loop, &o->timer, loop_now_ms(ctx->loop) + ops->timeout_ms);
}
