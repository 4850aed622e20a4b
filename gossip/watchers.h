/* Watchers: the few members that are asked about a member when a probe of it fails (gossip.md 3.2
 * item 1).
 *
 * The WATCHERS alive members whose hash with the target is highest (rendezvous hashing, Thaler and
 * Ravishankar 1998): nodes with the same view choose the same ones, so that what several probers
 * find out about one target meets at the same places; who is suspect himself is not among them, and
 * the next in line takes his place. Where views differ, so do some watchers; nothing depends on it,
 * for any member may vote (suspicion.h).
 *
 * Gossip thread; a walk over the members, after a failed probe only.
 */
#ifndef GOSSIP_WATCHERS_H
#define GOSSIP_WATCHERS_H

#include "core/base/rng.h"
#include "gossip/member.h"

#define WATCHERS        8u
#define WATCHERS_LEEWAY 4u /* times so many are plausible */

/* The watchers of `target`, ourselves left out, highest hash first; how many. */
size_t watchers_of(const struct member_table *t, const struct member *target,
                   struct member *out[WATCHERS]);
/* Whether `accuser` may be a watcher of `target` in someone's view, among `alive` members: it
 * stands so high that the true ones are all but never left out, and few others are let in. */
bool watchers_plausible(const struct node_id *target, const struct node_id *accuser,
                        uint32_t alive);
/* `want` of them at random, so that one who is down is not asked each time; how many. */
size_t watchers_pick(const struct member_table *t, const struct member *target, struct rng *rng,
                     size_t want, struct member *out[WATCHERS]);

#endif
