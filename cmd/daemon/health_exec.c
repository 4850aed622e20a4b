#include "cmd/daemon/health_exec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/daemon/health_plan.h"
#include "core/base/check.h"
#include "core/io/child.h"

#define HEALTH_EXEC_MAGIC 0x68657865u
#define LINE_BYTES        64u

struct health_exec {
    uint32_t magic;
    struct health_exec_options o;
    struct child child; /* owned */
    struct loop_io output, end;
    struct loop_orphan orphan;
    bool forgotten;
    char line[LINE_BYTES]; /* the first, printable */
    size_t line_len;
    bool line_ended;
    size_t said_bytes;
};

static void keep_line(struct health_exec *e, const char *p, size_t len)
{
    for (size_t i = 0; i < len && !e->line_ended; i++) {
        e->line_ended = p[i] == '\n' || e->line_len + 1 == sizeof e->line;
        if (!e->line_ended) e->line[e->line_len++] = p[i] >= ' ' && p[i] <= '~' ? p[i] : '?';
    }
}

/* One read a turn, so that a flood leaves the loop time for others. False: it has said too much. */
static bool hear(struct health_exec *e)
{
    char piece[4096];
    ssize_t n = read(e->child.out_fd, piece, sizeof piece);
    if (n > 0) {
        keep_line(e, piece, (size_t)n);
        e->said_bytes += (size_t)n;
    }
    bool over = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
    if (over) loop_io_set(e->o.loop, &e->output, false, false);
    return e->said_bytes <= HEALTH_EXEC_OUTPUT_MAX;
}

static void on_output(struct loop_io *io, bool readable, bool writable)
{
    struct health_exec *e = CONTAINER_OF(io, struct health_exec, output);
    (void)readable;
    (void)writable;
    CHECK_OBJ(e, HEALTH_EXEC_MAGIC);
    if (!hear(e)) health_exec_kill(e);
}

static void say_end(const struct health_exec *e, struct child_end end, char why[HEALTH_WHY_BYTES])
{
    int n;
    if (e->said_bytes > HEALTH_EXEC_OUTPUT_MAX)
        n = snprintf(why, HEALTH_WHY_BYTES, "it says more than %u KiB",
                     HEALTH_EXEC_OUTPUT_MAX / 1024);
    else if (end.signum != 0)
        n = snprintf(why, HEALTH_WHY_BYTES, "killed: %s", strsignal(end.signum));
    else
        n = snprintf(why, HEALTH_WHY_BYTES, "exit code %d", end.code);
    if (e->line_len > 0 && n > 0 && (size_t)n < HEALTH_WHY_BYTES)
        (void)snprintf(why + n, HEALTH_WHY_BYTES - (size_t)n, ": %.*s", (int)e->line_len, e->line);
}

static void on_child_end(struct loop_io *io, bool readable, bool writable)
{
    struct health_exec *e = CONTAINER_OF(io, struct health_exec, end);
    const struct health_exec_options o = e->o;
    struct child_end end;
    char why[HEALTH_WHY_BYTES];
    (void)readable;
    (void)writable;
    CHECK_OBJ(e, HEALTH_EXEC_MAGIC);
    (void)hear(e); /* its last words, which its end may have overtaken */
    /* Before the descriptors go: a watcher must not outlive its own. */
    loop_io_set(o.loop, &e->output, false, false);
    loop_io_set(o.loop, &e->end, false, false);
    if (!child_reap(&e->child, &end)) {
        loop_io_set(o.loop, &e->end, true, false);
        return;
    }
    say_end(e, end, why);
    bool ok = end.signum == 0 && end.code == 0 && e->said_bytes <= HEALTH_EXEC_OUTPUT_MAX;
    bool forgotten = e->forgotten;
    if (forgotten) loop_orphan_remove(e->o.loop, &e->orphan);
    e->magic = MAGIC_POISON;
    free(e);
    if (!forgotten) o.on_end(o.owner, ok, why);
}

/* The loop ends: what does not die at once is left to init. */
static void on_orphan_end(struct loop_orphan *o, bool cut)
{
    struct health_exec *e = CONTAINER_OF(o, struct health_exec, orphan);
    struct child_end end;
    (void)cut;
    loop_orphan_remove(e->o.loop, o);
    loop_io_set(e->o.loop, &e->end, false, false);
    (void)child_reap(&e->child, &end);
    e->magic = MAGIC_POISON;
    free(e);
}

enum err health_exec_start(const struct health_exec_options *o, struct health_exec **out)
{
    const struct child_options child = {
        .path = o->argv[0], .argv = o->argv, .err = CHILD_STDERR_JOINED};
    struct health_exec *e = calloc(1, sizeof *e);
    if (e == NULL) return ERR_NOMEM;
    enum err err = child_start(&child, &e->child);
    if (err != ERR_OK) {
        free(e);
        return err;
    }
    e->magic = HEALTH_EXEC_MAGIC;
    e->o = *o;
    e->orphan.on_end = on_orphan_end;
    loop_io_init(&e->output, e->child.out_fd, on_output);
    loop_io_init(&e->end, e->child.end_fd, on_child_end);
    loop_io_set(o->loop, &e->output, true, false);
    loop_io_set(o->loop, &e->end, true, false);
    *out = e;
    return ERR_OK;
}

void health_exec_kill(struct health_exec *e)
{
    CHECK_OBJ(e, HEALTH_EXEC_MAGIC);
    loop_io_set(e->o.loop, &e->output, false, false);
    child_kill(&e->child);
}

void health_exec_free(struct health_exec *e)
{
    if (e == NULL) return;
    health_exec_kill(e);
    e->forgotten = true;
    loop_orphan_add(e->o.loop, &e->orphan);
}
