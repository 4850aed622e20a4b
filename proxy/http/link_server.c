#include "proxy/http/link_server.h"

#include <assert.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/io/sock.h"
#include "core/wire/link.h"
#include "proxy/http/mux_front.h"
#include "proxy/http/translate.h"

#define HANDSHAKE_TIMEOUT_MS 5000u
/* What TLS and its streams hold is counted by itself. */
#define LINK_BYTES (sizeof(struct link_server) + SESSION_BYTES)

struct link_server {
    struct mux_front front; /* its mux is NULL before the handshake is done */
    struct name service;
    struct identity *identity; /* owned reference: what the link was made with */
    struct trust *trust;       /* owned reference */
    struct spiffe_id peer;
    char peer_uri[SPIFFE_ID_BYTES_MAX + 1];
    uint64_t begun_us;
    struct loop_timer late; /* the end of a link that arrived after it should have ended */
    struct loop_timer idle;
    uint64_t idle_since_ms; /* 0: streams are open, or were at the last look */
};

static_assert(offsetof(struct link_server, front) == 0, "session_new makes the whole object");

static struct link_server *link_of(struct mux_front *f)
{
    return CONTAINER_OF(f, struct link_server, front);
}

static void front_close(struct mux_front *f, bool abort)
{
    struct link_server *s = link_of(f);
    struct context *ctx = f->session.ctx;
    if (f->mux == NULL) ctx->handshake_count[CONTEXT_HANDSHAKE_FROM_PEER]--;
    loop_timer_clear(ctx->loop, &s->late);
    loop_timer_clear(ctx->loop, &s->idle);
    mux_free(f->mux);
    identity_unref(s->identity);
    identity_trust_unref(s->trust);
    conn_close(f->conn, abort);
    session_end(&f->session);
}

/* --- streams --- */

static void front_begin(struct mux_front *f, struct exchange *ex)
{
    struct link_server *s = link_of(f);
    s->idle_since_ms = 0;
    ex->down_tls = true;
    ex->peer = s->peer;
    ex->service = snapshot_service(ex->view->snapshot, span_str(s->service.text));
}

static void front_head(struct mux_front *f, struct exchange *ex, enum reason reason)
{
    const struct header *id = headers_find(ex->req.headers, "parley-request-id");
    if (id != NULL && request_id_valid(id->value))
        ex->req.id = id->value;
    else
        exchange_name(ex);
    if (ex->service == NULL) {
        exchange_refuse(ex, REASON_NO_ROUTE);
        return;
    }
    ex->hops = translate_hops(ex->req.headers);
    translate_client(ex->req.headers, &ex->client);
    ex->req.peer_uri = arena_span(&ex->arena, span_str(link_of(f)->peer_uri));
    ex->tcp = ex->req.connect && ex->service->protocol == PROTOCOL_TCP;
    if (ex->tcp) list_push_back(&ex->ctx->tunnels, &ex->tunnel);
    if (reason != REASON_NONE)
        exchange_reject(ex, reason);
    else
        exchange_start(ex);
}

static bool front_switched(struct exchange *ex)
{
    return headers_add(ex->resp.headers, SPAN_LIT("parley-upgrade"), ex->req.upgrade_protocol) ==
           ERR_OK;
}

static const struct mux_front_ops front_ops = {.direction = DIRECTION_INBOUND,
                                               .begin = front_begin,
                                               .head = front_head,
                                               .switched = front_switched,
                                               .close = front_close};

/* --- the connection --- */

static void arrive_late(struct link_server *s);
static void look_idle_later(struct link_server *s);

static void on_open(struct conn *c, void *owner)
{
    static const struct mux_front_limits limits = {.streams_max = LINK_STREAMS_MAX,
                                                   .stream_window_bytes = LINK_STREAM_WINDOW_BYTES,
                                                   .connection_window_bytes = LINK_WINDOW_BYTES};
    struct link_server *s = owner;
    struct context *ctx = s->front.session.ctx;
    const struct x509_leaf *leaf = conn_peer(c);
    metrics_handshake(ctx->metrics, true, "ok", loop_now_us(ctx->loop) - s->begun_us);
    bool link_frame = strcmp(tls_engine_alpn(conn_engine(c)), LINK_ALPN) == 0;
    metrics_count(ctx->metrics, METRICS_LINKS_HTTP2, !link_frame);
    if (leaf == NULL || mux_front_open(&s->front, &limits, link_frame) != ERR_OK) {
        mux_front_cut(&s->front, true);
        return;
    }
    ctx->handshake_count[CONTEXT_HANDSHAKE_FROM_PEER]--;
    s->peer = leaf->id;
    name_spiffe_format(&s->peer, s->peer_uri);
    look_idle_later(s);
    arrive_late(s);
}

static void on_flush(struct conn *c, void *owner)
{
    struct link_server *s = owner;
    metrics_count(s->front.session.ctx->metrics, METRICS_LINK_SENDS, 1);
    mux_front_on_flush(c, &s->front);
}

static void on_error(struct conn *c, void *owner, enum err err)
{
    struct link_server *s = owner;
    struct context *ctx = s->front.session.ctx;
    if (s->front.mux != NULL) {
        mux_front_cut(&s->front, true);
        return;
    }
    enum x509_fault fault = tls_engine_fault(conn_engine(c));
    const char *word = fault != X509_OK ? x509_check_word(fault) : err_name(err);
    char from[ADDR_TEXT_MAX];
    metrics_handshake(ctx->metrics, true, word, loop_now_us(ctx->loop) - s->begun_us);
    log_limited(ctx->log, LOG_LEVEL_WARN, hash_mix((uint64_t)err), "handshake",
                "side=server service=%s from=%s result=%s detail=%d", s->service.text,
                addr_format(conn_remote(c), from), word, tls_engine_detail(conn_engine(c)));
    mux_front_cut(&s->front, true);
}

static const struct conn_events conn_events = {.on_open = on_open,
                                               .on_data = mux_front_on_data,
                                               .on_eof = mux_front_on_eof,
                                               .on_error = on_error,
                                               .on_drain = mux_front_on_drain,
                                               .on_flush = on_flush};

/* --- the end --- */

/* A peer ends its link when it has no more use for it; one that does not holds memory here. */
static void on_idle(struct loop_timer *t)
{
    struct link_server *s = CONTAINER_OF(t, struct link_server, idle);
    struct context *ctx = s->front.session.ctx;
    uint64_t now = loop_now_ms(ctx->loop), most = ctx->view->snapshot->bounds.link_idle_ms;
    if (mux_streams(s->front.mux) > 0)
        s->idle_since_ms = 0;
    else if (s->idle_since_ms == 0)
        s->idle_since_ms = now;
    else if (now >= s->idle_since_ms + most)
        mux_front_drain(&s->front);
    look_idle_later(s);
}

static void look_idle_later(struct link_server *s)
{
    struct context *ctx = s->front.session.ctx;
    uint64_t most = ctx->view->snapshot->bounds.link_idle_ms;
    s->idle.on_expire = on_idle;
    loop_timer_set(ctx->loop, &s->idle, loop_now_ms(ctx->loop) + most);
}

/* By the newest view. */
static bool must_end(const struct link_server *s)
{
    const struct snapshot *now = s->front.session.ctx->view->snapshot;
    const struct snapshot_service *service = snapshot_service(now, span_str(s->service.text));
    return now->draining || service == NULL || service->identity != s->identity ||
           now->trust != s->trust;
}

static void on_late(struct loop_timer *t)
{
    struct link_server *s = CONTAINER_OF(t, struct link_server, late);
    mux_front_drain(&s->front);
}

/* A link that views would have ended during its handshake. At once, the notice would overtake the
 * requests that the link was made for and refuse them. */
static void arrive_late(struct link_server *s)
{
    struct loop *loop = s->front.session.ctx->loop;
    if (!must_end(s)) return;
    s->late.on_expire = on_late;
    loop_timer_set(loop, &s->late, loop_now_ms(loop) + MUX_FRONT_GOAWAY_MS);
}

static void session_refresh(struct session *session)
{
    struct link_server *s = CONTAINER_OF(session, struct link_server, front.session);
    struct context *ctx = session->ctx;
    uint64_t look_ms = loop_now_ms(ctx->loop) + ctx->view->snapshot->bounds.link_idle_ms;
    /* Shorter than it was. */
    if (s->front.mux != NULL && s->idle.node.key > look_ms) look_idle_later(s);
    /* One that arrived late has its time first. */
    if (must_end(s) && s->late.on_expire == NULL) mux_front_drain(&s->front);
}

static void session_close(struct session *session)
{
    mux_front_cut(CONTAINER_OF(session, struct mux_front, session), true);
}

static const struct session_ops session_ops = {.size = sizeof(struct link_server),
                                               .bytes = LINK_BYTES,
                                               .refresh = session_refresh,
                                               .close = session_close};

void link_server_open(struct context *ctx, int take_fd, const struct snapshot_service *service,
                      struct span seen)
{
    const struct snapshot *snapshot = ctx->view->snapshot;
    struct tls_engine *engine = NULL;
    struct link_server *s = NULL;
    struct tls_server_options tls = {.profile = ctx->profile,
                                     .self = service->identity,
                                     .trust = snapshot->trust,
                                     .alpn = LINK_ALPN,
                                     .alpn_else = "h2",
                                     .now_s = loop_wall_s(ctx->loop)};
    if (!context_may_handshake(ctx, CONTEXT_HANDSHAKE_FROM_PEER)) {
        metrics_count(ctx->metrics, METRICS_SESSIONS_REFUSED, 1);
        goto fail_fd;
    }
    const struct addr from = sock_remote(take_fd);
    s = session_new(ctx, &session_ops, &from);
    if (s == NULL) goto fail_fd;
    if (tls_engine_server(&tls, &engine) != ERR_OK) goto fail_session;
    struct conn_options o = {.loop = ctx->loop,
                             .events = &conn_events,
                             .owner = s,
                             .phase = LOOP_FLUSH_LINK,
                             .open_deadline_ms = loop_now_ms(ctx->loop) + HANDSHAKE_TIMEOUT_MS};
    s->begun_us = loop_now_us(ctx->loop);
    s->service = service->name;
    s->front.ops = &front_ops;
    if (conn_accept(&o, take_fd, engine, seen, &s->front.conn) != ERR_OK) {
        session_end(&s->front.session);
        return;
    }
    s->identity = identity_ref(service->identity);
    s->trust = identity_trust_ref(snapshot->trust);
    ctx->handshake_count[CONTEXT_HANDSHAKE_FROM_PEER]++;
    return;

fail_session:
    session_end(&s->front.session);
fail_fd:
    close(take_fd);
}
