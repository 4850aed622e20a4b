#define _GNU_SOURCE
#include "core/io/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* A file of no name that holds `input`, at its beginning. */
static enum err input_file(struct span input, int *out)
{
    int fd = memfd_create("input", MFD_CLOEXEC);
    if (fd < 0) return err_from_errno(errno);
    for (size_t done = 0; done < input.len;) {
        ssize_t n = write(fd, input.p + done, input.len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            enum err err = n < 0 ? err_from_errno(errno) : ERR_IO;
            close(fd);
            return err;
        }
        done += (size_t)n;
    }
    if (lseek(fd, 0, SEEK_SET) != 0) {
        close(fd);
        return ERR_IO;
    }
    *out = fd;
    return ERR_OK;
}

static int set_files(posix_spawn_file_actions_t *a, int in_fd, int out_fd, enum child_stderr err)
{
    int no = posix_spawn_file_actions_adddup2(a, in_fd, STDIN_FILENO);
    if (no == 0) no = posix_spawn_file_actions_adddup2(a, out_fd, STDOUT_FILENO);
    if (no == 0 && err == CHILD_STDERR_JOINED)
        no = posix_spawn_file_actions_adddup2(a, out_fd, STDERR_FILENO);
    else if (no == 0)
        no = posix_spawn_file_actions_addopen(a, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (no == 0) no = posix_spawn_file_actions_addchdir_np(a, "/");
    /* As our own descriptors are, this is close-on-exec without it; a library's might not be. */
    return no == 0 ? posix_spawn_file_actions_addclosefrom_np(a, STDERR_FILENO + 1) : no;
}

/* Our thread blocks signals and ignores some: the child begins as any program does, and leads a
 * process group of its own, which is how its own children are found. */
static int set_attributes(posix_spawnattr_t *attr)
{
    static const short flags =
        POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP;
    sigset_t none, all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    int no = posix_spawnattr_setsigmask(attr, &none);
    if (no == 0) no = posix_spawnattr_setsigdefault(attr, &all);
    if (no == 0) no = posix_spawnattr_setpgroup(attr, 0);
    return no == 0 ? posix_spawnattr_setflags(attr, flags) : no;
}

/* Who started us may have ignored SIGCHLD, which is handed down: the system then forgets how a
 * child ended, and its number may be another's when it is stopped. */
static enum err keep_ends(void)
{
    struct sigaction usual = {.sa_handler = SIG_DFL}, now;
    if (sigaction(SIGCHLD, NULL, &now) != 0) return err_from_errno(errno);
    if (now.sa_handler != SIG_IGN && (now.sa_flags & SA_NOCLDWAIT) == 0) return ERR_OK;
    return sigaction(SIGCHLD, &usual, NULL) == 0 ? ERR_OK : err_from_errno(errno);
}

static enum err spawn(const struct child_options *o, int in_fd, int out_fd, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    char *const no_environment[] = {NULL};
    int no = posix_spawn_file_actions_init(&actions);
    if (no != 0) return err_from_errno(no);
    no = posix_spawnattr_init(&attr);
    if (no == 0) {
        no = set_files(&actions, in_fd, out_fd, o->err);
        if (no == 0) no = set_attributes(&attr);
        /* posix_spawn does not write to its arguments; its type is older than const. */
        if (no == 0)
            no = posix_spawn(pid, o->path, &actions, &attr, (char *const *)(uintptr_t)o->argv,
                             no_environment);
        (void)posix_spawnattr_destroy(&attr);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return no == 0 ? ERR_OK : err_from_errno(no);
}

/* The process exists: what goes wrong from here on ends it. */
static enum err watch(pid_t pid, int out_fd, struct child *out)
{
    struct child c = {.pid = pid, .out_fd = out_fd, .end_fd = pidfd_open(pid, 0)};
    enum err err = ERR_OK;
    if (c.end_fd < 0)
        err = err_from_errno(errno);
    else if (fcntl(out_fd, F_SETFL, O_NONBLOCK) != 0)
        err = ERR_IO;
    if (err == ERR_OK)
        *out = c;
    else
        (void)child_stop(&c);
    return err;
}

enum err child_start(const struct child_options *o, struct child *out)
{
    int in_fd = -1, pipe_fd[2];
    pid_t pid;
    enum err err = keep_ends();
    if (err == ERR_OK) err = input_file(o->input, &in_fd);
    if (err != ERR_OK) return err;
    if (pipe2(pipe_fd, O_CLOEXEC) != 0) {
        err = err_from_errno(errno);
        goto close_input;
    }
    err = spawn(o, in_fd, pipe_fd[1], &pid);
    close(pipe_fd[1]);
    if (err == ERR_OK)
        err = watch(pid, pipe_fd[0], out);
    else
        close(pipe_fd[0]);
close_input:
    close(in_fd);
    return err;
}

void child_kill(const struct child *c)
{
    if (c->pid == 0) return;
    (void)kill(-c->pid, SIGKILL); /* its group, which bears its number until it is reaped */
    (void)kill(c->pid, SIGKILL);  /* itself, had it joined another */
}

static bool take(struct child *c, int flags, struct child_end *out)
{
    struct child_end end = {.signum = 0};
    int status = 0;
    pid_t got;
    do
        got = waitpid(c->pid, &status, flags);
    while (got < 0 && errno == EINTR);
    if (got == 0) return false;
    if (got < 0) end.signum = SIGKILL; /* nobody can say: not well */
    if (got > 0 && WIFSIGNALED(status)) end.signum = WTERMSIG(status);
    if (got > 0 && WIFEXITED(status)) end.code = WEXITSTATUS(status);
    close(c->out_fd);
    if (c->end_fd >= 0) close(c->end_fd);
    *c = (struct child){.pid = 0};
    *out = end;
    return true;
}

bool child_reap(struct child *c, struct child_end *out)
{
    siginfo_t ended = {.si_pid = 0};
    if (c->pid == 0) return false;
    /* What it left running goes first: reaped, its group's number may be another's. */
    int no = waitid(P_PID, (id_t)c->pid, &ended, WEXITED | WNOHANG | WNOWAIT);
    if (no == 0 && ended.si_pid == 0) return false;
    child_kill(c);
    return take(c, 0, out);
}

struct child_end child_stop(struct child *c)
{
    struct child_end end = {.signum = 0};
    if (c->pid == 0) return end;
    child_kill(c); /* one that has ended keeps how it did */
    (void)take(c, 0, &end);
    return end;
}
