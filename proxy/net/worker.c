#include "proxy/net/worker.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/io/thread.h"
#include "proxy/http/exchange.h"
#include "proxy/http/h1_client.h"
#include "proxy/http/h2_app.h"
#include "proxy/http/link_client.h"
#include "proxy/net/context.h"
#include "proxy/net/drain.h"
#include "proxy/net/listener.h"
#include "proxy/net/session.h"

#define WORKER_MAGIC 0x776b7201u

struct worker {
    uint32_t magic;
    struct context ctx;
    struct loop_post wake;
    struct thread thread;
    bool started;
    _Atomic bool stop; /* release by control, acquire by the worker */
};

/* --- the worker's thread --- */

static void close_everything(struct worker *w)
{
    struct context *ctx = &w->ctx;
    ctx->stopping = true;
    listener_close_all(ctx);
    session_close_all(ctx);
    drain_cut_tunnels(ctx);
    link_client_close_all(ctx);
    h1_client_close_all(ctx);
    h2_app_close_all(ctx);
}

static void on_wake(struct loop_post *p)
{
    struct worker *w = CONTAINER_OF(p, struct worker, wake);
    context_count(&w->ctx.ticks, 1);
    if (atomic_load_explicit(&w->stop, memory_order_acquire)) {
        if (!w->ctx.stopping) close_everything(w);
        loop_stop(w->ctx.loop);
        return;
    }
    if (!context_refresh(&w->ctx)) return;
    listener_refresh(&w->ctx);
    drain_refresh(&w->ctx);
}

static void thread_main(void *arg)
{
    struct worker *w = arg;
    loop_run(w->ctx.loop);
    context_drop_view(&w->ctx);
}

/* --- the control thread --- */

enum err worker_new(const struct worker_options *o, struct worker **out)
{
    struct worker *w = calloc(1, sizeof *w);
    if (w == NULL) return ERR_NOMEM;
    enum err err = context_init(&w->ctx, o);
    if (err != ERR_OK) {
        free(w);
        return err;
    }
    w->magic = WORKER_MAGIC;
    loop_post_init(w->ctx.loop, &w->wake, on_wake);
    *out = w;
    return ERR_OK;
}

enum err worker_start(struct worker *w)
{
    char name[16];
    struct strbuf text;
    CHECK_OBJ(w, WORKER_MAGIC);
    CHECK(!w->started);
    strbuf_init_fixed(&text, name, sizeof name);
    strbuf_fmt(&text, "worker-%u", w->ctx.index);
    enum err err = thread_start(&w->thread, name, thread_main, w);
    if (err != ERR_OK) return err;
    w->started = true;
    return ERR_OK;
}

struct snapshot *worker_publish(struct worker *w, struct snapshot *s)
{
    CHECK_OBJ(w, WORKER_MAGIC);
    struct snapshot *untaken = publish_put(&w->ctx.slot, s);
    loop_post(&w->wake);
    return untaken;
}

struct snapshot *worker_reclaim(struct worker *w)
{
    CHECK_OBJ(w, WORKER_MAGIC);
    return publish_reclaim(&w->ctx.slot);
}

struct worker_message *worker_receive(struct worker *w)
{
    CHECK_OBJ(w, WORKER_MAGIC);
    return ring_pop(&w->ctx.mailbox);
}

uint64_t worker_in_flight(const struct worker *w)
{
    return atomic_load_explicit(&w->ctx.in_flight, memory_order_relaxed);
}

uint64_t worker_sessions(const struct worker *w)
{
    return atomic_load_explicit(&w->ctx.sessions_total, memory_order_relaxed);
}

uint64_t worker_generation(const struct worker *w)
{
    return atomic_load_explicit(&w->ctx.generation, memory_order_relaxed);
}

bool worker_heard_since(const struct worker *w, const struct addr *a, uint64_t since_ms,
                        uint64_t now_ms)
{
    CHECK_OBJ(w, WORKER_MAGIC);
    return heard_since(w->ctx.heard, a, since_ms, now_ms);
}

void worker_nudge(struct worker *w)
{
    CHECK_OBJ(w, WORKER_MAGIC);
    loop_post(&w->wake);
}

uint64_t worker_ticks(const struct worker *w)
{
    return atomic_load_explicit(&w->ctx.ticks, memory_order_relaxed);
}

void worker_stop(struct worker *w)
{
    CHECK_OBJ(w, WORKER_MAGIC);
    if (!w->started) return;
    atomic_store_explicit(&w->stop, true, memory_order_release);
    loop_post(&w->wake);
    thread_join(&w->thread);
    w->started = false;
}

void worker_free(struct worker *w)
{
    if (w == NULL) return;
    CHECK_OBJ(w, WORKER_MAGIC);
    CHECK(!w->started);
    loop_post_fini(&w->wake);
    context_fini(&w->ctx);
    w->magic = MAGIC_POISON;
    free(w);
}
