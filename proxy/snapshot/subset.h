/* Subsets: which endpoints of an upstream this host draws from.
 *
 * Control thread, at snapshot build. Per group of a split two pools of endpoints that are up: near,
 * in this host's zone, and far. Requests stay near while at least 70 % of the near ones are up;
 * below, a share goes far, in proportion.
 *
 *      near up / near    100 %   70 %   35 %   0 %
 *      stay near         100 %  100 %   50 %   0 %
 *
 * A pool holds at most `aperture` endpoints, so that the links of a host stay few however many
 * there are: those with the highest rendezvous score of (this node, endpoint) (Thaler and
 * Ravishankar 1998), which spreads callers over endpoints, and changes one of them when one comes
 * or goes. Workers share such a pool out (lb.h). The balancer goes beyond its pools only when
 * nothing in them will do.
 */
#ifndef PROXY_SNAPSHOT_SUBSET_H
#define PROXY_SNAPSHOT_SUBSET_H

#include "proxy/snapshot/snapshot.h"

#define SUBSET_HEALTHY_PERCENT 70u

/* Fills group, group_count and panic of `to`, whose endpoints are in place with their group and
 * zone. `self`: a stable hash of this node. ERR_NOMEM. */
enum err subset_build(const struct config_upstream *from, uint64_t self, struct arena *arena,
                      struct snapshot_upstream *to) MUST_USE;
/* The group of an endpoint with these tags: of the first part of the split that they satisfy. */
uint32_t subset_group(const struct config_upstream *u, const struct service_tag *tag,
                      uint32_t tag_count);
/* Whether an endpoint with these tags has all of `want`. */
bool subset_tagged(const struct service_tag *want, uint32_t want_count,
                   const struct service_tag *tag, uint32_t tag_count);

#endif
