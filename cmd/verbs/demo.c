#include "cmd/verbs/demo.h"

#include "cmd/verbs/demo_play.h"
#include "cmd/verbs/demo_report.h"
#include "cmd/verbs/demo_setup.h"
#include "cmd/verbs/verbs.h"
#include "core/base/check.h"

#include <signal.h>
#include <stdlib.h>

#define RATE_DEFAULT 20u
#define RATE_MAX     5000u
#define GENTLE_MS    1500u /* to end by SIGTERM: leaving the mesh, writing the last log lines */
#define FIRM_MS      3000u /* a second SIGTERM ends a parley at once; then SIGKILL */
#define POLL_MS      5u

static void on_signal(struct loop_signal *s, int signum)
{
    struct demo *d = CONTAINER_OF(s, struct demo_signal_watch, signal)->demo;
    if (signum == SIGCHLD) {
        demo_play_reap(d);
        return;
    }
    d->ended_by = signum;
    demo_play_end(d);
}

static void signals_start(struct demo *d)
{
    static const int number[DEMO_SIGNALS] = {
        [DEMO_INT] = SIGINT, [DEMO_TERM] = SIGTERM, [DEMO_HUP] = SIGHUP, [DEMO_CHLD] = SIGCHLD};
    for (unsigned i = 0; i < DEMO_SIGNALS; i++) {
        d->signal[i].demo = d;
        loop_signal_start(d->loop, &d->signal[i].signal, number[i], on_signal);
    }
}

static void signals_stop(struct demo *d)
{
    for (unsigned i = 0; i < DEMO_SIGNALS; i++)
        loop_signal_stop(d->loop, &d->signal[i].signal);
}

/* --- the end of the nodes --- */

struct stop {
    struct loop_timer poll;
    struct demo *d;
    uint64_t gentle_ms, firm_ms;
    bool asked_again;
};

static bool all_ended(struct demo *d)
{
    bool none = true;
    for (unsigned i = 0; i < DEMO_NODE_COUNT; i++)
        none &= demo_child_reap(&d->command[i]);
    for (unsigned i = 0; i < d->node_count; i++)
        none &= demo_node_reap(&d->node[i]);
    return none;
}

static void kill_all(struct demo *d, int signum)
{
    for (unsigned i = 0; i < DEMO_NODE_COUNT; i++)
        demo_child_kill(&d->command[i], signum);
    for (unsigned i = 0; i < d->node_count; i++)
        demo_node_kill(&d->node[i], signum);
}

static void on_stop_poll(struct loop_timer *t)
{
    struct stop *s = CONTAINER_OF(t, struct stop, poll);
    uint64_t now_ms = loop_now_ms(s->d->loop);
    if (all_ended(s->d) || now_ms >= s->firm_ms) {
        loop_stop(s->d->loop);
        return;
    }
    if (now_ms >= s->gentle_ms && !s->asked_again) {
        s->asked_again = true;
        kill_all(s->d, SIGTERM);
    }
    loop_timer_set(s->d->loop, t, now_ms + POLL_MS);
}

static void stop_nodes(struct demo *d)
{
    uint64_t now_ms = loop_now_ms(d->loop);
    struct stop s = {.d = d, .gentle_ms = now_ms + GENTLE_MS, .firm_ms = now_ms + FIRM_MS};
    s.poll.on_expire = on_stop_poll;
    kill_all(d, SIGTERM);
    loop_timer_set(d->loop, &s.poll, now_ms);
    loop_run(d->loop);
    loop_timer_clear(d->loop, &s.poll);
    kill_all(d, SIGKILL);
    for (unsigned i = 0; i < DEMO_NODE_COUNT; i++)
        demo_child_wait(&d->command[i]);
    for (unsigned i = 0; i < d->node_count; i++) {
        struct demo_node *n = &d->node[i];
        demo_child_wait(&n->up);
        for (unsigned a = 0; a < DEMO_NODE_APPS_MAX; a++)
            demo_child_wait(&n->app[a]);
        demo_node_sample(n);
    }
    demo_play_reap(d);
}

/* --- the verb --- */

static enum verb_exit read_flags(struct demo *d)
{
    const struct verb_ctx *ctx = d->ctx;
    d->for_ms = verb_number(ctx, "for", 0);
    d->kill_at_ms = verb_number(ctx, "kill-at", UINT64_MAX);
    d->rate = verb_number(ctx, "rate", RATE_DEFAULT);
    if (d->rate == 0 || d->rate > RATE_MAX)
        return verb_fail(EXIT_USAGE, "--rate must be 1 to %u", RATE_MAX);
    if (verb_has(ctx, "for") && d->for_ms == 0)
        return verb_fail(EXIT_USAGE, "--for must be longer than 0s");
    if (d->for_ms > 0 && d->kill_at_ms != UINT64_MAX && d->kill_at_ms >= d->for_ms)
        return verb_fail(EXIT_USAGE, "--kill-at must be before the end, which is --for");
    return EXIT_DONE;
}

static enum verb_exit take_folder(struct demo *d)
{
    enum err err = demo_folder_take(&d->folder);
    if (err == ERR_BUSY)
        return verb_fail(EXIT_FAILED, "a demo is running already (in %s)", d->folder.path);
    if (err != ERR_OK)
        return verb_fail(EXIT_FAILED, "the demo cannot use the folder %s: %s", d->folder.path,
                         err == ERR_TOO_LARGE ? "its name is too long; set TMPDIR to a shorter one"
                                              : err_text(err));
    return EXIT_DONE;
}

static enum verb_exit run(struct demo *d)
{
    signals_start(d);
    bool up = demo_setup_run(d);
    if (up) demo_play_run(d);
    stop_nodes(d);
    signals_stop(d);
    for (unsigned i = 0; i < DEMO_NODE_COUNT; i++)
        demo_watch_stop(&d->watch[i]);
    if (up) demo_report_end(d);
    for (unsigned i = 0; i < d->node_count; i++)
        demo_node_fini(&d->node[i]);
    if (d->ended_by != 0) return (enum verb_exit)(128 + d->ended_by);
    return up && demo_report_good(d) ? EXIT_DONE : EXIT_FAILED;
}

static enum verb_exit run_in_folder(struct demo *d)
{
    enum verb_exit code;
    d->all = calloc(1, sizeof *d->all);
    d->second = calloc(1, sizeof *d->second);
    enum err err = d->all && d->second ? loop_new(&d->loop) : ERR_NOMEM;
    if (err == ERR_OK)
        code = run(d);
    else
        code = verb_fail(EXIT_FAILED, "the demo cannot start: %s", err_text(err));
    loop_free(d->loop);
    free(d->all);
    free(d->second);
    return code;
}

enum verb_exit demo_run(struct verb_ctx *ctx)
{
    struct demo *d = calloc(1, sizeof *d);
    if (!d) return verb_fail(EXIT_FAILED, "the demo cannot start: %s", err_text(ERR_NOMEM));
    d->ctx = ctx;
    enum verb_exit code = read_flags(d);
    if (code == EXIT_DONE) code = take_folder(d);
    if (code == EXIT_DONE) {
        code = run_in_folder(d);
        demo_folder_drop(&d->folder);
    }
    free(d);
    return code;
}
