/* Choosing the head: which of what is held is valid, connected, complete and newest, what of it is
 * the chain and what a sibling (policy.h).
 *
 * Gossip thread.
 */
#ifndef GOSSIP_POLICY_HEAD_H
#define GOSSIP_POLICY_HEAD_H

#include "gossip/policy.h"

/* After roots, manifests, texts or confirmations have changed. What is no longer valid is dropped.
 * True: the head is another one. */
bool policy_head_choose(struct gossip *g);
/* Whether something held lacks its parent or a text. */
bool policy_head_lacks(const struct policy *p);
/* What the digest says of policy: equal at nodes that know the same; 0: nothing. */
uint64_t policy_head_print(const struct gossip *g);
/* Whether the newest root pins `hash`, or something held that came of it: then it is good whoever
 * signed it, and its hash is signature enough. */
bool policy_head_is_pinned(const struct policy *p, const struct manifest_hash *hash);

#endif
