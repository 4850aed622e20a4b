#include "cmd/verbs/demo_setup.h"

#include "cmd/verbs/demo_report.h"
#include "core/base/check.h"

#include <stdio.h>

#define POLL_MS        2u
#define COMMAND_MS     15000u
#define READY_MS       15000u
#define CONVERGE_MS    20000u
#define PROBE_MS       2000u
#define PROBE_AGAIN_MS 20u

/* --- waiting --- */

struct wait {
    struct loop_timer poll;
    struct demo *d;
    bool (*done)(struct demo *d, const void *about);
    const void *about;
    uint64_t deadline_ms;
    bool good;
};

static void on_poll(struct loop_timer *t)
{
    struct wait *w = CONTAINER_OF(t, struct wait, poll);
    uint64_t now_ms = loop_now_ms(w->d->loop);
    w->good = w->done(w->d, w->about);
    if (w->good || w->d->ended_by != 0 || w->d->broken || now_ms >= w->deadline_ms)
        loop_stop(w->d->loop);
    else
        loop_timer_set(w->d->loop, &w->poll, now_ms + POLL_MS);
}

/* Runs the loop until `done` says yes. False: it did not in time, or the demo is to end. */
static bool wait_for(struct demo *d, bool (*done)(struct demo *d, const void *about),
                     const void *about, uint64_t limit_ms)
{
    uint64_t now_ms = loop_now_ms(d->loop);
    struct wait w = {.d = d, .done = done, .about = about, .deadline_ms = now_ms + limit_ms};
    w.poll.on_expire = on_poll;
    loop_timer_set(d->loop, &w.poll, now_ms);
    loop_run(d->loop);
    loop_timer_clear(d->loop, &w.poll);
    return w.good && d->ended_by == 0;
}

/* --- saying what went wrong --- */

static bool fail(struct demo *d, const struct demo_node *n, const char *what)
{
    char log[DEMO_NODE_PATH_MAX];
    /* A signal, or a loss that has been said, is the cause of what did not happen then. */
    if (d->ended_by != 0 || d->broken) return false;
    d->broken = true;
    verb_fail(EXIT_FAILED, "demo: %s%s%s", n ? demo_node_name(n->number) : "", n ? ": " : "", what);
    if (n) demo_report_log(demo_node_path(n, "log", log));
    return false;
}

static bool fail_err(struct demo *d, const struct demo_node *n, const char *what, enum err err)
{
    char text[256];
    snprintf(text, sizeof text, "%s: %s", what, err_text(err));
    return fail(d, n, text);
}

/* --- commands --- */

static bool command_ended(struct demo *d, const void *about)
{
    const struct demo_child *c = about;
    (void)d;
    return c->pid == 0;
}

static struct demo_child *child_of(struct demo *d, const struct demo_node *n)
{
    return &d->command[n->number - 1];
}

static bool command_start(struct demo *d, const struct demo_node *n, const char *const *argv,
                          const char *out_name)
{
    char out[DEMO_NODE_PATH_MAX], log[DEMO_NODE_PATH_MAX];
    struct demo_child_start o = {.argv = argv,
                                 .out = demo_node_path(n, out_name, out),
                                 .log = demo_node_path(n, "log", log)};
    enum err err = demo_child_start(child_of(d, n), &o);
    return err == ERR_OK || fail_err(d, n, argv[0], err);
}

static bool command_wait(struct demo *d, const struct demo_node *n, const char *what)
{
    struct demo_child *c = child_of(d, n);
    if (!wait_for(d, command_ended, c, COMMAND_MS)) return fail(d, n, what);
    return demo_child_succeeded(c) || fail(d, n, what);
}

/* --- steps --- */

static bool check_ports(struct demo *d)
{
    char taken[64], text[160];
    for (unsigned number = 1; number <= DEMO_NODE_COUNT; number++) {
        enum err err = demo_node_ports_free(number, taken, sizeof taken);
        if (err == ERR_OK) continue;
        snprintf(text, sizeof text, "%s cannot be used: %s", taken, err_text(err));
        return fail(d, NULL, text);
    }
    return true;
}

static bool make_nodes(struct demo *d)
{
    for (unsigned i = 0; i < DEMO_NODE_COUNT; i++) {
        d->node_count = i + 1;
        enum err err = demo_node_init(&d->node[i], d->loop, i + 1, d->folder.path);
        if (err != ERR_OK) return fail_err(d, NULL, d->folder.path, err);
    }
    return true;
}

static bool init_first(struct demo *d)
{
    const struct demo_node *n = &d->node[0];
    const char *const argv[] = {
        "init",   "--mesh",          "demo",   "--node",        demo_node_name(1),
        "--addr", demo_node_addr(1), "--root", d->node[0].root, NULL};
    return command_start(d, n, argv, "log") && command_wait(d, n, "init failed");
}

static bool apps_listen(struct demo *d, const void *about)
{
    (void)d;
    return demo_node_apps_listen(about);
}

static bool node_ready(struct demo *d, const void *about)
{
    const struct demo_node *n = about;
    (void)d;
    return n->ready;
}

/* The applications first, so that the first health check finds them. */
static bool start_node(struct demo *d, struct demo_node *n)
{
    enum err err = demo_node_configure(n);
    if (err == ERR_OK) err = demo_node_start_apps(n);
    if (err != ERR_OK) return fail_err(d, n, "cannot start", err);
    if (!wait_for(d, apps_listen, n, READY_MS)) return fail(d, n, "its applications do not start");
    err = demo_node_start_agent(n);
    return err == ERR_OK || fail_err(d, n, "up", err);
}

static bool wait_ready(struct demo *d, const struct demo_node *n)
{
    return wait_for(d, node_ready, n, READY_MS) || fail(d, n, "up: not ready in time");
}

static bool make_token(struct demo *d)
{
    const struct demo_node *n = &d->node[0];
    const char *const argv[] = {"token", "create", "--root", n->root,   "--ttl",
                                "10m",   "--uses", "2",      "--quiet", NULL};
    return command_start(d, n, argv, "token") && command_wait(d, n, "token create failed");
}

static bool join(struct demo *d, const struct demo_node *n)
{
    char token[DEMO_NODE_PATH_MAX];
    const char *const argv[] = {"join",
                                "--token-file",
                                demo_node_path(&d->node[0], "token", token),
                                "--node",
                                demo_node_name(n->number),
                                "--addr",
                                demo_node_addr(n->number),
                                "--root",
                                n->root,
                                NULL};
    return command_start(d, n, argv, "log");
}

/* --- the whole way --- */

static void on_answer(void *owner)
{
    (void)owner;
}

static bool start_watches(struct demo *d)
{
    char path[DEMO_NODE_PATH_MAX];
    for (unsigned i = 0; i < DEMO_NODE_COUNT; i++) {
        struct demo_watch *w = &d->watch[i];
        w->on_answer = on_answer;
        enum err err = demo_watch_start(
            w, d->loop, demo_node_path(&d->node[i], "run/parley/parley.sock", path));
        if (err != ERR_OK) return fail_err(d, &d->node[i], "cannot ask it", err);
    }
    return true;
}

static bool all_know_api(struct demo *d, const void *about)
{
    const unsigned wanted = 1u << 2 | 1u << 3;
    (void)about;
    for (unsigned i = 0; i < DEMO_NODE_COUNT; i++)
        if (d->watch[i].up != wanted) return false;
    return true;
}

struct probe {
    struct testapp_client *client;
    struct loop_timer again;
    struct demo *d;
    unsigned status;
    char reason[64];
};

static void ask(struct probe *p)
{
    struct testapp_client_request r = {
        .method = "GET", .path = p->d->url.path, .timeout_ms = PROBE_MS};
    testapp_client_start(p->client, &r);
}

static void on_again(struct loop_timer *t)
{
    ask(CONTAINER_OF(t, struct probe, again));
}

static void on_probed(void *owner, const struct testapp_client_result *result)
{
    struct probe *p = owner;
    p->status = result->status;
    (void)span_to_cstr(result->reason, p->reason, sizeof p->reason);
    if (p->status != 200)
        loop_timer_set(p->d->loop, &p->again, loop_now_ms(p->d->loop) + PROBE_AGAIN_MS);
}

static bool probe_passed(struct demo *d, const void *about)
{
    const struct probe *p = about;
    (void)d;
    return p->status == 200;
}

/* Certificates of the services are issued after a node is ready; until then the mesh says why not.
 */
static bool probe(struct demo *d)
{
    struct probe p = {.d = d};
    char text[160];
    struct testapp_client_options o = {.loop = d->loop,
                                       .to = d->url.to,
                                       .authority = d->url.authority,
                                       .on_result = on_probed,
                                       .owner = &p};
    p.again.on_expire = on_again;
    enum err err = testapp_client_new(&o, &p.client);
    if (err != ERR_OK) return fail_err(d, NULL, "cannot ask", err);
    ask(&p);
    bool good = wait_for(d, probe_passed, &p, CONVERGE_MS);
    loop_timer_clear(d->loop, &p.again);
    testapp_client_free(p.client);
    if (good) return true;
    snprintf(text, sizeof text, "%s answers %u%s%s", DEMO_NODE_WEB_URL, p.status,
             p.reason[0] ? ", " : "", p.reason);
    return fail(d, &d->node[0], text);
}

static bool converge(struct demo *d)
{
    if (!start_watches(d)) return false;
    bool good = wait_for(d, all_know_api, NULL, CONVERGE_MS);
    for (unsigned i = 0; i < DEMO_NODE_COUNT; i++)
        demo_watch_stop(&d->watch[i]);
    return good || fail(d, &d->node[0], "the nodes do not agree on who serves api");
}

bool demo_setup_run(struct demo *d)
{
    struct demo_node *n = d->node;
    const char *why;
    CHECK(testapp_url_parse(DEMO_NODE_WEB_URL, &d->url, &why) == ERR_OK);
    if (!check_ports(d) || !make_nodes(d)) return false;
    if (!init_first(d) || !start_node(d, &n[0]) || !wait_ready(d, &n[0])) return false;
    if (!make_token(d) || !join(d, &n[1]) || !join(d, &n[2])) return false;
    for (unsigned i = 1; i < DEMO_NODE_COUNT; i++)
        if (!command_wait(d, &n[i], "join failed") || !start_node(d, &n[i])) return false;
    for (unsigned i = 1; i < DEMO_NODE_COUNT; i++)
        if (!wait_ready(d, &n[i])) return false;
    return converge(d) && probe(d);
}
