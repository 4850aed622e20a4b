/* Health checks by a program: exit code 0 passes.
 *
 * Control thread. The program is started without a shell, with no environment, no input, no
 * descriptor of ours, in "/", as the user that the daemon runs as (io/child.h). It passes or fails
 * when it ends itself, whatever it has started; what is left of its process group is killed then,
 * and also when it is stopped. Of what it says the first line of a failure is told; one that says
 * more than HEALTH_EXEC_OUTPUT_MAX fails.
 *
 *   start -> runs -> its end -> on_end
 *               |-> too much output, health_exec_kill -> killed -> its end -> on_end
 *               \-> health_exec_free: killed; gone once the kernel has let it go, without on_end
 */
#ifndef CMD_DAEMON_HEALTH_EXEC_H
#define CMD_DAEMON_HEALTH_EXEC_H

#include "core/io/loop.h"

#define HEALTH_EXEC_OUTPUT_MAX 65536u

struct health_exec;

struct health_exec_options {
    struct loop *loop;
    const char *const *argv;
    void (*on_end)(void *owner, bool ok, const char *why); /* the run is gone, free it not */
    void *owner;
};

/* ERR_NOMEM, or as child_start. */
enum err health_exec_start(const struct health_exec_options *o, struct health_exec **out) MUST_USE;
/* Kills it: on_end comes soon, unless it sleeps in the kernel where no signal reaches. */
void health_exec_kill(struct health_exec *e);
/* Kills it and forgets it. Never waits, NULL is fine. */
void health_exec_free(struct health_exec *e);

#endif
