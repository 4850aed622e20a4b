#include "cmd/verbs/demo_node.h"

#include "core/base/check.h"
#include "core/io/clock.h"
#include "core/io/sock.h"
#include "core/io/udp.h"
#include "core/wire/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONFIG_BYTES_MAX 2048u
#define APP_ARGS_MAX     10u
#define LISTENS_MAX      4u

struct plan {
    const char *name, *addr;
    const char *listen[LISTENS_MAX]; /* TCP addresses; NULL ends */
    const char *mesh;                /* the one that takes UDP too */
    const char *config;
    const char *app[DEMO_NODE_APPS_MAX][APP_ARGS_MAX]; /* arguments; NULL: none */
    const char *app_name[DEMO_NODE_APPS_MAX];
};

#define API_CONFIG(addr)                                                                           \
    "[service.api]\nlocal = \"" addr ":8081\"\nallow = [\"web\"]\n\n"                              \
    "[upstream.db]\nlisten = \"" addr ":5432\"\nprotocol = \"tcp\"\n\n"
#define API_APP(addr)                                                                              \
    {                                                                                              \
        "testapp", "echo", "--listen", addr ":8081", "--name", "api", "--call",                    \
            "tcp://" addr ":5432", NULL                                                            \
    }
#define API_PLAN(node, ip)                                                                         \
    {                                                                                              \
        .name = node, .addr = ip, .listen = {ip ":7400", ip ":8081", ip ":5432", NULL},            \
        .mesh = ip ":7400", .config = API_CONFIG(ip), .app = {API_APP(ip)}, .app_name = {          \
            "api"                                                                                  \
        }                                                                                          \
    }

static const struct plan plans[DEMO_NODE_COUNT] = {
    {.name = "n1",
     .addr = "127.0.0.11",
     .listen = {"127.0.0.11:7400", "127.0.0.11:8080", "127.0.0.11:5433", "127.0.0.11:9001"},
     .mesh = "127.0.0.11:7400",
     .config = "[service.web]\nlocal = \"127.0.0.11:8080\"\n\n"
               "[service.db]\nlocal = \"127.0.0.11:5433\"\nprotocol = \"tcp\"\n"
               "allow = [\"api\"]\n\n"
               "[upstream.api]\nlisten = \"127.0.0.11:9001\"\nas = \"web\"\n\n",
     .app = {{"testapp", "echo", "--listen", "127.0.0.11:8080", "--name", "web", "--call",
              "http://127.0.0.11:9001/", NULL},
             {"testapp", "echo", "--listen", "127.0.0.11:5433", "--name", "db", "--tcp", NULL}},
     .app_name = {"web", "db"}},
    API_PLAN("n2", "127.0.0.12"),
    API_PLAN("n3", "127.0.0.13"),
};

static const struct plan *plan_of(unsigned number)
{
    CHECK(number >= 1 && number <= DEMO_NODE_COUNT);
    return &plans[number - 1];
}

const char *demo_node_name(unsigned number)
{
    return plan_of(number)->name;
}

const char *demo_node_addr(unsigned number)
{
    return plan_of(number)->addr;
}

static enum err try_port(const char *text, bool udp)
{
    struct addr at;
    int fd = -1;
    CHECK(addr_parse(span_str(text), 0, &at) == ERR_OK);
    enum err err = udp ? udp_bind(&at, &fd) : sock_listen(&at, 0, &fd);
    if (fd >= 0) close(fd);
    return err;
}

enum err demo_node_ports_free(unsigned number, char *taken, size_t cap)
{
    const struct plan *p = plan_of(number);
    enum err err = try_port(p->mesh, true);
    snprintf(taken, cap, "udp %s", p->mesh);
    for (size_t i = 0; err == ERR_OK && i < LISTENS_MAX && p->listen[i]; i++) {
        err = try_port(p->listen[i], false);
        snprintf(taken, cap, "tcp %s", p->listen[i]);
    }
    return err;
}

const char *demo_node_path(const struct demo_node *n, const char *path,
                           char out[DEMO_NODE_PATH_MAX])
{
    int len = snprintf(out, DEMO_NODE_PATH_MAX, "%s/%s", n->root, path);
    CHECK(len > 0 && (unsigned)len < DEMO_NODE_PATH_MAX);
    return out;
}

/* --- readiness --- */

static void on_notify(struct loop_io *io, bool readable, bool writable)
{
    struct demo_node *n = CONTAINER_OF(io, struct demo_node, notify_io);
    char text[512];
    ssize_t len;
    (void)readable;
    (void)writable;
    while ((len = recv(n->notify_fd, text, sizeof text, 0)) >= 0) {
        struct span rest = span_of(text, (size_t)len);
        while (rest.len > 0) {
            if (!span_eq_str(span_cut(rest, '\n', &rest), "READY=1") || n->ready) continue;
            uint64_t took_us = clock_mono_us() - n->up.started_us;
            n->ready = true;
            if (took_us > n->ready_us_max) n->ready_us_max = took_us;
        }
    }
}

static enum err notify_open(struct demo_node *n)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char path[DEMO_NODE_PATH_MAX];
    if (!span_to_cstr(span_str(demo_node_path(n, "notify", path)), at.sun_path, sizeof at.sun_path))
        return ERR_TOO_LARGE;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return err_from_errno(errno);
    if (bind(fd, (const struct sockaddr *)&at, sizeof at) != 0) {
        enum err err = err_from_errno(errno);
        close(fd);
        return err;
    }
    n->notify_fd = fd;
    loop_io_init(&n->notify_io, fd, on_notify);
    loop_io_set(n->loop, &n->notify_io, true, false);
    return ERR_OK;
}

enum err demo_node_init(struct demo_node *n, struct loop *l, unsigned number, const char *folder)
{
    *n = (struct demo_node){.number = number, .loop = l, .notify_fd = -1};
    snprintf(n->root, sizeof n->root, "%s/%s", folder, plan_of(number)->name);
    if (mkdir(n->root, 0700) != 0) return err_from_errno(errno);
    return notify_open(n);
}

void demo_node_fini(struct demo_node *n)
{
    if (n->notify_fd < 0) return;
    loop_io_set(n->loop, &n->notify_io, false, false);
    close(n->notify_fd);
    n->notify_fd = -1;
}

/* --- what it is made of --- */

enum err demo_node_configure(const struct demo_node *n)
{
    char storage[CONFIG_BYTES_MAX], path[DEMO_NODE_PATH_MAX];
    struct strbuf text;
    struct json j;
    strbuf_init_fixed(&text, storage, sizeof storage);
    strbuf_str(&text, plan_of(n->number)->config);
    strbuf_str(&text, "[log]\naccess = { to = ");
    /* A JSON string is a TOML string. */
    json_init(&j, &text);
    json_cstr(&j, demo_node_path(n, "access.log", path));
    strbuf_str(&text, " }\n");
    CHECK(strbuf_ok(&text));
    FILE *f = fopen(demo_node_path(n, "etc/parley/conf.d/demo.toml", path), "we");
    if (!f) return err_from_errno(errno);
    bool written = fwrite(text.p, 1, text.len, f) == text.len;
    return fclose(f) == 0 && written ? ERR_OK : ERR_IO;
}

enum err demo_node_start_apps(struct demo_node *n)
{
    const struct plan *p = plan_of(n->number);
    char out[DEMO_NODE_PATH_MAX], log[DEMO_NODE_PATH_MAX];
    for (size_t i = 0; i < DEMO_NODE_APPS_MAX && p->app_name[i]; i++) {
        struct demo_child_start o = {.argv = p->app[i],
                                     .out = demo_node_path(n, p->app_name[i], out),
                                     .log = demo_node_path(n, "log", log)};
        if (n->app[i].pid != 0) continue;
        (void)unlink(out);
        enum err err = demo_child_start(&n->app[i], &o);
        if (err != ERR_OK) return err;
    }
    return ERR_OK;
}

/* An application prints one line once it listens. */
bool demo_node_apps_listen(const struct demo_node *n)
{
    const struct plan *p = plan_of(n->number);
    char out[DEMO_NODE_PATH_MAX];
    struct stat st;
    for (size_t i = 0; i < DEMO_NODE_APPS_MAX && p->app_name[i]; i++)
        if (stat(demo_node_path(n, p->app_name[i], out), &st) != 0 || st.st_size == 0) return false;
    return true;
}

enum err demo_node_start_agent(struct demo_node *n)
{
    char log[DEMO_NODE_PATH_MAX], notify[DEMO_NODE_PATH_MAX];
    const char *const argv[] = {"up", "--root", n->root, NULL};
    struct demo_child_start o = {.argv = argv,
                                 .out = demo_node_path(n, "log", log),
                                 .log = log,
                                 .notify = demo_node_path(n, "notify", notify)};
    if (n->up.pid != 0) return ERR_OK;
    n->ready = false;
    return demo_child_start(&n->up, &o);
}

void demo_node_kill(struct demo_node *n, int signum)
{
    demo_child_kill(&n->up, signum);
    for (size_t i = 0; i < DEMO_NODE_APPS_MAX; i++)
        demo_child_kill(&n->app[i], signum);
}

bool demo_node_reap(struct demo_node *n)
{
    bool none = demo_child_reap(&n->up);
    if (none) n->ready = false;
    for (size_t i = 0; i < DEMO_NODE_APPS_MAX; i++)
        none &= demo_child_reap(&n->app[i]);
    return none;
}

const struct demo_child *demo_node_lost(const struct demo_node *n)
{
    if (!demo_child_in_order(&n->up)) return &n->up;
    for (size_t i = 0; i < DEMO_NODE_APPS_MAX; i++)
        if (!demo_child_in_order(&n->app[i])) return &n->app[i];
    return NULL;
}

static uint64_t rss_kib(pid_t pid)
{
    char path[64], line[256];
    uint64_t kib = 0;
    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        struct span rest = span_str(line), unit;
        if (!span_starts(rest, SPAN_LIT("VmRSS:"))) continue;
        rest = span_trim(span_skip(rest, sizeof "VmRSS:" - 1));
        (void)span_u64(span_cut(rest, ' ', &unit), &kib);
        break;
    }
    if (f) fclose(f);
    return kib;
}

void demo_node_sample(struct demo_node *n)
{
    char path[DEMO_NODE_PATH_MAX];
    uint64_t kib = n->up.pid != 0 ? rss_kib(n->up.pid) : 0;
    if (kib > n->rss_kib_max) n->rss_kib_max = kib;
    demo_trace_follow(&n->trace, demo_node_path(n, "access.log", path));
}
