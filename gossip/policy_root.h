/* The chain of roots: who may sign (gossip.md 3.4, 3.6).
 *
 * Gossip thread. Contiguous from generation 1. At the first generation in which two chains differ,
 * the child by the more senior signer under their common parent stays, then that of the lower hash:
 * nobody who was removed can outrun the one who removed them.
 */
#ifndef GOSSIP_POLICY_ROOT_H
#define GOSSIP_POLICY_ROOT_H

#include "gossip/policy.h"

/* Takes a root that is well-formed. */
enum policy_refusal policy_root_take(struct gossip *g, struct span wire, const struct manifest *m,
                                     const struct manifest_hash *hash, struct member *from);
/* Appends one without judging it: from our own store. */
bool policy_root_append(struct policy *p, struct span wire, const struct manifest *m,
                        const struct manifest_hash *hash);
void policy_root_fini(struct policy *p);
/* Whether `ref` is on the chain. */
bool policy_root_has(const struct policy *p, const struct manifest_ref *ref);

#endif
