#include "cmd/daemon/policy_trial.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/daemon/trial_child.h"

static struct child_end put_away(struct policy_trial *t)
{
    loop_timer_clear(t->loop, &t->timer);
    loop_io_set(t->loop, &t->io, false, false);
    return child_stop(&t->child);
}

void policy_trial_stop(struct policy_trial *t)
{
    if (t->child.pid != 0) (void)put_away(t);
}

static void expire(struct loop_timer *timer)
{
    struct policy_trial *t = CONTAINER_OF(timer, struct policy_trial, timer);
    char died[POLICY_TRIAL_REASON_BYTES];
    (void)put_away(t);
    (void)snprintf(died, sizeof died, "its trial took longer than %u ms", t->wait_ms);
    t->on_end(t, died);
}

/* It has nothing to say; its end is that of the pipe. */
static bool has_ended(const struct child *c)
{
    char said[256];
    ssize_t n;
    do
        n = read(c->out_fd, said, sizeof said);
    while (n > 0 || (n < 0 && errno == EINTR));
    return n == 0;
}

static void ready(struct loop_io *io, bool readable, bool writable)
{
    struct policy_trial *t = CONTAINER_OF(io, struct policy_trial, io);
    char died[POLICY_TRIAL_REASON_BYTES];
    (void)readable;
    (void)writable;
    if (!has_ended(&t->child)) return;
    struct child_end end = put_away(t);
    if (end.signum != 0)
        (void)snprintf(died, sizeof died, "its trial crashed: %s", strsignal(end.signum));
    else
        (void)snprintf(died, sizeof died, "its trial failed with exit code %d", end.code);
    t->on_end(t, end.signum != 0 || end.code != 0 ? died : NULL);
}

enum err policy_trial_start(struct policy_trial *t, const char *program, struct span input)
{
    static const char *const argv[] = {"parley", TRIAL_CHILD_WORD, NULL};
    const struct child_options o = {.path = program, .argv = argv, .input = input};
    policy_trial_stop(t);
    enum err err = child_start(&o, &t->child);
    if (err != ERR_OK) return err;
    loop_io_init(&t->io, t->child.out_fd, ready);
    loop_io_set(t->loop, &t->io, true, false);
    t->timer.on_expire = expire;
    loop_timer_set(t->loop, &t->timer, loop_now_ms(t->loop) + t->wait_ms);
    return ERR_OK;
}
