#include "proxy/http/link_client.h"

#include <assert.h>

#include "core/base/check.h"
#include "core/wire/link.h"
#include "proxy/http/deadline.h"
#include "proxy/http/translate.h"
#include "proxy/net/clients.h"
#include "proxy/net/pressure.h"

static_assert(offsetof(struct link_client, back) == 0, "the back frees the whole object");

static struct link_client *link_of(struct mux_back *b)
{
    return CONTAINER_OF(b, struct link_client, back);
}

/* The host, or the way to it, is at fault. */
static void blame(struct link_client *l)
{
    endpoint_state_failed(l->back.state, loop_now_ms(l->back.ctx->loop));
    context_dead_link(l->back.ctx, &l->addr);
}

/* --- the back's questions --- */

/* An address of this host alone says nothing elsewhere. */
static bool add_client(struct exchange *ex)
{
    char text[ADDR_TEXT_MAX];
    if (ex->client.family == ADDR_NONE || addr_is_loopback(&ex->client)) return true;
    struct span value = arena_span(&ex->arena, span_str(addr_format(&ex->client, text)));
    return value.p != NULL &&
           headers_add(ex->req.headers, SPAN_LIT("parley-client"), value) == ERR_OK;
}

static enum reason back_head(struct exchange *ex, struct mux_head *head)
{
    char sni[SNI_BYTES_MAX + 1];
    size_t sni_len = name_sni_format(&ex->attempt.endpoint->expect, sni);
    *head =
        (struct mux_head){.method = ex->req.method,
                          .authority = ex->req.authority,
                          .headers = ex->req.headers,
                          .content_length = ex->req.body_length >= 0 ? ex->req.body_length : -1};
    if (ex->tcp || head->authority.len == 0)
        head->authority = arena_span(&ex->arena, span_of(sni, sni_len));
    if (head->authority.p == NULL || !add_client(ex) ||
        !mux_back_add_number(ex, SPAN_LIT("parley-hops"), ex->hops + 1) ||
        !deadline_stamp_request(ex))
        return REASON_INTERNAL;
    if (ex->tcp) {
        head->method = SPAN_LIT("CONNECT");
        bool added =
            headers_add(ex->req.headers, SPAN_LIT("parley-request-id"), ex->req.id) == ERR_OK;
        return added ? REASON_NONE : REASON_INTERNAL;
    }
    head->scheme = SPAN_LIT("http");
    head->path = ex->req.tunnel ? SPAN_LIT("/") : mux_back_path(ex);
    if (ex->req.upgrade) {
        head->method = SPAN_LIT("CONNECT");
        head->protocol = ex->req.upgrade_protocol;
    }
    return head->path.p != NULL ? REASON_NONE : REASON_INTERNAL;
}

static enum reason back_response(struct exchange *ex, const struct mux_head *head, bool ended)
{
    return translate_response_h2(head, ended, &ex->req, &ex->resp);
}

static void back_heard(struct mux_back *b)
{
    struct link_client *l = link_of(b);
    l->heard_ms = loop_now_ms(b->ctx->loop);
    l->spoken = true;
    heard_note(&l->heard, l->heard_ms);
}

static void back_flushed(struct mux_back *b)
{
    metrics_count(b->ctx->metrics, METRICS_LINK_SENDS, 1);
}

static void back_lost(struct mux_back *b)
{
    blame(link_of(b));
}

static void back_closed(struct mux_back *b)
{
    struct link_client *l = link_of(b);
    if (b->mux == NULL) b->ctx->handshake_count[CONTEXT_HANDSHAKE_TO_PEER]--;
    identity_unref(l->identity);
    identity_trust_unref(l->trust);
}

static const struct mux_back_ops back_ops = {.size = sizeof(struct link_client),
                                             .refused = REASON_CONN_REFUSED,
                                             .waiting_max = LINK_STREAMS_MAX,
                                             .cancels_late = true,
                                             .head = back_head,
                                             .response = back_response,
                                             .heard = back_heard,
                                             .flushed = back_flushed,
                                             .lost = back_lost,
                                             .closed = back_closed};

/* --- the connection --- */

static void on_open(struct conn *c, void *owner)
{
    struct link_client *l = owner;
    struct context *ctx = l->back.ctx;
    metrics_handshake(ctx->metrics, false, "ok", loop_now_us(ctx->loop) - l->begun_us);
    bool link_frame = strcmp(tls_engine_alpn(conn_engine(c)), LINK_ALPN) == 0;
    metrics_count(ctx->metrics, METRICS_LINKS_HTTP2, !link_frame);
    _Atomic uint32_t *steps = clients_peer_steps(ctx->clients, &l->addr);
    if (!mux_back_start(&l->back, link_frame, steps)) return;
    ctx->handshake_count[CONTEXT_HANDSHAKE_TO_PEER]--;
    l->heard_ms = loop_now_ms(ctx->loop);
    mux_back_opened(&l->back);
}

static enum reason reason_of(enum err err, enum x509_fault fault)
{
    if (fault == X509_NO_CERTIFICATE) return REASON_PEER_NO_CERT;
    if (fault == X509_EXPIRED || fault == X509_NOT_YET_VALID) return REASON_PEER_CERT_EXPIRED;
    if (fault == X509_UNKNOWN_CA || fault == X509_BAD_SIGNATURE) return REASON_PEER_CA_UNKNOWN;
    if (fault != X509_OK) return REASON_PEER_IDENTITY_MISMATCH;
    return err == ERR_TIMEOUT ? REASON_CONN_TIMEOUT : REASON_CONN_REFUSED;
}

static void on_error(struct conn *c, void *owner, enum err err)
{
    struct link_client *l = owner;
    struct context *ctx = l->back.ctx;
    enum reason reason = REASON_CONN_REFUSED;
    if (l->back.mux == NULL) {
        enum x509_fault fault = tls_engine_fault(conn_engine(c));
        const char *word = fault != X509_OK ? x509_check_word(fault) : err_name(err);
        char to[ADDR_TEXT_MAX];
        reason = reason_of(err, fault);
        metrics_handshake(ctx->metrics, false, word, loop_now_us(ctx->loop) - l->begun_us);
        log_limited(ctx->log, LOG_LEVEL_WARN, l->back.state->id ^ (uint64_t)err, "handshake",
                    "side=client to=%s result=%s detail=%d", addr_format(&l->addr, to), word,
                    tls_engine_detail(conn_engine(c)));
    }
    /* Our own want says nothing of the host. */
    if (err == ERR_NOMEM)
        pressure_shed(ctx, "connection");
    else
        blame(l);
    mux_back_die(&l->back, reason);
}

static const struct conn_events conn_events = {.on_open = on_open,
                                               .on_data = mux_back_on_data,
                                               .on_eof = mux_back_on_eof,
                                               .on_error = on_error,
                                               .on_drain = mux_back_on_drain,
                                               .on_flush = mux_back_on_flush};

/* --- time --- */

/* A peer that says nothing while streams are open or wait to be, or while those that were given up
 * keep their places, or not even its first word, is asked, then given up. */
static bool is_silent(struct link_client *l, uint64_t now)
{
    bool expected = !l->spoken || mux_back_load(&l->back) > 0 || mux_wants_tick(l->back.mux);
    if (!expected || now - l->heard_ms < LINK_PING_MS) {
        l->pinged_ms = 0;
        return false;
    }
    if (l->pinged_ms == 0) {
        l->pinged_ms = now;
        mux_ping(l->back.mux);
        conn_mark(l->back.conn);
    }
    return now - l->pinged_ms >= LINK_DEAD_MS - LINK_PING_MS;
}

static void on_expire(struct loop_timer *t)
{
    struct link_client *l = CONTAINER_OF(t, struct link_client, back.timer);
    uint64_t now = loop_now_ms(l->back.ctx->loop);
    if (l->back.mux != NULL && is_silent(l, now)) {
        blame(l);
        mux_back_die(&l->back, REASON_CONN_TIMEOUT);
        return;
    }
    bool unused = l->back.mux != NULL && mux_back_load(&l->back) == 0;
    if (unused && (l->back.draining || now - l->back.idle_since_ms >= LINK_IDLE_MS)) {
        mux_back_close(&l->back, false);
        return;
    }
    /* New requests find, or open, another. */
    if (l->back.mux != NULL && tls_engine_worn(conn_engine(l->back.conn))) l->back.draining = true;
    loop_timer_set(l->back.ctx->loop, &l->back.timer, now + LINK_TICK_MS);
    mux_back_expired(&l->back);
}

/* --- of the pool --- */

enum err link_client_open(struct exchange *ex, struct link_client **out)
{
    struct context *ctx = ex->ctx;
    const struct snapshot_endpoint *endpoint = ex->attempt.endpoint;
    char sni[SNI_BYTES_MAX + 1];
    struct tls_engine *engine;
    struct slab *slab = loop_slab(ctx->loop, sizeof(struct link_client));
    struct target to = {.addr = endpoint->addr};
    struct tls_client_options tls = {.profile = ctx->profile,
                                     .self = ex->upstream->identity,
                                     .trust = ex->view->snapshot->trust,
                                     .expect = &endpoint->expect,
                                     .sni = sni,
                                     .alpn = LINK_ALPN,
                                     .alpn_else = "h2",
                                     .now_s = loop_wall_s(ctx->loop)};
    name_sni_format(&endpoint->expect, sni);
    struct link_client *l = slab_get(slab);
    if (l == NULL) return ERR_NOMEM;
    enum err err = tls_engine_client(&tls, &engine);
    if (err != ERR_OK) goto fail_slab;
    uint64_t now = loop_now_ms(ctx->loop);
    struct conn_options o = {.loop = ctx->loop,
                             .events = &conn_events,
                             .owner = l,
                             .phase = LOOP_FLUSH_LINK,
                             .open_deadline_ms = now + ex->upstream->connect_timeout_ms};
    l->back.ctx = ctx;
    l->back.ops = &back_ops;
    l->begun_us = loop_now_us(ctx->loop);
    l->back.idle_since_ms = now;
    l->addr = endpoint->addr;
    l->heard = heard_place(ctx->heard, &l->addr);
    l->back.state = ex->attempt.state;
    l->back.timer.on_expire = on_expire;
    list_init(&l->back.waiting);
    err = conn_connect(&o, &to, engine, &l->back.conn);
    if (err != ERR_OK) goto fail_slab;
    l->identity = identity_ref(ex->upstream->identity);
    l->trust = identity_trust_ref(ex->view->snapshot->trust);
    list_push_back(&ctx->links, &l->back.node);
    list_push_back(&l->back.state->links, &l->back.by_state);
    ctx->handshake_count[CONTEXT_HANDSHAKE_TO_PEER]++;
    metrics_count(ctx->metrics, METRICS_LINKS_OPENED, 1);
    loop_timer_set(ctx->loop, &l->back.timer, now + LINK_TICK_MS);
    *out = l;
    return ERR_OK;

fail_slab:
    slab_put(slab, l);
    return err;
}

void link_client_close_all(struct context *ctx)
{
    struct list *node;
    while ((node = list_first(&ctx->links)) != NULL)
        mux_back_die(LIST_ENTRY(node, struct mux_back, node), REASON_DRAINING);
}
