#include "proxy/net/listener.h"

#include <stdlib.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/io/sock.h"
#include "proxy/http/h1_server.h"
#include "proxy/net/clients.h"
#include "proxy/net/hello.h"
#include "proxy/net/plain_server.h"
#include "proxy/net/preface.h"
#include "proxy/net/pressure.h"
#include "proxy/net/tcp_server.h"

#define ACCEPT_PAUSE_MS 100u

struct listener {
    struct list node;
    struct context *ctx;
    uint64_t id;
    const struct snapshot_listener *spec; /* in ctx->view */
    bool listed;                          /* by the view that is being taken */
    struct loop_io io;
    struct loop_timer retry;
};

static void open_session(struct listener *l, const struct sock_accepted *a)
{
    const struct plain_accepted take = {.fd = a->fd, .from = a->peer, .tls = l->spec->tls};
    if (l->spec->kind == LISTENER_MESH)
        hello_open(l->ctx, a);
    else if (l->spec->proxy_protocol || l->spec->kind == LISTENER_TLS)
        preface_open(l->ctx, a, l->id);
    else if (l->spec->kind == LISTENER_HTTP)
        h1_server_open(l->ctx, &take, l->id);
    else
        tcp_server_open(l->ctx, &take, listener_upstream(l->ctx->view, l->id));
}

/* O04: the last descriptors are for the admin socket, health checks and the application's side of
 * what is under way. Descriptors are handed out from the lowest free number on. */
static bool is_reserved(int fd, int limit)
{
    int reserve = limit / 4 < FD_RESERVE ? limit / 4 : FD_RESERVE;
    return fd >= limit - reserve;
}

static void pause_accepting(struct listener *l)
{
    struct loop *loop = l->ctx->loop;
    loop_io_set(loop, &l->io, false, false);
    loop_timer_set(loop, &l->retry, loop_now_ms(loop) + ACCEPT_PAUSE_MS);
}

/* How many may be accepted now. Who waits for the kernel to hand it over costs nothing here; on the
 * mesh port it is told at once, so that a peer tries elsewhere. */
static size_t room_for(const struct listener *l)
{
    struct context *ctx = l->ctx;
    size_t room = ACCEPT_BATCH_MAX;
    if (l->spec->kind == LISTENER_MESH) return room;
    if (pressure_now(ctx) == PRESSURE_FULL) {
        pressure_shed(ctx, "accept");
        return 0;
    }
    if (ctx->clients == NULL) return room;
    uint32_t left = clients_room(ctx->clients, ctx->view->snapshot->bounds.connections);
    if (left == 0) metrics_count(ctx->metrics, METRICS_SHED_CONNECTIONS, 1);
    return left < room ? left : room;
}

static void on_ready(struct loop_io *io, bool readable, bool writable)
{
    struct listener *l = CONTAINER_OF(io, struct listener, io);
    struct sock_accepted accepted[ACCEPT_BATCH_MAX];
    size_t count = 0;
    int limit = sock_fd_limit();
    bool full = false;
    (void)readable;
    (void)writable;
    size_t room = room_for(l);
    if (room == 0) {
        pause_accepting(l);
        return;
    }
    enum err err = sock_accept(io->ev.fd, accepted, room, &count);
    for (size_t i = 0; i < count; i++) {
        if (!is_reserved(accepted[i].fd, limit)) {
            open_session(l, &accepted[i]);
            continue;
        }
        full = true;
        metrics_count(l->ctx->metrics, METRICS_SESSIONS_REFUSED, 1);
        close(accepted[i].fd);
    }
    bool failed = full || (err != ERR_OK && err != ERR_AGAIN);
    if (!failed) return;
    metrics_count(l->ctx->metrics, METRICS_ACCEPT_ERRORS, 1);
    pause_accepting(l);
}

static void listen_on(struct listener *l)
{
    loop_io_set(l->ctx->loop, &l->io, !l->ctx->view->snapshot->deaf, false);
}

static void on_retry(struct loop_timer *t)
{
    listen_on(CONTAINER_OF(t, struct listener, retry));
}

static void listener_close(struct listener *l)
{
    loop_io_set(l->ctx->loop, &l->io, false, false);
    loop_timer_clear(l->ctx->loop, &l->retry);
    list_remove(&l->node);
    free(l);
}

static struct listener *find(struct context *ctx, uint64_t id)
{
    LIST_EACH(node, next, &ctx->listeners)
    {
        struct listener *l = LIST_ENTRY(node, struct listener, node);
        if (l->id == id) return l;
    }
    return NULL;
}

static void add(struct context *ctx, const struct snapshot_listener *from)
{
    struct listener *l = calloc(1, sizeof *l);
    if (l == NULL) {
        log_error(ctx->log, "listener", "worker=%u cannot listen: out of memory", ctx->index);
        return;
    }
    l->ctx = ctx;
    l->id = from->id;
    l->spec = from;
    l->listed = true;
    l->retry.on_expire = on_retry;
    loop_io_init(&l->io, from->fd[ctx->index], on_ready);
    listen_on(l);
    list_push_back(&ctx->listeners, &l->node);
}

void listener_refresh(struct context *ctx)
{
    const struct snapshot *s = ctx->view->snapshot;
    LIST_EACH(node, next, &ctx->listeners)
    {
        LIST_ENTRY(node, struct listener, node)->listed = false;
    }
    for (size_t i = 0; i < s->listener_count; i++) {
        struct listener *l = find(ctx, s->listener[i].id);
        if (l == NULL) {
            add(ctx, &s->listener[i]);
            continue;
        }
        l->listed = true;
        l->spec = &s->listener[i];
        if (s->deaf) listen_on(l);
    }
    LIST_EACH(node, next, &ctx->listeners)
    {
        struct listener *l = LIST_ENTRY(node, struct listener, node);
        if (!l->listed) listener_close(l);
    }
}

void listener_close_all(struct context *ctx)
{
    LIST_EACH(node, next, &ctx->listeners)
    {
        listener_close(LIST_ENTRY(node, struct listener, node));
    }
}

const struct snapshot_listener *listener_find(const struct view *v, uint64_t listener_id)
{
    const struct snapshot *s = v->snapshot;
    for (size_t i = 0; i < s->listener_count; i++)
        if (s->listener[i].id == listener_id) return &s->listener[i];
    return NULL;
}

const struct snapshot_upstream *listener_upstream(const struct view *v, uint64_t listener_id)
{
    const struct snapshot_listener *l = listener_find(v, listener_id);
    return l != NULL && l->upstream >= 0 ? &v->snapshot->upstream[l->upstream] : NULL;
}
