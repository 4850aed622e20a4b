#include "proxy/http/h2_app.h"

#include <assert.h>

#include "core/base/check.h"
#include "proxy/http/mux_back.h"
#include "proxy/http/translate.h"
#include "proxy/http/upgrade.h"
#include "proxy/net/introduce.h"

struct h2_app {
    struct mux_back back; /* open when the application's settings have come */
    struct target target;
    bool connected;
    uint64_t rested_ms; /* before what it is used for now; 0: it has spoken since */
};

static_assert(offsetof(struct h2_app, back) == 0, "the back frees the whole object");

/* --- the back's questions --- */

static enum reason back_head(struct exchange *ex, struct mux_head *head)
{
    const struct mux_back *b = ex->up;
    const struct request *req = &ex->req;
    *head = (struct mux_head){.method = req->method,
                              .scheme = SPAN_LIT("http"),
                              .authority = req->authority,
                              .path = mux_back_path(ex),
                              .headers = req->headers,
                              .content_length = req->body_length >= 0 ? req->body_length : -1};
    if (head->authority.len == 0) head->authority = span_str(ex->service->name.text);
    if (req->tunnel) {
        /* RFC 9113 8.5: neither :scheme nor :path. */
        head->scheme = SPAN_LIT("");
        head->path = SPAN_LIT("");
    } else if (req->upgrade) {
        if (!mux_may_upgrade(b->mux)) {
            /* No other host's instance can do better: it is the answer. */
            ex->attempt.reached = true;
            return REASON_NOT_IMPLEMENTED;
        }
        head->method = SPAN_LIT("CONNECT");
        head->protocol = req->upgrade_protocol;
    }
    if (head->path.p == NULL || !mux_back_add_number(ex, SPAN_LIT("parley-hops"), ex->hops))
        return REASON_INTERNAL;
    return REASON_NONE;
}

static enum reason back_response(struct exchange *ex, const struct mux_head *head, bool ended)
{
    enum reason reason = translate_response_app(head, ended, &ex->req, &ex->resp);
    bool bad = reason != REASON_NONE || (ex->resp.upgrade && !upgrade_give_proof(ex));
    return bad ? REASON_PROTOCOL_ERROR : REASON_NONE;
}

/* How long it may rest for a request that may be repeated, or not. */
static uint64_t rest_most_ms(const struct mux_back *b, bool repeatable)
{
    return keepalive_limit_ms(&b->state->keepalive, repeatable, loop_now_ms(b->ctx->loop));
}

/* Of one that rests. */
static uint64_t rest_ms(const struct mux_back *b)
{
    return loop_now_ms(b->ctx->loop) - b->idle_since_ms;
}

static bool is_resting(const struct h2_app *a)
{
    return a->back.open && mux_back_load(&a->back) == 0;
}

/* The application closed it while it rested, or just as it was used again, and said no GOAWAY. */
static void learn_closed(struct h2_app *a)
{
    struct mux_back *b = &a->back;
    uint64_t rest = is_resting(a) ? rest_ms(b) : a->rested_ms;
    if (b->open && !b->draining)
        keepalive_closed(&b->state->keepalive, rest, loop_now_ms(b->ctx->loop));
}

static void spread_waiting(struct mux_back *b);

static void back_heard(struct mux_back *b)
{
    CONTAINER_OF(b, struct h2_app, back)->rested_ms = 0;
}

static void back_settings(struct mux_back *b)
{
    if (b->open) {
        conn_mark(b->conn);
        return;
    }
    loop_timer_set(b->ctx->loop, &b->timer, loop_now_ms(b->ctx->loop) + rest_most_ms(b, true));
    mux_back_opened(b);
    spread_waiting(b);
}

static void back_closed(struct mux_back *b)
{
    (void)b;
}

/* What the application did not process is tried once more: it may have gone away just then. */
static const struct mux_back_ops back_ops = {.size = sizeof(struct h2_app),
                                             .refused = REASON_UPSTREAM_RESET,
                                             .waiting_max = H2_APP_WAITING_MAX,
                                             .head = back_head,
                                             .response = back_response,
                                             .heard = back_heard,
                                             .settings = back_settings,
                                             .closed = back_closed};

/* --- the connection --- */

static void on_open(struct conn *c, void *owner)
{
    struct h2_app *a = owner;
    (void)c;
    a->connected = true;
    (void)!mux_back_start(&a->back, false, NULL);
}

static void on_error(struct conn *c, void *owner, enum err err)
{
    struct h2_app *a = owner;
    enum reason reason = REASON_UPSTREAM_RESET;
    (void)c;
    learn_closed(a);
    if (!a->connected) reason = err == ERR_TIMEOUT ? REASON_CONN_TIMEOUT : REASON_CONN_REFUSED;
    mux_back_die(&a->back, reason);
}

static void on_eof(struct conn *c, void *owner)
{
    learn_closed(owner);
    mux_back_on_eof(c, owner);
}

static const struct conn_events conn_events = {.on_open = on_open,
                                               .on_data = mux_back_on_data,
                                               .on_eof = on_eof,
                                               .on_error = on_error,
                                               .on_drain = mux_back_on_drain,
                                               .on_flush = mux_back_on_flush};

static void on_expire(struct loop_timer *t)
{
    struct h2_app *a = CONTAINER_OF(t, struct h2_app, back.timer);
    struct mux_back *b = &a->back;
    if (!b->open) {
        mux_back_die(b, REASON_CONN_TIMEOUT);
        return;
    }
    uint64_t most = rest_most_ms(b, true), now = loop_now_ms(b->ctx->loop), due = now;
    if (!is_resting(a))
        due += most > KEEPALIVE_LEAST_MS ? most : KEEPALIVE_LEAST_MS;
    else if (!b->draining)
        due = b->idle_since_ms + most;
    if (due <= now)
        mux_back_close(b, false);
    else
        loop_timer_set(b->ctx->loop, t, due);
}

/* --- finding and opening --- */

static enum err connect_app(struct exchange *ex, struct h2_app **out)
{
    struct context *ctx = ex->ctx;
    struct slab *slab = loop_slab(ctx->loop, sizeof(struct h2_app));
    struct h2_app *a = slab_get(slab);
    if (a == NULL) return ERR_NOMEM;
    uint64_t now = loop_now_ms(ctx->loop);
    struct conn_options o = {
        .loop = ctx->loop, .events = &conn_events, .owner = a, .phase = LOOP_FLUSH_PLAIN};
    a->target = ex->service->local;
    a->back.ctx = ctx;
    a->back.ops = &back_ops;
    a->back.state = ex->attempt.state;
    a->back.idle_since_ms = now;
    a->back.timer.on_expire = on_expire;
    list_init(&a->back.waiting);
    enum err err = conn_connect(&o, &a->target, NULL, &a->back.conn);
    if (err != ERR_OK) {
        slab_put(slab, a);
        return err;
    }
    introduce_nobody(a->back.conn, ex->service);
    list_push_back(&ctx->h2_apps, &a->back.node);
    list_push_back(&a->back.state->h2_apps, &a->back.by_state);
    loop_timer_set(ctx->loop, &a->back.timer, now + ex->service->connect_timeout_ms);
    *out = a;
    return ERR_OK;
}

/* What may not be repeated goes into no connection whose end came in this very turn. */
static bool is_fresh(const struct h2_app *a, const struct exchange *ex)
{
    return ex->req.replay_safe || !is_resting(a) || conn_still(a->back.conn);
}

/* The application may be about to close those that have rested for too long. Their timers end them:
 * this may be called from what one of them has just said. */
static void leave_rested(const struct exchange *ex)
{
    LIST_EACH(node, next, &ex->attempt.state->h2_apps)
    {
        struct h2_app *a = LIST_ENTRY(node, struct h2_app, back.by_state);
        uint64_t most = rest_most_ms(&a->back, ex->req.replay_safe);
        if (!is_resting(a) || a->back.draining || rest_ms(&a->back) < most) continue;
        a->back.draining = true;
        loop_timer_set(ex->ctx->loop, &a->back.timer, loop_now_ms(ex->ctx->loop));
    }
}

struct choice {
    struct h2_app *ready, *least; /* NULL: none */
    size_t count;
};

static struct choice survey(const struct exchange *ex)
{
    struct choice c = {.count = 0};
    LIST_EACH(node, next, &ex->attempt.state->h2_apps)
    {
        struct h2_app *a = LIST_ENTRY(node, struct h2_app, back.by_state);
        bool fits = addr_target_eq(&a->target, &ex->service->local);
        if (!fits || a->back.draining || a->back.failed) continue;
        c.count++;
        if (c.ready == NULL && mux_back_usable(&a->back) && is_fresh(a, ex)) c.ready = a;
        if (c.least == NULL || mux_back_load(&a->back) < mux_back_load(&c.least->back)) c.least = a;
    }
    return c;
}

/* More came while it was opened than the application allows on one. */
static void spread_waiting(struct mux_back *b)
{
    for (size_t left = b->waiting_count; left > 0; left--) {
        struct exchange *ex = mux_back_take_waiting(b);
        struct choice c = survey(ex);
        struct h2_app *to = c.least;
        if (c.count < H2_APP_CONNECTIONS_MAX && connect_app(ex, &to) == ERR_OK)
            ex->attempt.reused = false;
        if (mux_back_attach(to != NULL ? &to->back : b, ex) == ERR_OK) exchange_connected(ex);
    }
}

enum err h2_app_open(struct exchange *ex, enum reason *reason)
{
    leave_rested(ex);
    struct choice c = survey(ex);
    struct h2_app *fresh = NULL;
    enum err err = ERR_FULL;
    if (ex->req.upgrade) upgrade_hide_key(ex);
    if (c.ready != NULL && !ex->attempt.fresh) {
        ex->attempt.reused = true;
        if (is_resting(c.ready)) c.ready->rested_ms = rest_ms(&c.ready->back);
        return mux_back_attach(&c.ready->back, ex);
    }
    if (c.count < H2_APP_CONNECTIONS_MAX) err = connect_app(ex, &fresh);
    if (fresh != NULL) return mux_back_attach(&fresh->back, ex);
    *reason = REASON_POOL_FULL;
    if (c.least == NULL || c.least->back.waiting_count >= H2_APP_WAITING_MAX) return err;
    ex->attempt.reused = true;
    return mux_back_attach(&c.least->back, ex);
}

void h2_app_close_all(struct context *ctx)
{
    struct list *node;
    while ((node = list_first(&ctx->h2_apps)) != NULL)
        mux_back_die(LIST_ENTRY(node, struct mux_back, node), REASON_DRAINING);
}
