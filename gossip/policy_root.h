/* The chain of roots: who may sign (gossip.md 3.4, 3.6).
 *
 * Gossip thread. Contiguous from generation 1. Of two chains the one stays that has, from where
 * they differ first, the most senior signature on any root (seniority.h); then more of it, then the
 * next, so that of equals the longer one stays; then that of the lower hash where they differ
 * first. Nobody who was removed can undo what the one who removed them signed, from however far
 * back, unless they were the more senior. That is so for ever, not only while the removal is young:
 * a rule that looked at when something was first seen, or how many have it, would tell members that
 * were away or come later another story than those that were there, and they would never agree. It
 * also lets the senior undo what a thief of a junior key does, however late they notice. For the
 * other case there is the issuer, who is above all operators: what it signs, on top of the last
 * root that it signed, outranks whatever operators have signed or will (`parley operator settle`).
 * The chain is then no longer than that, so that nobody fills it for good.
 *
 *   - 1 - 2 - 3 - 4 - 5     ours: 4 was signed by the first operator
 *           `-- x - y       a branch by the third: it loses, however long
 *
 * What has not won yet may when more of it is known. So the branch of the member we pull from is
 * gathered, one at a time, and compared as it grows.
 */
#ifndef GOSSIP_POLICY_ROOT_H
#define GOSSIP_POLICY_ROOT_H

#include "gossip/policy.h"

/* Takes a root that is well-formed. POLICY_FORK_LOST: ours stays, for what is known of theirs. An
 * intent (`from` NULL) that is not on top of ours has to be by somebody more senior. */
enum policy_refusal policy_root_take(struct gossip *g, struct span wire, const struct manifest *m,
                                     const struct manifest_hash *hash, struct member *from);
/* Appends one without judging it: from our own store. */
bool policy_root_append(struct gossip *g, struct span wire, const struct manifest *m,
                        const struct manifest_hash *hash);
void policy_root_fini(struct policy *p);
/* Whether `ref` is on the chain. */
bool policy_root_has(const struct policy *p, const struct manifest_ref *ref);
/* Or on the branch that is gathered. */
bool policy_root_knows(const struct policy *p, const struct manifest_ref *ref);
/* From now on the branch of `from` is gathered, and that of nobody else. */
void policy_root_gather(struct gossip *g, const struct member *from);

#endif
