#include "proxy/http/h2_server.h"

#include <unistd.h>

#include "core/base/check.h"
#include "core/io/conn.h"
#include "proxy/http/exchange.h"
#include "proxy/http/translate.h"
#include "proxy/net/session.h"

#define HANDSHAKE_TIMEOUT_MS 5000u
#define GOAWAY_AFTER_MS      1000u /* longer than a round trip; RFC 9113 6.8 */

struct h2_server {
    struct session session;
    struct conn *conn;
    struct h2 *h2; /* owned; NULL before the handshake is done */
    struct name service;
    struct identity *identity; /* owned reference: what the link was made with */
    struct trust *trust;       /* owned reference */
    struct spiffe_id peer;
    char peer_uri[SPIFFE_ID_BYTES_MAX + 1];
    uint64_t begun_us;
    bool draining, failed;
    struct loop_timer timer; /* the second step of the end */
};

static void h2_server_close(struct h2_server *s, bool abort)
{
    struct context *ctx = s->session.ctx;
    if (s->session.gone) return;
    if (s->h2 == NULL) ctx->handshake_count--;
    loop_timer_clear(ctx->loop, &s->timer);
    h2_free(s->h2);
    identity_unref(s->identity);
    identity_trust_unref(s->trust);
    conn_close(s->conn, abort);
    session_end(&s->session);
}

static void mark(struct h2_server *s)
{
    conn_mark(s->conn);
}

/* --- the exchange's side --- */

static void stream_head(struct exchange *ex, struct h2_head *head)
{
    *head = (struct h2_head){.status = ex->resp.status,
                             .headers = ex->resp.headers,
                             .content_length = ex->tcp ? -1 : ex->resp.content_length};
    if (ex->resp.upgrade) head->status = 200;
}

static void down_interim(struct exchange *ex, unsigned status, const struct headers *h)
{
    struct h2_server *s = ex->down;
    struct headers copy = *h;
    struct h2_head head = {.status = status, .headers = &copy, .content_length = -1};
    if (h2_interim(s->h2, &ex->down_stream, &head) == ERR_OK) mark(s);
}

static bool down_respond(struct exchange *ex)
{
    struct h2_server *s = ex->down;
    struct h2_head head;
    bool body =
        ex->tunnelled || (ex->resp.body_length != BODY_LENGTH_NONE && ex->resp.body_length != 0);
    if (ex->resp.upgrade && headers_add(ex->resp.headers, SPAN_LIT("parley-upgrade"),
                                        ex->req.upgrade_protocol) != ERR_OK)
        return false;
    stream_head(ex, &head);
    if (h2_respond(s->h2, &ex->down_stream, &head, body) != ERR_OK) return false;
    mark(s);
    return true;
}

static void down_flush(struct exchange *ex)
{
    struct h2_server *s = ex->down;
    ex->down_stream.out_ended = ex->resp_body.ended;
    ex->down_stream.out_trailers = ex->resp_body.trailers;
    h2_resume(s->h2, &ex->down_stream);
    mark(s);
}

static void down_consumed(struct exchange *ex, size_t bytes)
{
    struct h2_server *s = ex->down;
    h2_consume(s->h2, &ex->down_stream, bytes);
    mark(s);
}

static void down_refuse(struct exchange *ex)
{
    struct h2_server *s = ex->down;
    h2_reset(s->h2, &ex->down_stream, H2_REFUSED);
    mark(s);
}

static void down_abort(struct exchange *ex)
{
    struct h2_server *s = ex->down;
    h2_reset(s->h2, &ex->down_stream, H2_RESET);
    mark(s);
}

static void down_release(struct exchange *ex)
{
    struct h2_server *s = ex->down;
    if (ex->down_stream.id == 0) return;
    /* RFC 9113 8.1: the answer was complete before the request; no error, but no more of it. */
    if (!ex->req_body.ended)
        h2_reset(s->h2, &ex->down_stream, H2_CLOSED);
    else
        h2_detach(s->h2, &ex->down_stream);
    mark(s);
}

static const struct downstream_ops down_ops = {
    .proto = "h2",
    .interim = down_interim,
    .respond = down_respond,
    .flush = down_flush,
    .consumed = down_consumed,
    .refuse = down_refuse,
    .abort = down_abort,
    .release = down_release,
};

/* Of a tunnel whose stream is complete while its application still reads. */
static bool gone_respond(struct exchange *ex)
{
    (void)ex;
    return false;
}

static void gone_nothing(struct exchange *ex)
{
    (void)ex;
}

static void gone_consumed(struct exchange *ex, size_t bytes)
{
    (void)ex;
    (void)bytes;
}

static const struct downstream_ops gone_ops = {
    .proto = "h2",
    .respond = gone_respond,
    .flush = gone_nothing,
    .consumed = gone_consumed,
    .abort = gone_nothing,
    .release = gone_nothing,
};

/* --- streams --- */

static struct h2_stream *on_begin(void *owner)
{
    struct h2_server *s = owner;
    struct exchange *ex =
        exchange_new(s->session.ctx, DIRECTION_INBOUND, &down_ops, s, conn_remote(s->conn));
    if (ex == NULL) return NULL;
    ex->down_tls = true;
    ex->peer = s->peer;
    ex->req.peer = &ex->peer;
    ex->service = snapshot_service(ex->view->snapshot, span_str(s->service.text));
    ex->down_stream.arena = &ex->arena;
    ex->down_stream.fields = &ex->req_headers;
    ex->down_stream.out = &ex->resp_body.buf;
    ex->down_stream.owner = ex;
    return &ex->down_stream;
}

static void on_head(void *owner, struct h2_stream *stream, bool ended)
{
    struct h2_server *s = owner;
    struct exchange *ex = stream->owner;
    ex->req_body.ended = ended;
    if (ex->service == NULL) {
        exchange_refuse(ex, REASON_NO_ROUTE);
        return;
    }
    const struct header *id = headers_find(stream->head.headers, "parley-request-id");
    if (id != NULL && request_id_valid(id->value)) ex->req.id = id->value;
    ex->hops = translate_hops(stream->head.headers);
    enum reason reason = translate_request_h2(&stream->head, ended, &ex->arena, &ex->req);
    ex->req.peer_uri = arena_span(&ex->arena, span_str(s->peer_uri));
    ex->tcp = ex->req.connect && ex->service->protocol == PROTOCOL_TCP;
    if (ex->tcp) list_push_back(&ex->ctx->tunnels, &ex->tunnel);
    if (reason != REASON_NONE)
        exchange_reject(ex, reason);
    else
        exchange_start(ex);
}

static void on_stream_data(void *owner, struct h2_stream *stream, struct span data)
{
    (void)owner;
    exchange_request_data(stream->owner, data);
}

static void on_end(void *owner, struct h2_stream *stream, struct headers *trailers)
{
    (void)owner;
    exchange_request_end(stream->owner, translate_trailers(trailers));
}

static void on_sent(void *owner, struct h2_stream *stream, size_t bytes)
{
    (void)owner;
    exchange_response_taken(stream->owner, bytes);
}

static void on_sent_end(void *owner, struct h2_stream *stream)
{
    (void)owner;
    exchange_delivered(stream->owner);
}

static void on_close(void *owner, struct h2_stream *stream, enum h2_close how)
{
    struct exchange *ex = stream->owner;
    (void)owner;
    /* Complete both ways: what is left of the request still goes to the application, maybe long
     * after this link has gone. */
    if (how == H2_CLOSED && ex->delivered) {
        ex->down_ops = &gone_ops;
        ex->down = NULL;
        return;
    }
    exchange_client_gone(ex, REASON_CLIENT_GONE);
}

static void on_goaway(void *owner)
{
    struct h2_server *s = owner;
    s->draining = true;
}

static void on_write(void *owner, struct span bytes)
{
    struct h2_server *s = owner;
    if (conn_write(s->conn, bytes) != ERR_OK) s->failed = true;
}

static const struct h2_events h2_events = {.on_begin = on_begin,
                                           .on_head = on_head,
                                           .on_data = on_stream_data,
                                           .on_end = on_end,
                                           .on_sent = on_sent,
                                           .on_sent_end = on_sent_end,
                                           .on_close = on_close,
                                           .on_goaway = on_goaway,
                                           .on_write = on_write};

/* --- the connection --- */

/* The link is gone: so are the clients of its exchanges. */
static void cut_all(struct h2_server *s, bool abort)
{
    if (s->h2 != NULL) h2_lost(s->h2);
    h2_server_close(s, abort);
}

static void arrive_late(struct h2_server *s);

static void on_open(struct conn *c, void *owner)
{
    struct h2_server *s = owner;
    struct context *ctx = s->session.ctx;
    const struct x509_leaf *leaf = conn_peer(c);
    struct h2_options o = {.server = true,
                           .events = &h2_events,
                           .owner = s,
                           .alloc = &ctx->h2_alloc,
                           .streams_max = LINK_STREAMS_MAX,
                           .stream_window_bytes = LINK_STREAM_WINDOW_BYTES,
                           .connection_window_bytes = LINK_WINDOW_BYTES,
                           .now_ms = loop_now_ms(ctx->loop)};
    metrics_handshake(ctx->metrics, true, "ok", loop_now_us(ctx->loop) - s->begun_us);
    if (leaf == NULL || h2_new(&o, &s->h2) != ERR_OK) {
        h2_server_close(s, true);
        return;
    }
    ctx->handshake_count--;
    s->peer = leaf->id;
    name_spiffe_format(&s->peer, s->peer_uri);
    mark(s);
    arrive_late(s);
}

static size_t on_data(struct conn *c, void *owner, struct span data)
{
    struct h2_server *s = owner;
    (void)c;
    enum err err = h2_feed(s->h2, data, loop_now_ms(s->session.ctx->loop));
    if (err != ERR_OK) s->failed = true;
    mark(s);
    return data.len;
}

static void on_flush(struct conn *c, void *owner)
{
    struct h2_server *s = owner;
    size_t room;
    while ((room = conn_room(c)) > 0 && h2_wants_write(s->h2)) {
        size_t before = conn_queued(c);
        if (h2_pull(s->h2, room) != ERR_OK) s->failed = true;
        if (s->failed || conn_queued(c) == before) break;
    }
    metrics_count(s->session.ctx->metrics, METRICS_LINK_SENDS, 1);
    if (s->failed || h2_done(s->h2)) cut_all(s, false);
}

static void on_eof(struct conn *c, void *owner)
{
    (void)c;
    cut_all(owner, false);
}

static void on_error(struct conn *c, void *owner, enum err err)
{
    struct h2_server *s = owner;
    struct context *ctx = s->session.ctx;
    if (s->h2 != NULL) {
        cut_all(s, true);
        return;
    }
    enum x509_fault fault = tls_engine_fault(conn_engine(c));
    const char *word = fault != X509_OK ? x509_check_word(fault) : err_name(err);
    char from[ADDR_TEXT_MAX];
    metrics_handshake(ctx->metrics, true, word, loop_now_us(ctx->loop) - s->begun_us);
    log_limited(ctx->log, LOG_LEVEL_WARN, hash_mix((uint64_t)err), "handshake",
                "side=server service=%s from=%s result=%s detail=%d", s->service.text,
                addr_format(conn_remote(c), from), word, tls_engine_detail(conn_engine(c)));
    h2_server_close(s, true);
}

static const struct conn_events conn_events = {.on_open = on_open,
                                               .on_data = on_data,
                                               .on_eof = on_eof,
                                               .on_error = on_error,
                                               .on_flush = on_flush};

/* --- the end --- */

static void on_expire(struct loop_timer *t)
{
    struct h2_server *s = CONTAINER_OF(t, struct h2_server, timer);
    h2_goaway(s->h2);
    mark(s);
}

static void drain(struct h2_server *s)
{
    struct loop *loop = s->session.ctx->loop;
    if (s->h2 == NULL || s->timer.on_expire != NULL) return;
    h2_shutdown_notice(s->h2);
    s->timer.on_expire = on_expire;
    loop_timer_set(loop, &s->timer, loop_now_ms(loop) + GOAWAY_AFTER_MS);
    mark(s);
}

/* By the newest view. */
static bool must_end(const struct h2_server *s)
{
    const struct snapshot *now = s->session.ctx->view->snapshot;
    const struct snapshot_service *service = snapshot_service(now, span_str(s->service.text));
    return now->draining || service == NULL || service->identity != s->identity ||
           now->trust != s->trust;
}

static void on_late(struct loop_timer *t)
{
    struct h2_server *s = CONTAINER_OF(t, struct h2_server, timer);
    t->on_expire = NULL;
    drain(s);
}

/* A link that views would have ended during its handshake. At once, the notice would overtake the
 * requests that the link was made for and refuse them. */
static void arrive_late(struct h2_server *s)
{
    struct loop *loop = s->session.ctx->loop;
    if (!must_end(s)) return;
    s->timer.on_expire = on_late;
    loop_timer_set(loop, &s->timer, loop_now_ms(loop) + GOAWAY_AFTER_MS);
}

static void session_refresh(struct session *session)
{
    struct h2_server *s = CONTAINER_OF(session, struct h2_server, session);
    if (must_end(s)) drain(s);
}

static void session_close(struct session *session)
{
    cut_all(CONTAINER_OF(session, struct h2_server, session), true);
}

static const struct session_ops session_ops = {
    .size = sizeof(struct h2_server), .refresh = session_refresh, .close = session_close};

void h2_server_open(struct context *ctx, int take_fd, const struct snapshot_service *service,
                    struct span seen)
{
    const struct snapshot *snapshot = ctx->view->snapshot;
    struct tls_engine *engine = NULL;
    struct h2_server *s = NULL;
    struct tls_server_options tls = {.profile = ctx->profile,
                                     .self = service->identity,
                                     .trust = snapshot->trust,
                                     .alpn = "h2",
                                     .now_s = loop_wall_s(ctx->loop)};
    if (ctx->handshake_count >= HANDSHAKES_IN_FLIGHT_MAX) {
        metrics_count(ctx->metrics, METRICS_SESSIONS_REFUSED, 1);
        goto fail_fd;
    }
    s = session_new(ctx, &session_ops);
    if (s == NULL) goto fail_fd;
    if (tls_engine_server(&tls, &engine) != ERR_OK) goto fail_session;
    struct conn_options o = {.loop = ctx->loop,
                             .events = &conn_events,
                             .owner = s,
                             .phase = LOOP_FLUSH_LINK,
                             .open_deadline_ms = loop_now_ms(ctx->loop) + HANDSHAKE_TIMEOUT_MS};
    s->begun_us = loop_now_us(ctx->loop);
    s->service = service->name;
    if (conn_accept(&o, take_fd, engine, seen, &s->conn) != ERR_OK) {
        session_end(&s->session);
        return;
    }
    s->identity = identity_ref(service->identity);
    s->trust = identity_trust_ref(snapshot->trust);
    ctx->handshake_count++;
    return;

fail_session:
    session_end(&s->session);
fail_fd:
    close(take_fd);
}
