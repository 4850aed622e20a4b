/* Policy trial: a generation is loaded, compiled and used in a child process before this one
 * touches it, on every host, before one has it in force (gossip.md 3.7).
 *
 * Control thread. What crashes, hangs or grows without end does so in the child (trial_child.h);
 * the host then refuses the generation, which stops its rollout. One at a time; a new one ends the
 * old.
 *
 *   VALIDATE --> child --survives--> compile here --> VERDICT ok | reason
 *                  `--crashes, or takes TRIAL_CHILD_CPU_S or POLICY_TRIAL_WAIT_MS --> VERDICT no
 */
#ifndef CMD_DAEMON_POLICY_TRIAL_H
#define CMD_DAEMON_POLICY_TRIAL_H

#include "core/io/child.h"
#include "core/io/loop.h"
#include "core/model/manifest.h"

/* The child bounds its own processor time; this is for one that is given none. */
#define POLICY_TRIAL_WAIT_MS      60000u
#define POLICY_TRIAL_REASON_BYTES 96u

struct policy_trial {
    struct loop *loop; /* borrowed */
    uint32_t wait_ms;  /* it takes longer: it hangs */
    /* It is over: NULL, it survived; else how it did not. May start another. */
    void (*on_end)(struct policy_trial *t, const char *died);
    struct manifest_ref ref; /* of the caller */
    struct child child;
    struct loop_io io;
    struct loop_timer timer;
};

/* Zero `t` with loop, wait_ms and on_end set. Runs `program` with the child's `input`. Errors of
 * child_start; then on_end is not called. */
enum err policy_trial_start(struct policy_trial *t, const char *program,
                            struct span input) MUST_USE;
/* Ends it without a word. */
void policy_trial_stop(struct policy_trial *t);

#endif
