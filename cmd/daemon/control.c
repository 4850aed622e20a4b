#include "cmd/daemon/control.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/daemon/access_sink.h"
#include "cmd/daemon/circuits.h"
#include "cmd/daemon/compile.h"
#include "cmd/daemon/drain.h"
#include "cmd/daemon/enroll_message.h"
#include "cmd/daemon/mesh.h"
#include "cmd/daemon/mesh_stream.h"
#include "cmd/daemon/reload.h"
#include "core/io/clock.h"
#include "core/io/notify.h"
#include "proxy/net/worker.h"

#define CONTROL_MAGIC    0x63746c31u
#define READY_POLL_MS    1u
#define MESSAGES_A_TURN  256u
#define STATUS_BYTES_MAX 256u

enum control_signal { CONTROL_TERM, CONTROL_INT, CONTROL_HUP, CONTROL_SIGNALS };

struct watched_signal {
    struct loop_signal signal;
    struct control *control;
};

struct control {
    uint32_t magic;
    struct daemon *d;
    struct loop_post post;
    struct watched_signal signal[CONTROL_SIGNALS];
    struct loop_timer ready, watchdog;
    bool started, stopping;
    uint64_t watchdog_ms; /* between two signs of life; 0: off */
    char status[STATUS_BYTES_MAX];
};

static void notify_failed(struct control *c, enum err err)
{
    log_limited(&c->d->log, LOG_LEVEL_WARN, CONTROL_MAGIC, "notify", "%s: %s",
                c->d->options.notify_socket, err_text(err));
}

static void notify(struct control *c, const char *text)
{
    enum err err = notify_send(c->d->options.notify_socket, span_str(text));
    if (err != ERR_OK) notify_failed(c, err);
}

static void take_message(struct control *c, unsigned worker, struct worker_message *msg)
{
    struct daemon *d = c->d;
    struct span seen = span_of(msg->seen, msg->seen_len);
    if (msg->kind == WORKER_DEAD_LINK)
        mesh_hint(d->mesh, &msg->peer);
    else if (msg->kind == WORKER_CIRCUIT)
        circuits_note(compile_circuits(d->compile), worker, msg);
    else if (strcmp(msg->alpn, MESH_STREAM_ALPN) == 0)
        mesh_stream_accept(mesh_streams(d->mesh), msg->fd, &msg->from, seen);
    else if (strcmp(msg->alpn, ENROLL_ALPN) == 0 && d->join.on_handoff != NULL)
        d->join.on_handoff(d->join.owner, msg->fd, &msg->from, seen);
    else
        (void)close(msg->fd);
    free(msg);
}

static void on_post(struct loop_post *p)
{
    struct control *c = CONTAINER_OF(p, struct control, post);
    unsigned taken = 0;
    for (unsigned i = 0; i < c->d->worker_count; i++) {
        struct worker_message *msg;
        while (taken < MESSAGES_A_TURN && (msg = worker_receive(c->d->worker[i].worker)) != NULL) {
            taken++;
            take_message(c, i, msg);
        }
    }
    if (taken == MESSAGES_A_TURN) loop_post(p);
    if (c->d->compile != NULL) compile_reclaim(c->d->compile);
    if (c->d->sink != NULL) access_sink_wake(c->d->sink);
}

static void on_signal(struct loop_signal *s, int signum)
{
    struct control *c = CONTAINER_OF(s, struct watched_signal, signal)->control;
    struct daemon *d = c->d;
    if (signum == SIGHUP) {
        reload_logged(d);
        return;
    }
    if (c->stopping) {
        log_warn(&d->log, "stop", "second signal: ending at once");
        daemon_quit(d, 0);
        return;
    }
    control_stopping(c);
    drain_leave(d->drain, DRAIN_TIMEOUT_DEFAULT_MS);
}

static void ready_due(struct loop_timer *t)
{
    struct control *c = CONTAINER_OF(t, struct control, ready);
    struct daemon *d = c->d;
    if (!compile_settled(d->compile)) {
        loop_timer_set(d->loop, t, loop_now_ms(d->loop) + READY_POLL_MS);
        return;
    }
    d->ready = true;
    log_info(&d->log, "ready", "mesh=%s node=%s generation=%llu after_ms=%llu",
             d->config->node.mesh.text, d->config->node.name.text,
             (unsigned long long)compile_generation(d->compile),
             (unsigned long long)(clock_mono_ms() - d->started_ms));
    notify(c, "READY=1\n");
    control_status(c);
}

/* A worker whose loop has not turned since it was nudged in the last round starves the watchdog,
 * and systemd restarts us: a stuck data plane must not look alive because the control plane is. */
static void watchdog_due(struct loop_timer *t)
{
    struct control *c = CONTAINER_OF(t, struct control, watchdog);
    struct daemon *d = c->d;
    bool all = true;
    loop_timer_set(d->loop, t, loop_now_ms(d->loop) + c->watchdog_ms);
    for (unsigned i = 0; i < d->worker_count; i++) {
        uint64_t ticks = worker_ticks(d->worker[i].worker);
        if (ticks == d->worker[i].ticks_seen) {
            log_error(&d->log, "watchdog", "worker=%u has not turned", i);
            all = false;
        }
        d->worker[i].ticks_seen = ticks;
        worker_nudge(d->worker[i].worker);
    }
    if (all) notify(c, "WATCHDOG=1\n");
}

enum err control_new(struct daemon *d, struct control **out)
{
    struct control *c = calloc(1, sizeof *c);
    if (c == NULL) return ERR_NOMEM;
    c->magic = CONTROL_MAGIC;
    c->d = d;
    c->ready.on_expire = ready_due;
    c->watchdog.on_expire = watchdog_due;
    c->watchdog_ms = d->options.watchdog_ms / 2;
    loop_post_init(d->loop, &c->post, on_post);
    *out = c;
    return ERR_OK;
}

void control_free(struct control *c)
{
    if (c == NULL) return;
    CHECK_OBJ(c, CONTROL_MAGIC);
    loop_timer_clear(c->d->loop, &c->ready);
    loop_timer_clear(c->d->loop, &c->watchdog);
    for (size_t i = 0; c->started && i < CONTROL_SIGNALS; i++)
        loop_signal_stop(c->d->loop, &c->signal[i].signal);
    for (unsigned i = 0; i < c->d->worker_count; i++) { /* what came too late */
        struct worker_message *msg;
        if (c->d->worker[i].worker == NULL) continue;
        while ((msg = worker_receive(c->d->worker[i].worker)) != NULL) {
            if (msg->kind == WORKER_HANDOFF) (void)close(msg->fd);
            free(msg);
        }
    }
    loop_post_fini(&c->post);
    c->magic = MAGIC_POISON;
    free(c);
}

struct loop_post *control_post(struct control *c)
{
    CHECK_OBJ(c, CONTROL_MAGIC);
    return &c->post;
}

void control_start(struct control *c)
{
    static const int number[CONTROL_SIGNALS] = {
        [CONTROL_TERM] = SIGTERM, [CONTROL_INT] = SIGINT, [CONTROL_HUP] = SIGHUP};
    CHECK_OBJ(c, CONTROL_MAGIC);
    struct loop *loop = c->d->loop;
    for (size_t i = 0; i < CONTROL_SIGNALS; i++) {
        c->signal[i].control = c;
        loop_signal_start(loop, &c->signal[i].signal, number[i], on_signal);
    }
    c->started = true;
    uint64_t now_ms = loop_now_ms(loop);
    loop_timer_set(loop, &c->ready, now_ms);
    if (c->watchdog_ms == 0) return;
    for (unsigned i = 0; i < c->d->worker_count; i++)
        worker_nudge(c->d->worker[i].worker);
    loop_timer_set(loop, &c->watchdog, now_ms + c->watchdog_ms);
}

void control_reloading(struct control *c)
{
    enum err err = notify_reloading(c->d->options.notify_socket, clock_mono_us());
    if (err != ERR_OK) notify_failed(c, err);
}

void control_reloaded(struct control *c)
{
    notify(c, "READY=1\n");
    control_status(c);
}

void control_stopping(struct control *c)
{
    CHECK_OBJ(c, CONTROL_MAGIC);
    c->stopping = true;
    notify(c, "STOPPING=1\n");
    control_status(c);
}

void control_status(struct control *c)
{
    CHECK_OBJ(c, CONTROL_MAGIC);
    struct daemon *d = c->d;
    char text[STATUS_BYTES_MAX];
    struct drain_status drain;
    if (d->options.notify_socket == NULL) return;
    uint32_t alive = mesh_reachable(d->mesh);
    drain_status(d->drain, &drain);
    const char *state = drain.state != DRAIN_SERVING ? drain_word(drain.state)
                        : d->ready                   ? "ready"
                                                     : "starting";
    (void)snprintf(text, sizeof text, "STATUS=%s, %u member%s, generation %llu%s\n", state, alive,
                   alive == 1 ? "" : "s", (unsigned long long)compile_generation(d->compile),
                   d->config_last_good ? ", on last-good.toml: the configuration is invalid" : "");
    if (strcmp(text, c->status) == 0) return;
    memcpy(c->status, text, sizeof text);
    notify(c, text);
}
