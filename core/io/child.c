#define _GNU_SOURCE
#include "core/io/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STDERR_FLAGS (O_WRONLY | O_CLOEXEC)

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

static int set_files(posix_spawn_file_actions_t *a, int in_fd, int out_fd)
{
    int no = posix_spawn_file_actions_adddup2(a, in_fd, STDIN_FILENO);
    if (no == 0) no = posix_spawn_file_actions_adddup2(a, out_fd, STDOUT_FILENO);
    if (no == 0)
        no = posix_spawn_file_actions_addopen(a, STDERR_FILENO, "/dev/null", STDERR_FLAGS, 0);
    /* As our own descriptors are, this is close-on-exec without it; a library's might not be. */
    return no == 0 ? posix_spawn_file_actions_addclosefrom_np(a, STDERR_FILENO + 1) : no;
}

/* Our thread blocks signals and ignores some: the child begins as any program does. */
static int set_signals(posix_spawnattr_t *attr)
{
    sigset_t none, all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    int no = posix_spawnattr_setsigmask(attr, &none);
    if (no == 0) no = posix_spawnattr_setsigdefault(attr, &all);
    return no == 0 ? posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)
                   : no;
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

static enum err spawn(const char *path, const char *const *argv, int in_fd, int out_fd, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    char *const no_environment[] = {NULL};
    int no = posix_spawn_file_actions_init(&actions);
    if (no != 0) return err_from_errno(no);
    no = posix_spawnattr_init(&attr);
    if (no == 0) {
        no = set_files(&actions, in_fd, out_fd);
        if (no == 0) no = set_signals(&attr);
        /* posix_spawn does not write to its arguments; its type is older than const. */
        if (no == 0)
            no = posix_spawn(pid, path, &actions, &attr, (char *const *)(uintptr_t)argv,
                             no_environment);
        (void)posix_spawnattr_destroy(&attr);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return no == 0 ? ERR_OK : err_from_errno(no);
}

enum err child_start(const char *path, const char *const *argv, struct span input,
                     struct child *out)
{
    int in_fd = -1, pipe_fd[2];
    pid_t pid;
    enum err err = keep_ends();
    if (err == ERR_OK) err = input_file(input, &in_fd);
    if (err != ERR_OK) return err;
    if (pipe2(pipe_fd, O_CLOEXEC) != 0) {
        err = err_from_errno(errno);
        goto close_input;
    }
    err = spawn(path, argv, in_fd, pipe_fd[1], &pid);
    if (err == ERR_OK && fcntl(pipe_fd[0], F_SETFL, O_NONBLOCK) != 0) err = ERR_IO;
    close(pipe_fd[1]);
    if (err != ERR_OK)
        close(pipe_fd[0]);
    else
        *out = (struct child){.pid = pid, .out_fd = pipe_fd[0]};
close_input:
    close(in_fd);
    return err;
}

struct child_end child_stop(struct child *c)
{
    struct child_end end = {.signum = 0};
    int status = 0;
    if (c->pid == 0) return end;
    close(c->out_fd);
    (void)kill(c->pid, SIGKILL); /* one that has ended keeps how it did */
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFSIGNALED(status)) end.signum = WTERMSIG(status);
    if (WIFEXITED(status)) end.code = WEXITSTATUS(status);
    *c = (struct child){.pid = 0};
    return end;
}
