#include "cmd/verbs/testapp_pace.h"

#include "core/base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define PACE_MAGIC 0x70616365u
#define SECOND_US  1000000u

struct worker {
    struct list node; /* of `idle` */
    struct testapp_pace *pace;
    struct testapp_client *client; /* owned */
    uint64_t due_us;               /* of the request in progress, after the start */
};

struct testapp_pace {
    uint32_t magic;
    struct testapp_pace_options o;
    struct loop_io io;
    int timer_fd; /* loop_timer counts milliseconds, too coarse to be due by */
    uint64_t started_us;
    uint64_t next;  /* requests sent or given up */
    uint64_t total; /* in all; UINT64_MAX: not known yet */
    size_t in_progress;
    struct list idle; /* oldest first, so that every connection is used */
    struct worker *worker;
};

uint64_t testapp_pace_due(uint64_t elapsed_us, uint64_t rate)
{
    return elapsed_us / SECOND_US * rate + elapsed_us % SECOND_US * rate / SECOND_US + 1;
}

uint64_t testapp_pace_due_us(uint64_t n, uint64_t rate)
{
    /* Rounded up: due(due_us(n)) > n. */
    return n / rate * SECOND_US + (n % rate * SECOND_US + rate - 1) / rate;
}

static uint64_t elapsed_us(const struct testapp_pace *p)
{
    return loop_now_us(p->o.loop) - p->started_us;
}

static void arm(struct testapp_pace *p)
{
    struct itimerspec at = {{0, 0}, {0, 0}};
    if (p->next < p->total) {
        uint64_t us = p->started_us + testapp_pace_due_us(p->next, p->o.rate);
        at.it_value.tv_sec = (time_t)(us / SECOND_US);
        at.it_value.tv_nsec = (long)(us % SECOND_US) * 1000;
    }
    CHECK(timerfd_settime(p->timer_fd, TFD_TIMER_ABSTIME, &at, NULL) == 0);
}

static void send_one(struct testapp_pace *p, struct worker *w)
{
    struct testapp_client_request r = {.method = p->o.method,
                                       .path = p->o.url->path,
                                       .body_bytes = p->o.body_bytes,
                                       .timeout_ms = p->o.timeout_ms};
    list_remove(&w->node);
    w->due_us = testapp_pace_due_us(p->next, p->o.rate);
    p->next++;
    p->in_progress++;
    testapp_client_start(w->client, &r);
}

/* Requests that waited too long for a free connection. */
static void give_up(struct testapp_pace *p, uint64_t now_us)
{
    static const struct testapp_client_result late = {.end = TESTAPP_CLIENT_TIMEOUT};
    while (p->next < p->total) {
        uint64_t due_us = testapp_pace_due_us(p->next, p->o.rate);
        if (now_us < due_us || now_us - due_us < p->o.timeout_ms * 1000u) return;
        p->next++;
        p->o.on_result(p->o.owner, &late, now_us - due_us);
    }
}

/* True: the last request has ended and the pace may be gone. */
static bool step(struct testapp_pace *p)
{
    uint64_t now_us = elapsed_us(p), due = testapp_pace_due(now_us, p->o.rate);
    struct list *node;
    if (due > p->total) due = p->total;
    give_up(p, now_us);
    while (p->next < due && (node = list_first(&p->idle)) != NULL)
        send_one(p, LIST_ENTRY(node, struct worker, node));
    if (p->next >= p->total && p->in_progress == 0) {
        p->o.on_done(p->o.owner);
        return true;
    }
    /* A backlog waits for a connection, not for time. */
    if (p->next >= due) arm(p);
    return false;
}

static void on_time(struct loop_io *io, bool readable, bool writable)
{
    struct testapp_pace *p = CONTAINER_OF(io, struct testapp_pace, io);
    uint64_t times;
    (void)readable;
    (void)writable;
    if (read(p->timer_fd, &times, sizeof times) != (ssize_t)sizeof times) return;
    (void)step(p);
}

static void on_result(void *owner, const struct testapp_client_result *result)
{
    struct worker *w = owner;
    struct testapp_pace *p = w->pace;
    p->in_progress--;
    list_push_back(&p->idle, &w->node);
    p->o.on_result(p->o.owner, result, elapsed_us(p) - w->due_us);
    (void)step(p);
}

static enum err make_workers(struct testapp_pace *p)
{
    p->worker = calloc(p->o.connections, sizeof *p->worker);
    if (!p->worker) return ERR_NOMEM;
    for (size_t i = 0; i < p->o.connections; i++) {
        struct worker *w = &p->worker[i];
        struct testapp_client_options o = {.loop = p->o.loop,
                                           .to = p->o.url->to,
                                           .authority = p->o.url->authority,
                                           .on_result = on_result,
                                           .owner = w};
        w->pace = p;
        enum err err = testapp_client_new(&o, &w->client);
        if (err != ERR_OK) return err;
        list_push_back(&p->idle, &w->node);
    }
    return ERR_OK;
}

enum err testapp_pace_new(const struct testapp_pace_options *o, struct testapp_pace **out)
{
    struct testapp_pace *p = calloc(1, sizeof *p);
    if (!p) return ERR_NOMEM;
    CHECK(o->rate > 0 && o->rate <= TESTAPP_PACE_RATE_MAX);
    CHECK(o->connections > 0 && o->connections <= TESTAPP_PACE_CONNECTIONS_MAX);
    p->magic = PACE_MAGIC;
    p->o = *o;
    if (p->o.timeout_ms == 0) p->o.timeout_ms = TESTAPP_PACE_TIMEOUT_MS;
    p->total = o->for_ms > 0 ? testapp_pace_due(o->for_ms * 1000 - 1, o->rate) : UINT64_MAX;
    list_init(&p->idle);
    enum err err = ERR_OK;
    p->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (p->timer_fd < 0) err = err_from_errno(errno);
    if (err == ERR_OK) err = make_workers(p);
    if (err != ERR_OK) goto fail;
    loop_io_init(&p->io, p->timer_fd, on_time);
    loop_io_set(o->loop, &p->io, true, false);
    p->started_us = loop_now_us(o->loop);
    arm(p);
    *out = p;
    return ERR_OK;
fail:
    testapp_pace_free(p);
    return err;
}

void testapp_pace_stop(struct testapp_pace *p)
{
    CHECK_OBJ(p, PACE_MAGIC);
    if (p->total > p->next) p->total = p->next;
    (void)step(p);
}

void testapp_pace_free(struct testapp_pace *p)
{
    if (!p) return;
    CHECK_OBJ(p, PACE_MAGIC);
    if (p->io.on_ready) loop_io_set(p->o.loop, &p->io, false, false);
    if (p->timer_fd >= 0) close(p->timer_fd);
    for (size_t i = 0; p->worker && i < p->o.connections; i++)
        testapp_client_free(p->worker[i].client);
    free(p->worker);
    p->magic = MAGIC_POISON;
    free(p);
}
