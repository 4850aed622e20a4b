/* Child processes: a program run with an input, to see how it ends.
 *
 * Control thread. Started by posix_spawn, which is safe beside threads. A child sees its input as
 * stdin, a pipe as stdout, nothing as stderr, no other descriptor and no environment; it can say
 * nothing but bytes into the pipe, whose end tells that it is over. Owns the process and the pipe.
 */
#ifndef CORE_IO_CHILD_H
#define CORE_IO_CHILD_H

#include <sys/types.h>

#include "core/base/err.h"
#include "core/base/span.h"

struct child {
    pid_t pid;  /* 0: none */
    int out_fd; /* its stdout, not blocking: the loop may watch it */
};

/* How it ended: by a signal, or else with an exit code. */
struct child_end {
    int signum; /* 0: none */
    int code;
};

/* Starts the program at `path`; argv[0] is its name, a NULL ends the list. `input` is copied.
 * ERR_NOMEM, ERR_FULL, ERR_AGAIN: no room for it; ERR_NOT_FOUND, ERR_PERM: no such program;
 * ERR_IO. */
enum err child_start(const char *path, const char *const *argv, struct span input,
                     struct child *out) MUST_USE;
/* Kills it if it still runs and takes it off the system. Nothing, where there is none. */
struct child_end child_stop(struct child *c);

#endif
