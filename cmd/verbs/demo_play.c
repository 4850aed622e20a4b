#include "cmd/verbs/demo_play.h"

#include "cmd/verbs/demo_report.h"
#include "core/base/check.h"

#include <signal.h>

#define SECOND_MS   1000u
#define LAST_MS     10000u /* for a kill to be seen everywhere after the load */
#define CONNECTIONS 8u

static struct demo_node *victim(struct demo *d)
{
    return &d->node[DEMO_VICTIM - 1];
}

static uint64_t since_load_ms(const struct demo *d)
{
    return loop_now_ms(d->loop) - d->load_ms;
}

static void sample(struct demo *d)
{
    for (unsigned i = 0; i < DEMO_NODE_COUNT; i++)
        demo_node_sample(&d->node[i]);
}

/* --- kill and revive --- */

static bool watching(const struct demo *d)
{
    return d->kill.done && !d->kill.ejected && d->watch[0].running;
}

static void stop_watches(struct demo *d)
{
    for (unsigned i = 0; i < DEMO_NODE_COUNT; i++)
        demo_watch_stop(&d->watch[i]);
}

/* Out when the last survivor does not choose it any more. */
static void on_answer(void *owner)
{
    struct demo *d = owner;
    for (unsigned i = 0; i < DEMO_NODE_COUNT; i++) {
        const struct demo_watch *w = &d->watch[i];
        if (i + 1 == DEMO_VICTIM) continue;
        if (!w->answered || (w->up & 1u << DEMO_VICTIM) != 0) return;
    }
    d->kill.ejected = true;
    d->kill.ejected_ms = since_load_ms(d) - d->kill.at_ms;
    stop_watches(d);
    sample(d);
    demo_report_ejected(d);
    if (d->ending && !d->pace) loop_stop(d->loop);
}

static void broke(struct demo *d, const char *what, enum err err)
{
    d->broken = true;
    verb_fail(EXIT_FAILED, "demo: %s: %s", what, err_text(err));
    loop_stop(d->loop);
}

static void kill_victim(struct demo *d)
{
    char path[DEMO_NODE_PATH_MAX];
    if (victim(d)->up.pid == 0 || d->ending) return;
    demo_node_kill(victim(d), SIGKILL);
    d->kill = (struct demo_kill){.done = true,
                                 .at_ms = since_load_ms(d),
                                 .failed_before = d->all->failed,
                                 .retried_before = demo_report_retried(d)};
    demo_report_killed(d);
    for (unsigned i = 0; i < DEMO_NODE_COUNT; i++) {
        struct demo_watch *w = &d->watch[i];
        if (i + 1 == DEMO_VICTIM) continue;
        w->on_answer = on_answer;
        w->owner = d;
        enum err err = demo_watch_start(
            w, d->loop, demo_node_path(&d->node[i], "run/parley/parley.sock", path));
        if (err != ERR_OK) broke(d, "the survivors cannot be asked", err);
    }
}

static void revive_victim(struct demo *d)
{
    struct demo_node *n = victim(d);
    if (n->up.pid != 0 || d->ending) return;
    stop_watches(d);
    /* Back before it was missed: there is nothing left to see of that kill. */
    if (!d->kill.ejected) d->kill.done = false;
    enum err err = demo_node_start_apps(n);
    if (err == ERR_OK) err = demo_node_start_agent(n);
    if (err != ERR_OK) {
        broke(d, "n2 cannot be started", err);
        return;
    }
    demo_report_revived(d);
}

static void on_kill_time(struct loop_timer *t)
{
    kill_victim(CONTAINER_OF(t, struct demo, kill_timer));
}

static void on_key(struct demo_keys *k, char key)
{
    struct demo *d = CONTAINER_OF(k, struct demo, keys);
    if (key == 'k') kill_victim(d);
    if (key == 'r') revive_victim(d);
    if (key == 'q') demo_play_end(d);
}

/* --- the load --- */

static void on_result(void *owner, const struct testapp_client_result *result, uint64_t latency_us)
{
    struct demo *d = owner;
    testapp_tally_add(d->all, result, latency_us);
    testapp_tally_add(d->second, result, latency_us);
}

static void on_last_time(struct loop_timer *t)
{
    loop_stop(CONTAINER_OF(t, struct demo, last_timer)->loop);
}

/* The load is over; a kill near its end is still watched. */
static void on_done(void *owner)
{
    struct demo *d = owner;
    testapp_pace_free(d->pace);
    d->pace = NULL;
    d->ending = true;
    if (watching(d) && d->ended_by == 0)
        loop_timer_set(d->loop, &d->last_timer, loop_now_ms(d->loop) + LAST_MS);
    else
        loop_stop(d->loop);
}

void demo_play_end(struct demo *d)
{
    bool again = d->ending;
    d->ending = true;
    if (again || !d->pace)
        loop_stop(d->loop);
    else
        testapp_pace_stop(d->pace);
}

static void on_second(struct loop_timer *t)
{
    struct demo *d = CONTAINER_OF(t, struct demo, second_timer);
    loop_timer_set(d->loop, t, loop_now_ms(d->loop) + SECOND_MS);
    sample(d);
    demo_report_second(d);
    *d->second = (struct testapp_tally){.requests = 0};
}

void demo_play_reap(struct demo *d)
{
    for (unsigned i = 0; i < DEMO_NODE_COUNT; i++)
        (void)demo_child_reap(&d->command[i]);
    for (unsigned i = 0; i < d->node_count; i++) {
        struct demo_node *n = &d->node[i];
        (void)demo_node_reap(n);
        const struct demo_child *lost = demo_node_lost(n);
        if (!lost || d->broken) continue;
        demo_report_lost(n, lost);
        d->broken = true;
        loop_stop(d->loop);
    }
}

void demo_play_run(struct demo *d)
{
    struct testapp_pace_options o = {.loop = d->loop,
                                     .url = &d->url,
                                     .method = "GET",
                                     .rate = d->rate,
                                     .for_ms = d->for_ms,
                                     .connections = CONNECTIONS,
                                     .on_result = on_result,
                                     .on_done = on_done,
                                     .owner = d};
    uint64_t now_ms = loop_now_ms(d->loop);
    d->second_timer.on_expire = on_second;
    d->kill_timer.on_expire = on_kill_time;
    d->last_timer.on_expire = on_last_time;
    d->keys.on_key = on_key;
    d->load_ms = now_ms;
    enum err err = testapp_pace_new(&o, &d->pace);
    if (err != ERR_OK) {
        broke(d, "the load cannot start", err);
        return;
    }
    loop_timer_set(d->loop, &d->second_timer, now_ms + SECOND_MS);
    if (d->kill_at_ms != UINT64_MAX)
        loop_timer_set(d->loop, &d->kill_timer, now_ms + d->kill_at_ms);
    if (!d->ctx->json) demo_keys_start(&d->keys, d->loop);
    demo_report_started(d);
    sample(d);
    loop_run(d->loop);
    sample(d);
    demo_keys_stop(&d->keys);
    loop_timer_clear(d->loop, &d->second_timer);
    loop_timer_clear(d->loop, &d->kill_timer);
    loop_timer_clear(d->loop, &d->last_timer);
    stop_watches(d);
    testapp_pace_free(d->pace);
    d->pace = NULL;
}
