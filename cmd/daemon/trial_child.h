/* The trial's child: this program run again to do with a generation of policy what the agent would
 * do, so that what crashes dies here (policy_trial.h).
 *
 * A process of its own, without threads, bounded in time and memory. Reads
 *
 *   [ [[file str, text bin]...] host file, [[file str, text bin]...] mesh policy ]      msgpack
 *
 * on stdin, loads both, compiles the snapshot, and judges requests that the rules speak of, and
 * some that no honest client sends. What the rules say about them does not matter, nor whether they
 * load: the agent finds that out by itself and says why. It matters that this ends.
 */
#ifndef CMD_DAEMON_TRIAL_CHILD_H
#define CMD_DAEMON_TRIAL_CHILD_H

#include <stdbool.h>

#include "core/base/strbuf.h"
#include "core/wire/config_load.h"

#define TRIAL_CHILD_WORD    "policy-trial" /* the one argument; no verb for people */
#define TRIAL_CHILD_CPU_S   4u
#define TRIAL_CHILD_ALARM_S 90u /* should its parent be gone */

/* What the child reads. ERR_NOMEM. */
enum err trial_child_write(const struct config_text *host, size_t host_count,
                           const struct config_text *mesh, size_t mesh_count,
                           struct strbuf *out) MUST_USE;
/* Does it with that input, and tells how many requests were judged. ERR_OK: survived, also where
 * the texts are wrong; ERR_INVALID: not such an input; ERR_NOMEM. */
enum err trial_child_judge(struct span input, uint32_t *judged) MUST_USE;
/* Whether main was called to be one; if so, what it is to return. */
bool trial_child_asked(int argc, char **argv);
int trial_child_run(void);

#endif
