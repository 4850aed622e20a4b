/* What of policy outlives the process, as one opaque blob for the driver to store.
 *
 *   hash32 of the rest ||
 *   [ 1, [root bin, ...], [[signed bin, flags, activated_ms, confirm bin | nil], ...], [text bin,
 * ...] ] flags: 1 applied, 2 rejected, 4 stopped, 8 reverted
 *
 * Gossip thread.
 */
#ifndef GOSSIP_POLICY_STORE_H
#define GOSSIP_POLICY_STORE_H

#include "core/base/span.h"
#include "gossip/gossip.h"

/* Pushes POLICY_STORE; false: no room or memory now. */
bool policy_store_push(struct gossip *g);
/* Takes up a blob, before the first step. False: damaged or not ours; then nothing is taken. */
bool policy_store_restore(struct gossip *g, struct span blob);

#endif
