#include "proxy/net/preface.h"

#include <assert.h>
#include <sys/socket.h>

#include "core/wire/proxy_proto.h"
#include "core/wire/tls_peek.h"
#include "proxy/http/h1_server.h"
#include "proxy/net/listener.h"
#include "proxy/net/opening.h"
#include "proxy/net/plain_server.h"
#include "proxy/net/tcp_server.h"

static_assert(PROXY_PROTO_V2_BYTES_MAX < OPENING_BYTES_MAX, "a header has room");

static void refuse(struct opening *o)
{
    metrics_count(o->session.ctx->metrics, METRICS_BAD_PREFACE, 1);
    opening_end(o);
}

/* A fatal alert of TLS 1.2, which is understood by later versions at this point too. */
static void refuse_name(struct opening *o)
{
    static const char alert[] = "\x15\x03\x03\x00\x02\x02\x70";
    /* The socket's buffer is empty: nothing was written yet. */
    (void)!send(o->fd, alert, sizeof alert - 1, MSG_NOSIGNAL);
    refuse(o);
}

/* What stands behind the header, and who it is from. */
static enum err take_header(struct plain_accepted *take)
{
    struct proxy_proto p;
    enum err err = proxy_proto_parse(take->seen, &p);
    if (err != ERR_OK) return err;
    take->seen = span_skip(take->seen, p.bytes);
    /* Else the relay speaks for itself. */
    if (p.from.family != ADDR_NONE) take->from = p.from;
    return ERR_OK;
}

static void give_tls(struct opening *o, const struct snapshot_listener *l,
                     const struct tls_peek *peek, struct plain_accepted *take)
{
    struct context *ctx = o->session.ctx;
    const struct snapshot_upstream *upstream =
        snapshot_sni(ctx->view->snapshot, l, span_str(peek->sni));
    if (upstream == NULL) {
        refuse_name(o);
        return;
    }
    take->fd = opening_give(o);
    tcp_server_open(ctx, take, upstream);
    opening_end(o);
}

static void give_plain(struct opening *o, const struct snapshot_listener *l,
                       struct plain_accepted *take)
{
    struct context *ctx = o->session.ctx;
    take->fd = opening_give(o);
    take->tls = l->tls;
    if (l->kind == LISTENER_HTTP)
        h1_server_open(ctx, take, l->id);
    else
        tcp_server_open(ctx, take, listener_upstream(ctx->view, l->id));
    opening_end(o);
}

static enum err judge(struct opening *o)
{
    const struct snapshot_listener *l = listener_find(o->session.ctx->view, o->listener_id);
    struct plain_accepted take = {.fd = -1, .from = o->from, .seen = span_of(o->bytes, o->len)};
    struct tls_peek peek;
    enum err err = l != NULL ? ERR_OK : ERR_NOT_FOUND;
    if (err == ERR_OK && l->proxy_protocol) err = take_header(&take);
    if (err == ERR_OK && l->kind == LISTENER_TLS) err = tls_peek_hello(take.seen, &peek);
    if (err == ERR_MORE) return ERR_MORE;
    if (err != ERR_OK)
        refuse(o);
    else if (l->kind == LISTENER_TLS)
        give_tls(o, l, &peek, &take);
    else
        give_plain(o, l, &take);
    return ERR_OK;
}

static const struct opening_ops ops = {.kind = CONTEXT_OPENING_LOCAL,
                                       .timeout_ms = PREFACE_TIMEOUT_MS,
                                       .judge = judge,
                                       .late = refuse};

void preface_open(struct context *ctx, const struct sock_accepted *take, uint64_t listener_id)
{
    opening_start(ctx, &ops, take, listener_id);
}
