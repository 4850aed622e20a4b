/* Children: this same program run again with other arguments.
 *
 * Main thread of a command. A child dies with the demo, however that ends (PR_SET_PDEATHSIG), and
 * has a session of its own, so that a ^C reaches the demo alone. It reads /dev/null and writes to a
 * file.
 */
#ifndef CMD_VERBS_DEMO_CHILD_H
#define CMD_VERBS_DEMO_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/err.h"

struct demo_child {
    pid_t pid;           /* 0: not running */
    bool ended;          /* it ran and has ended */
    bool expected;       /* we ended it */
    int status;          /* as waitpid gives it, once `ended` */
    uint64_t started_us; /* monotonic, before the fork */
};

struct demo_child_start {
    const char *const *argv; /* behind the program's name; ends with NULL */
    const char *out;         /* file for stdout, created or appended to */
    const char *log;         /* file for stderr */
    const char *notify;      /* NOTIFY_SOCKET; NULL: not set */
};

/* Starts it. ERR_AGAIN, ERR_NOMEM: no process; ERR_IO, ERR_PERM: the files cannot be opened. */
enum err demo_child_start(struct demo_child *c, const struct demo_child_start *o) MUST_USE;
/* Sends a signal; its end is then expected. No effect when it does not run. */
void demo_child_kill(struct demo_child *c, int signum);
/* Takes note if it has ended; true when it does not run. */
bool demo_child_reap(struct demo_child *c);
/* Waits for its end. */
void demo_child_wait(struct demo_child *c);
/* Did it end with exit code 0? */
bool demo_child_succeeded(const struct demo_child *c);
/* Did it end as it should: not before it was asked to, and then with exit code 0 or by the signal?
 * True as long as it has not ended. */
bool demo_child_in_order(const struct demo_child *c);

#endif
