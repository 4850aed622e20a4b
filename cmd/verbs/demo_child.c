#include "cmd/verbs/demo_child.h"

#include "core/io/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX     30u
#define EXIT_NO_EXEC 127

/* Inherited from whoever started the demo, and not meant for its nodes. */
static const char *const private_variables[] = {"NOTIFY_SOCKET",  "WATCHDOG_USEC", "WATCHDOG_PID",
                                                "JOURNAL_STREAM", "LISTEN_FDS",    "LISTEN_PID"};

/* In the child: becomes the program or ends. */
static _Noreturn void become(const struct demo_child_start *o, const int fd[3], pid_t parent)
{
    char *argv[ARGS_MAX + 2];
    char name[] = "parley";
    size_t n = 0;
    (void)setsid();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    /* The parent may have gone before the line above. */
    if (getppid() != parent) _exit(EXIT_NO_EXEC);
    for (int i = 0; i < 3; i++)
        if (dup2(fd[i], i) < 0) _exit(EXIT_NO_EXEC);
    for (size_t i = 0; i < sizeof private_variables / sizeof *private_variables; i++)
        (void)unsetenv(private_variables[i]);
    if (o->notify && setenv("NOTIFY_SOCKET", o->notify, 1) != 0) _exit(EXIT_NO_EXEC);
    argv[n++] = name;
    /* execv does not write to its arguments; its type is older than const. */
    for (size_t i = 0; o->argv[i] && n <= ARGS_MAX; i++)
        argv[n++] = (char *)(uintptr_t)o->argv[i];
    argv[n] = NULL;
    (void)execv("/proc/self/exe", argv);
    _exit(EXIT_NO_EXEC);
}

static int open_to_append(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void close_all(const int fd[3])
{
    for (int i = 0; i < 3; i++)
        if (fd[i] >= 0) close(fd[i]);
}

enum err demo_child_start(struct demo_child *c, const struct demo_child_start *o)
{
    int fd[3] = {open("/dev/null", O_RDONLY | O_CLOEXEC), open_to_append(o->out),
                 open_to_append(o->log)};
    if (fd[0] < 0 || fd[1] < 0 || fd[2] < 0) {
        enum err err = err_from_errno(errno);
        close_all(fd);
        return err;
    }
    pid_t parent = getpid();
    *c = (struct demo_child){.started_us = clock_mono_us()};
    pid_t pid = fork();
    if (pid == 0) become(o, fd, parent);
    enum err err = pid < 0 ? err_from_errno(errno) : ERR_OK;
    close_all(fd);
    if (err == ERR_OK) c->pid = pid;
    return err;
}

void demo_child_kill(struct demo_child *c, int signum)
{
    if (c->pid == 0) return;
    c->expected = true;
    (void)kill(c->pid, signum);
}

static void note_end(struct demo_child *c, int status)
{
    c->pid = 0;
    c->ended = true;
    c->status = status;
}

bool demo_child_reap(struct demo_child *c)
{
    int status;
    if (c->pid != 0 && waitpid(c->pid, &status, WNOHANG) == c->pid) note_end(c, status);
    return c->pid == 0;
}

void demo_child_wait(struct demo_child *c)
{
    int status;
    while (c->pid != 0) {
        pid_t got = waitpid(c->pid, &status, 0);
        if (got == c->pid) note_end(c, status);
        if (got < 0 && errno != EINTR) c->pid = 0;
    }
}

bool demo_child_succeeded(const struct demo_child *c)
{
    return c->ended && WIFEXITED(c->status) && WEXITSTATUS(c->status) == 0;
}

bool demo_child_in_order(const struct demo_child *c)
{
    if (!c->ended) return true;
    if (!c->expected) return false;
    if (WIFSIGNALED(c->status))
        return WTERMSIG(c->status) == SIGKILL || WTERMSIG(c->status) == SIGTERM;
    return WEXITSTATUS(c->status) == 0;
}
