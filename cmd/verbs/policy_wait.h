/* Policy wait: follows a generation until it is in force on every live member, or will not be.
 *
 * Main thread of a command. Asks the agent every POLICY_WAIT_POLL_MS for what members say of the
 * generation; the first sight of each one's answer is its time.
 */
#ifndef CMD_VERBS_POLICY_WAIT_H
#define CMD_VERBS_POLICY_WAIT_H

#include "cmd/client.h"
#include "core/model/manifest.h"

#define POLICY_WAIT_POLL_MS 25u

enum policy_wait_end {
    POLICY_WAIT_ACTIVE,  /* on every live member but those that may fail */
    POLICY_WAIT_STOPPED, /* refused, rolled back or reverted */
    POLICY_WAIT_LOST,    /* another generation of the same number won, or a later one came */
    POLICY_WAIT_LATE     /* the time limit passed */
};

struct policy_wait_node {
    const char *name;
    const char *state; /* valid, applied, rejected, stale, silent, ...: gossip/status.h */
    const char *reason;
    uint64_t ms; /* after the start, when it was first seen applied */
    bool applied, live;
};

struct policy_wait {
    struct arena arena; /* owned: the texts */
    struct policy_wait_node *node;
    size_t count, cap;
    struct manifest_ref head, active;
    const char *own;       /* what the agent itself does with it */
    const char *waits_for; /* why the rollout does not go on; "" */
    const char *head_author;
    enum policy_wait_end end;
};

/* Where the plan allows some members to refuse or to be silent, and all others have it, that is
 * the end too; each of them is named on stderr.
 *
 * Follows `ref`; with `print` each member's line goes to stdout as it comes. EXIT_DONE, EXIT_FAILED
 * or EXIT_TIMED_OUT after `w->end`, said on stderr; or the agent did not answer. End it with
 * policy_wait_fini. */
enum verb_exit policy_wait_run(const struct verb_ctx *ctx, const struct manifest_ref *ref,
                               bool print, struct policy_wait *w);
void policy_wait_fini(struct policy_wait *w);

#endif
