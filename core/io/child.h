/* Child processes: a program run with an input, to see how it ends.
 *
 * Control thread. Started by posix_spawn, which is safe beside threads. A child sees its input as
 * stdin, a pipe as stdout, nothing or the same pipe as stderr, no other descriptor, no environment
 * and "/" as its folder; it can say nothing but bytes into the pipe. It leads a process group: what
 * it leaves running there dies with it. Owns the process and the descriptors.
 */
#ifndef CORE_IO_CHILD_H
#define CORE_IO_CHILD_H

#include <sys/types.h>

#include "core/base/err.h"
#include "core/base/span.h"

struct child {
    pid_t pid;  /* 0: none */
    int out_fd; /* its output, not blocking: the loop may watch it */
    int end_fd; /* readable once it has ended, whatever its own children do */
};

/* How it ended: by a signal, or else with an exit code. */
struct child_end {
    int signum; /* 0: none */
    int code;
};

enum child_stderr { CHILD_STDERR_NOWHERE, CHILD_STDERR_JOINED /* to its stdout */ };

struct child_options {
    const char *path;
    const char *const *argv; /* argv[0] is its name, a NULL ends the list */
    struct span input;       /* copied */
    enum child_stderr err;
};

/* ERR_NOMEM, ERR_FULL, ERR_AGAIN: no room for it; ERR_NOT_FOUND, ERR_PERM: no such program;
 * ERR_IO. */
enum err child_start(const struct child_options *o, struct child *out) MUST_USE;
/* Kills it and its group, and waits for nothing. */
void child_kill(const struct child *c);
/* If it has ended: kills what it left in its group and takes it off the system. False: it runs, or
 * there is none. */
bool child_reap(struct child *c, struct child_end *out);
/* Kills it if it still runs, waits and takes it off the system. Nothing, where there is none. */
struct child_end child_stop(struct child *c);

#endif
