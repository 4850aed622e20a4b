#include "proxy/net/hello.h"

#include <assert.h>

#include "core/wire/link.h"
#include "core/wire/tls_peek.h"
#include "proxy/http/link_server.h"
#include "proxy/net/opening.h"

#define HELLO_TIMEOUT_MS  1000u
#define TLS_HANDSHAKE_TAG 0x16

static_assert(TLS_PEEK_BYTES_MAX <= OPENING_BYTES_MAX, "a hello has room");

static void refuse(struct opening *o, enum metrics_count why)
{
    metrics_count(o->session.ctx->metrics, why, 1);
    opening_end(o);
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

static void dispatch(struct opening *o, const struct tls_peek *peek)
{
    struct context *ctx = o->session.ctx;
    struct span seen = span_of(o->bytes, o->len);
    if (peek->alpn_count == 0) {
        refuse(o, METRICS_BAD_HELLO);
        return;
    }
    if (!tls_peek_offers(peek, LINK_ALPN) && !tls_peek_offers(peek, "h2")) {
        context_handoff(ctx, opening_give(o), peek->alpn[0], &o->from, seen);
        opening_end(o);
        return;
    }
    const struct snapshot_service *service = service_of(ctx->view->snapshot, peek->sni);
    if (service == NULL) {
        refuse(o, METRICS_BAD_HELLO);
        return;
    }
    link_server_open(ctx, opening_give(o), service, seen);
    opening_end(o);
}

static enum err judge(struct opening *o)
{
    struct tls_peek peek;
    enum err err = tls_peek_hello(span_of(o->bytes, o->len), &peek);
    if (err == ERR_OK)
        dispatch(o, &peek);
    else if (err != ERR_MORE)
        refuse(o, o->bytes[0] == TLS_HANDSHAKE_TAG ? METRICS_BAD_HELLO : METRICS_PLAINTEXT_ON_MESH);
    return err;
}

static void late(struct opening *o)
{
    refuse(o, METRICS_BAD_HELLO);
}

static const struct opening_ops ops = {
    .kind = CONTEXT_OPENING_PEER, .timeout_ms = HELLO_TIMEOUT_MS, .judge = judge, .late = late};

void hello_open(struct context *ctx, const struct sock_accepted *take)
{
    opening_start(ctx, &ops, take, 0);
}
