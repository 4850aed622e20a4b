#include "proxy/net/hello.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/wire/tls_peek.h"
#include "proxy/http/h2_server.h"
#include "proxy/net/session.h"

#define HELLO_TIMEOUT_MS  1000u
#define HELLOS_MAX        1024u /* each holds a buffer */
#define TLS_HANDSHAKE_TAG 0x16

struct hello {
    struct session session;
    int fd; /* owned; -1 once given away */
    struct addr from;
    struct loop_io io;
    struct loop_timer timer;
    size_t len;
    char bytes[TLS_PEEK_BYTES_MAX];
};

static void hello_end(struct hello *h)
{
    struct context *ctx = h->session.ctx;
    loop_io_set(ctx->loop, &h->io, false, false);
    loop_timer_clear(ctx->loop, &h->timer);
    if (h->fd >= 0) close(h->fd);
    h->fd = -1;
    ctx->hello_count--;
    session_end(&h->session);
}

static void refuse(struct hello *h, enum metrics_count why)
{
    metrics_count(h->session.ctx->metrics, why, 1);
    hello_end(h);
}

/* The descriptor without its watcher, for the one that takes it. */
static int give(struct hello *h)
{
    int fd = h->fd;
    loop_io_set(h->session.ctx->loop, &h->io, false, false);
    h->fd = -1;
    return fd;
}

static const struct snapshot_service *service_of(const struct snapshot *s, const char *sni)
{
    enum identity_kind kind;
    struct name name;
    if (name_sni_parse(span_str(sni), &s->mesh, &kind, &name) != ERR_OK) return NULL;
    if (kind != IDENTITY_SERVICE) return NULL;
    const struct snapshot_service *service = snapshot_service(s, span_str(name.text));
    return service != NULL && service->identity != NULL && s->trust != NULL ? service : NULL;
}

static void dispatch(struct hello *h, const struct tls_peek *peek)
{
    struct context *ctx = h->session.ctx;
    struct span seen = span_of(h->bytes, h->len);
    if (peek->alpn_count == 0) {
        refuse(h, METRICS_BAD_HELLO);
        return;
    }
    if (!tls_peek_offers(peek, "h2")) {
        context_handoff(ctx, give(h), peek->alpn[0], &h->from, seen);
        hello_end(h);
        return;
    }
    const struct snapshot_service *service = service_of(ctx->view->snapshot, peek->sni);
    if (service == NULL) {
        refuse(h, METRICS_BAD_HELLO);
        return;
    }
    h2_server_open(ctx, give(h), service, seen);
    hello_end(h);
}

static void on_ready(struct loop_io *io, bool readable, bool writable)
{
    struct hello *h = CONTAINER_OF(io, struct hello, io);
    struct tls_peek peek;
    ssize_t n;
    (void)readable;
    (void)writable;
    do
        n = recv(h->fd, h->bytes + h->len, sizeof h->bytes - h->len, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n <= 0) {
        hello_end(h);
        return;
    }
    h->len += (size_t)n;
    enum err err = tls_peek_hello(span_of(h->bytes, h->len), &peek);
    if (err == ERR_OK)
        dispatch(h, &peek);
    else if (err != ERR_MORE || h->len == sizeof h->bytes)
        refuse(h, h->bytes[0] == TLS_HANDSHAKE_TAG ? METRICS_BAD_HELLO : METRICS_PLAINTEXT_ON_MESH);
}

static void on_expire(struct loop_timer *t)
{
    refuse(CONTAINER_OF(t, struct hello, timer), METRICS_BAD_HELLO);
}

static void session_close(struct session *session)
{
    hello_end(CONTAINER_OF(session, struct hello, session));
}

static const struct session_ops session_ops = {.size = sizeof(struct hello),
                                               .close = session_close};

void hello_open(struct context *ctx, int take_fd, const struct addr *from)
{
    struct hello *h = NULL;
    if (ctx->hello_count < HELLOS_MAX)
        h = session_new(ctx, &session_ops);
    else
        metrics_count(ctx->metrics, METRICS_SESSIONS_REFUSED, 1);
    if (h == NULL) {
        close(take_fd);
        return;
    }
    ctx->hello_count++;
    h->fd = take_fd;
    h->from = *from;
    h->timer.on_expire = on_expire;
    loop_io_init(&h->io, take_fd, on_ready);
    loop_io_set(ctx->loop, &h->io, true, false);
    loop_timer_set(ctx->loop, &h->timer, loop_now_ms(ctx->loop) + HELLO_TIMEOUT_MS);
}
