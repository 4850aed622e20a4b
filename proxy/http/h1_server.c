#include "proxy/http/h1_server.h"

#include <assert.h>

#include "core/base/check.h"
#include "core/wire/h1.h"
#include "core/wire/h1_emit.h"
#include "proxy/http/h2_plain.h"
#include "proxy/http/translate.h"
#include "proxy/net/listener.h"
#include "proxy/net/plain_server.h"
#include "proxy/net/pressure.h"

/* A client that has ended its side may wait for its answer or be gone: both look alike, until
 * something is sent. */
#define PROBE_AFTER_MS 500u
/* Pipelined requests begun in one turn: what they take comes back at its end. */
#define HEADS_A_TURN_MAX 16u

enum server_state { SERVER_HEAD, SERVER_BODY, SERVER_WAIT, SERVER_TUNNEL };

struct h1_server {
    struct plain_server plain;
    uint64_t listener_id;
    struct h1_scan scan;
    uint32_t begun;       /* requests so far */
    uint8_t state;        /* enum server_state */
    uint8_t version;      /* enum h1_version */
    bool keep_alive;      /* the client and we go on after this exchange */
    bool last;            /* the client sends nothing behind this request (RFC 9112 9.6) */
    bool chunked;         /* the response's body */
    bool pipeline_paused; /* reading waits for the exchange to end */
    bool half_closed;     /* the client has ended its side behind a whole request */
    bool in_handshake;    /* of TLS */
    struct iobuf head;    /* of a request that came in pieces */
    uint64_t since_ms;    /* idle, or reading this head */
    struct loop_timer timer;
};

/* performance.md 6: 512 bytes an idle connection, with its struct conn and libev's entry. */
static_assert(sizeof(struct h1_server) <= 192, "an idle connection stays small");
static_assert(offsetof(struct h1_server, plain) == 0,
              "the plain server's owner is the whole object");

static void end(struct plain_server *plain, bool abort)
{
    struct h1_server *s = CONTAINER_OF(plain, struct h1_server, plain);
    if (plain->session.gone) return;
    if (s->in_handshake) plain->session.ctx->handshake_count[CONTEXT_HANDSHAKE_LOCAL]--;
    loop_timer_clear(plain->session.ctx->loop, &s->timer);
    iobuf_clear(&s->head);
    if (!abort && s->last && s->state == SERVER_WAIT)
        conn_close_last(plain->conn);
    else
        conn_close(plain->conn, abort);
    session_end(&plain->session);
}

static void h1_server_close(struct h1_server *s, bool abort)
{
    end(&s->plain, abort);
}

static const struct config_bounds *bounds_of(const struct h1_server *s)
{
    return &s->plain.session.ctx->view->snapshot->bounds;
}

/* --- requests --- */

static const struct downstream_ops down_ops;

/* The head's bytes, what came before and the last piece, as one run in the exchange's arena. */
static char *gather(struct h1_server *s, struct exchange *ex, struct span last, size_t *len)
{
    size_t before = s->head.len;
    char *text = arena_alloc(&ex->arena, before + last.len);
    if (text == NULL) return NULL;
    size_t copied = iobuf_peek(&s->head, text, before);
    CHECK(copied == before);
    iobuf_clear(&s->head);
    memcpy(text + before, last.p, last.len);
    *len = before + last.len - s->scan.skipped;
    return text + s->scan.skipped;
}

static struct exchange *begin(struct h1_server *s)
{
    if (s->begun < UINT32_MAX) s->begun++;
    s->keep_alive = s->last = false;
    s->version = H1_1_1;
    const struct view *view = s->plain.session.ctx->view;
    return plain_server_begin(&s->plain, &down_ops, listener_upstream(view, s->listener_id));
}

static void reject(struct h1_server *s, enum reason reason)
{
    struct exchange *ex = s->plain.ex != NULL ? s->plain.ex : begin(s);
    if (ex == NULL) return;
    s->keep_alive = s->last = false;
    s->state = SERVER_WAIT;
    exchange_reject(ex, reason);
}

/* Whoever names another protocol, or none, would not understand an answer. */
static bool speaks_http(struct span head)
{
    struct span line = span_cut(head, '\r', &head), rest = line, word = line;
    while (rest.p != NULL)
        word = span_cut(rest, ' ', &rest);
    return word.len > 5 && span_eq_nocase(span_of(word.p, 5), SPAN_LIT("HTTP/"));
}

static void head_complete(struct h1_server *s, struct span last)
{
    size_t len = 0;
    struct exchange *ex = begin(s);
    if (ex == NULL) return;
    char *text = gather(s, ex, last, &len);
    struct h1_head head = {.headers = &ex->req_headers};
    if (text == NULL) {
        reject(s, REASON_INTERNAL);
        return;
    }
    if (h1_request(&ex->down_h1, text, len, &head) != ERR_OK) {
        if (speaks_http(span_of(text, len)))
            reject(s, ex->down_h1.fault);
        else
            exchange_client_gone(ex, REASON_BAD_REQUEST);
        return;
    }
    s->version = (uint8_t)head.version;
    enum reason reason = translate_request_h1(&head, &ex->arena, &ex->req);
    if (reason != REASON_NONE) {
        reject(s, reason);
        return;
    }
    s->keep_alive = head.keep_alive;
    s->last = !head.keep_alive;
    s->state = ex->down_h1.done ? SERVER_WAIT : SERVER_BODY;
    ex->req_body.ended = ex->down_h1.done && !ex->req.upgrade;
    ex->hops = translate_hops(ex->req.headers);
    exchange_start(ex);
}

/* Are the first bytes of the connection HTTP/2's (RFC 9113 3.4)? `last` ends the head. */
static bool is_preface(const struct h1_server *s, struct span last)
{
    char text[sizeof H2_PLAIN_HEAD - 1];
    if (s->begun > 0 || s->scan.bytes != sizeof text || s->scan.skipped > 0) return false;
    size_t before = iobuf_peek(&s->head, text, s->head.len);
    memcpy(text + before, last.p, last.len);
    return memcmp(text, H2_PLAIN_HEAD, sizeof text) == 0;
}

/* What ALPN has chosen is what follows (T15); without it the first bytes tell. */
static bool as_agreed(const struct h1_server *s, bool h2)
{
    struct tls_engine *tls = conn_engine(s->plain.conn);
    const char *alpn = tls != NULL ? tls_engine_alpn(tls) : NULL;
    return alpn == NULL || (strcmp(alpn, "h2") == 0) == h2;
}

static void become_h2(struct h1_server *s, struct span behind)
{
    loop_timer_clear(s->plain.session.ctx->loop, &s->timer);
    iobuf_clear(&s->head);
    h2_plain_open(&s->plain.session, s->plain.conn, s->listener_id, behind);
}

static size_t take_head(struct h1_server *s, struct span data)
{
    size_t used = 0;
    if (s->scan.bytes == 0) s->since_ms = loop_now_ms(s->plain.session.ctx->loop);
    enum err err = h1_scan(&s->scan, H1_REQUEST, data, &used);
    bool h2 = err == ERR_OK && is_preface(s, span_of(data.p, used));
    if (err == ERR_OK && s->begun == 0 && !as_agreed(s, h2)) {
        h1_server_close(s, true);
        return data.len;
    }
    if (h2) {
        become_h2(s, span_skip(data, used));
        return data.len;
    }
    if (err == ERR_OK) {
        head_complete(s, span_of(data.p, used));
        return used;
    }
    if (err == ERR_MORE) {
        if (iobuf_append_span(&s->head, data) != ERR_OK) {
            h1_server_close(s, true);
            return data.len;
        }
        loop_timer_set(s->plain.session.ctx->loop, &s->timer,
                       s->since_ms + bounds_of(s)->header_timeout_ms);
        return data.len;
    }
    /* What begins with a control byte (a TLS hello) is no HTTP: no answer, no banner (G17). */
    bool http = s->scan.bytes > 0 || (unsigned char)data.p[0] >= 0x20;
    if (http) {
        reject(s, s->scan.fault);
    } else {
        if (s->begun == 0) metrics_count(s->plain.session.ctx->metrics, METRICS_BAD_PREFACE, 1);
        h1_server_close(s, false);
    }
    return data.len;
}

static void on_body(void *owner, struct span data)
{
    struct h1_server *s = owner;
    if (s->plain.ex != NULL) exchange_request_data(s->plain.ex, data);
}

static void body_failed(struct h1_server *s)
{
    struct exchange *ex = s->plain.ex;
    s->keep_alive = false;
    /* What was sent on is cut; what was not even begun gets its answer. */
    if (ex->responded)
        exchange_client_gone(ex, REASON_BAD_REQUEST);
    else
        exchange_reject(ex, ex->down_h1.fault);
}

static size_t take_body(struct h1_server *s, struct span data)
{
    struct h1_sink sink = {on_body, s};
    struct exchange *ex = s->plain.ex;
    size_t used = 0;
    enum err err = h1_body(&ex->down_h1, &ex->arena, data, &sink, &used);
    /* The exchange may have ended on the way; then the connection is closing. */
    if (s->plain.session.gone || s->plain.ex != ex) return data.len;
    if (err != ERR_OK) {
        body_failed(s);
        return data.len;
    }
    if (ex->down_h1.done) {
        s->state = SERVER_WAIT;
        exchange_request_end(ex, ex->down_h1.trailers);
    } else {
        plain_server_check(&s->plain);
    }
    return used;
}

static size_t on_data(struct conn *c, void *owner, struct span data)
{
    struct h1_server *s = owner;
    size_t at = 0;
    unsigned heads = 0;
    while (at < data.len && !s->plain.session.gone) {
        struct span rest = span_skip(data, at);
        if (s->state == SERVER_HEAD) {
            /* Who reads no answers gets no more of them. */
            if (conn_queued(c) > conn_low_water(c)) {
                s->pipeline_paused = true;
                conn_pause(c);
                return at;
            }
            if (heads++ == HEADS_A_TURN_MAX) return at;
            at += take_head(s, rest);
        } else if (s->state == SERVER_BODY) {
            at += take_body(s, rest);
        } else if (s->state == SERVER_TUNNEL) {
            plain_server_feed(&s->plain, rest);
            at = data.len;
        } else {
            s->pipeline_paused = true;
            conn_pause(c);
            return at;
        }
    }
    return data.len;
}

/* --- responses --- */

static bool say_close(struct h1_server *s, const struct exchange *ex)
{
    /* A35: what is left of the request is never read as another. */
    if (s->state != SERVER_WAIT) s->keep_alive = false;
    /* What a client has sent on behind CONNECT is the tunnel's that there is not. */
    if (ex->req.tunnel) s->keep_alive = false;
    if (s->plain.session.ctx->view->snapshot->draining || s->half_closed) s->keep_alive = false;
    uint32_t most = bounds_of(s)->requests_per_connection;
    if (most > 0 && s->begun >= most) s->keep_alive = false;
    bool length_known = ex->resp.body_length != BODY_LENGTH_UNKNOWN;
    if (s->version == H1_1_0 && !length_known) s->keep_alive = false;
    return !s->keep_alive;
}

static void emit_framing(struct h1_server *s, const struct exchange *ex, struct strbuf *out)
{
    const struct response *resp = &ex->resp;
    bool bodiless = resp->status == 204 || resp->status == 304;
    s->chunked = false;
    if (resp->content_length >= 0 && resp->status != 204) {
        h1_emit_length(out, (uint64_t)resp->content_length);
    } else if (resp->body_length == BODY_LENGTH_UNKNOWN) {
        s->chunked = s->version == H1_1_1;
        if (s->chunked) h1_emit_chunked(out);
    } else if (!bodiless && !span_eq(ex->req.method, SPAN_LIT("HEAD"))) {
        h1_emit_length(out, 0);
    }
}

static bool write_head(struct h1_server *s, struct strbuf *out)
{
    h1_emit_end(out);
    return strbuf_ok(out) && conn_write(s->plain.conn, strbuf_view(out)) == ERR_OK;
}

static bool head_begin(struct exchange *ex, unsigned status, const struct headers *h,
                       struct strbuf *out)
{
    size_t cap = h1_emit_head_bytes(h, 0);
    char *text = arena_alloc(&ex->arena, cap);
    if (text == NULL) return false;
    strbuf_init_fixed(out, text, cap);
    h1_emit_status_line(out, status);
    h1_emit_headers(out, h);
    return true;
}

static void down_interim(struct exchange *ex, unsigned status, const struct headers *h)
{
    struct h1_server *s = ex->down;
    struct strbuf out;
    /* RFC 9110 15.2: not to an HTTP/1.0 client. One that is lost is lost. */
    if (s->version == H1_1_0 || !head_begin(ex, status, h, &out)) return;
    (void)write_head(s, &out);
}

static bool down_respond(struct exchange *ex)
{
    struct h1_server *s = ex->down;
    struct strbuf out;
    if (!head_begin(ex, ex->resp.status, ex->resp.headers, &out)) return false;
    if (ex->tunnelled) {
        s->state = SERVER_TUNNEL;
        s->keep_alive = s->chunked = false;
        if (!ex->req.tunnel) {
            h1_emit_field(&out, SPAN_LIT("connection"), SPAN_LIT("upgrade"));
            h1_emit_field(&out, SPAN_LIT("upgrade"), ex->req.upgrade_protocol);
        }
        if (s->pipeline_paused) conn_resume(s->plain.conn);
        s->pipeline_paused = false;
        return write_head(s, &out);
    }
    /* The upgrade was declined: nothing more belongs to this request. */
    ex->req_body.ended |= ex->req.upgrade;
    if (say_close(s, ex))
        h1_emit_field(&out, SPAN_LIT("connection"), SPAN_LIT("close"));
    else if (s->version == H1_1_0)
        h1_emit_field(&out, SPAN_LIT("connection"), SPAN_LIT("keep-alive"));
    emit_framing(s, ex, &out);
    return write_head(s, &out);
}

/* The first run of `body`; its bytes are in `*len`. */
static bool write_part(struct h1_server *s, struct iobuf *body, size_t *len)
{
    struct conn *conn = s->plain.conn;
    char line[H1_EMIT_CHUNK_BYTES];
    if (!s->chunked) return conn_write_front(conn, body, len) == ERR_OK;
    size_t line_len = h1_emit_chunk_line(line, iobuf_front(body).len);
    return conn_write(conn, span_of(line, line_len)) == ERR_OK &&
           conn_write_front(conn, body, len) == ERR_OK &&
           conn_write(conn, SPAN_LIT("\r\n")) == ERR_OK;
}

static bool write_last(struct h1_server *s, struct exchange *ex)
{
    const struct headers *trailers = ex->resp_body.trailers;
    struct strbuf out;
    if (s->state == SERVER_TUNNEL) conn_shutdown(s->plain.conn);
    if (!s->chunked) return true;
    if (trailers == NULL) return conn_write(s->plain.conn, SPAN_LIT("0\r\n\r\n")) == ERR_OK;
    size_t cap = h1_emit_head_bytes(trailers, 0);
    char *text = arena_alloc(&ex->arena, cap);
    if (text == NULL) return false;
    strbuf_init_fixed(&out, text, cap);
    h1_emit_last_chunk(&out, trailers);
    return strbuf_ok(&out) && conn_write(s->plain.conn, strbuf_view(&out)) == ERR_OK;
}

static void down_flush(struct exchange *ex)
{
    struct h1_server *s = ex->down;
    struct body *body = &ex->resp_body;
    if (ex->delivered) return;
    size_t most = pressure_out_water(ex->ctx, s->plain.conn);
    while (body->buf.len > 0 && conn_queued(s->plain.conn) <= most) {
        size_t len;
        if (!write_part(s, &body->buf, &len)) goto failed;
        exchange_response_taken(ex, len);
        if (ex->ended) return;
    }
    if (body->buf.len > 0) conn_ask_drain(s->plain.conn);
    if (body->buf.len > 0 || !body->ended) return;
    if (!write_last(s, ex)) goto failed;
    exchange_delivered(ex);
    return;
failed:
    exchange_client_gone(ex, REASON_CLIENT_GONE);
}

static void down_abort(struct exchange *ex)
{
    h1_server_close(ex->down, true);
}

static void down_release(struct exchange *ex)
{
    struct h1_server *s = ex->down;
    s->plain.ex = NULL;
    if (s->plain.session.gone) return;
    if (!s->keep_alive || s->half_closed || s->state != SERVER_WAIT) {
        h1_server_close(s, false);
        return;
    }
    s->state = SERVER_HEAD;
    s->scan = (struct h1_scan){.bytes = 0};
    s->since_ms = loop_now_ms(s->plain.session.ctx->loop);
    s->plain.session.body_paused = false;
    if (s->pipeline_paused) conn_resume(s->plain.conn);
    s->pipeline_paused = false;
}

static const struct downstream_ops down_ops = {
    .proto = "h1",
    .interim = down_interim,
    .respond = down_respond,
    .flush = down_flush,
    .consumed = plain_server_consumed,
    .abort = down_abort,
    .release = down_release,
};

/* --- the connection --- */

/* RFC 9112 9.6: a client may end its side as soon as its request is whole. */
static void half_close(struct h1_server *s)
{
    struct loop *loop = s->plain.session.ctx->loop;
    s->half_closed = true;
    loop_timer_set(loop, &s->timer, loop_now_ms(loop) + PROBE_AFTER_MS);
}

/* An interim answer that means nothing: who is there must understand it (RFC 9110 15.2), the
 * kernel of who is not answers with a reset. */
static void probe(struct h1_server *s)
{
    const struct exchange *ex = s->plain.ex;
    if (ex->responded || s->version == H1_1_0) return;
    (void)!conn_write(s->plain.conn, SPAN_LIT("HTTP/1.1 100 Continue\r\n\r\n"));
}

static void on_eof(struct conn *c, void *owner)
{
    struct h1_server *s = owner;
    (void)c;
    if (s->plain.ex == NULL)
        h1_server_close(s, false);
    else if (s->state == SERVER_TUNNEL)
        exchange_request_end(s->plain.ex, NULL);
    else if (s->state == SERVER_WAIT && !s->plain.ex->req.upgrade)
        half_close(s);
    else
        exchange_client_gone(s->plain.ex, REASON_CLIENT_GONE);
}

static void on_drain(struct conn *c, void *owner)
{
    struct h1_server *s = owner;
    plain_server_on_drain(c, &s->plain);
    if (s->plain.session.gone || s->state != SERVER_HEAD || !s->pipeline_paused) return;
    s->pipeline_paused = false;
    conn_resume(c);
}

static void on_expire(struct loop_timer *t)
{
    struct h1_server *s = CONTAINER_OF(t, struct h1_server, timer);
    struct loop *loop = s->plain.session.ctx->loop;
    bool reading = s->scan.bytes > 0;
    const struct config_bounds *b = bounds_of(s);
    uint64_t deadline = s->since_ms + (reading ? b->header_timeout_ms : b->keep_alive_ms);
    uint64_t now = loop_now_ms(loop);
    if (s->half_closed && s->plain.ex != NULL) {
        probe(s);
        return;
    }
    if (s->plain.ex != NULL || now < deadline) {
        /* The exchange keeps its own time; look again later. */
        loop_timer_set(loop, &s->timer, s->plain.ex != NULL ? now + b->keep_alive_ms : deadline);
        return;
    }
    if (reading)
        reject(s, REASON_CLIENT_TIMEOUT);
    else
        h1_server_close(s, false);
}

static void on_open(struct conn *c, void *owner)
{
    struct h1_server *s = owner;
    (void)c;
    if (s->in_handshake) s->plain.session.ctx->handshake_count[CONTEXT_HANDSHAKE_LOCAL]--;
    s->in_handshake = false;
}

static void on_error(struct conn *c, void *owner, enum err err)
{
    struct h1_server *s = owner;
    if (s->in_handshake) metrics_count(s->plain.session.ctx->metrics, METRICS_BAD_PREFACE, 1);
    plain_server_on_error(c, &s->plain, err);
}

static const struct plain_ops plain_ops = {
    .session = {.size = sizeof(struct h1_server), .close = plain_server_close},
    .events = {.on_open = on_open,
               .on_data = on_data,
               .on_eof = on_eof,
               .on_error = on_error,
               .on_drain = on_drain},
    .end = end};

void h1_server_open(struct context *ctx, const struct plain_accepted *take, uint64_t listener_id)
{
    bool tls = take->tls != NULL;
    struct plain_server *plain = plain_server_open(ctx, take, &plain_ops);
    if (plain == NULL) return;
    struct h1_server *s = CONTAINER_OF(plain, struct h1_server, plain);
    s->in_handshake = tls;
    if (tls) ctx->handshake_count[CONTEXT_HANDSHAKE_LOCAL]++;
    s->listener_id = listener_id;
    s->since_ms = loop_now_ms(ctx->loop);
    s->timer.on_expire = on_expire;
    iobuf_init(&s->head, loop_pool(ctx->loop));
    loop_timer_set(ctx->loop, &s->timer, s->since_ms + bounds_of(s)->header_timeout_ms);
}
