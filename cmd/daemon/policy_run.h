/* Policy run: what this host does with the mesh policy that gossip agrees on (gossip.md 3.7).
 *
 * Control thread. Gossip says which generation to judge and which to put in force; here its texts
 * become rules, are compiled with the host file as a trial, and swapped into the workers' snapshot.
 * Answers go back as events once the effects of the step are done. The host only checks signatures,
 * it never makes one.
 *
 *   VALIDATE(ref)  a trial in a child process (policy_trial.h), and when that has survived:
 *                  texts -> rules -> compile, thrown away      -> VERDICT ok | reason
 *   ACTIVATE(ref)  policy-trying written -> rules -> compile -> every worker's slot -> APPLIED
 *   STORE(bytes)   the file `policy`
 *
 * Crash guard: policy-trying names a generation from before it is put in force until it has been so
 * for POLICY_TRIAL_MS. A start that finds it counts itself there; the second one takes the
 * generation for the cause, reports it as failed and runs on the one before.
 */
#ifndef CMD_DAEMON_POLICY_RUN_H
#define CMD_DAEMON_POLICY_RUN_H

#include "cmd/daemon/daemon.h"
#include "core/model/policy.h"
#include "gossip/gossip_policy.h"

#define POLICY_TRIAL_MS         5000u
#define POLICY_TRIAL_STARTS_MAX 2u
#define POLICY_STORE_BYTES_MAX  (64u * 1024 * 1024)

struct policy_run;

enum err policy_run_new(struct daemon *d, struct policy_run **out) MUST_USE;
void policy_run_free(struct policy_run *p);
/* After the gossip machine was made and before the first snapshot: takes over what was in force
 * when the process ended, or with a generation that crashed it twice the one before. */
void policy_run_restore(struct policy_run *p);
/* The first snapshot is out: from now on activating means compiling. */
void policy_run_started(struct policy_run *p);

/* Hands in the first generation of operators that `init` left on its host, unless one is known. */
void policy_run_first_root(struct policy_run *p);

/* The rules in force; NULL: no mesh policy. Borrowed until the next activation. */
const struct policy_mesh *policy_run_rules(const struct policy_run *p);
/* What is in force here; gen 0: nothing. */
struct manifest_ref policy_run_active(const struct policy_run *p);

/* What a member says of the newest generation, for tables: "ok", "stale", "rejected", "waiting" and
 * so on; "-" where there is no mesh policy. `*gen` is what it has judged last. */
const char *policy_run_member_word(const struct policy_run *p, const struct gossip_member *m,
                                   uint64_t *gen);
/* Live members on which the newest generation is not in force. */
unsigned policy_run_stale(const struct policy_run *p);

/* Effects of gossip, in their order. True: it was one of these. */
bool policy_run_effect(struct policy_run *p, const struct gossip_effect *fx);
/* The next answer as an event, after the effects of a step; false: none. What it points to lives
 * until the next call. */
bool policy_run_answer(struct policy_run *p, struct gossip_event *out);

/* The texts of a generation as rules. ERR_NOT_FOUND: a text is not here; ERR_INVALID: said in
 * `diag`; ERR_NOMEM. The caller frees it. */
enum err policy_run_load(const struct gossip *g, const struct manifest_ref *ref, struct diag *diag,
                         struct policy_mesh **out) MUST_USE;

#endif
