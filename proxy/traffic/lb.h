/* Load balancing: picks an endpoint of an upstream.
 *
 * One worker's thread; never allocates; no clock. Candidates are the best rank that has an untried
 * endpoint, so that there is an answer while any is left:
 *
 *   UP > UP in its avoid time > DOWN or UNREACHABLE (a wrong control plane must not stop traffic)
 *   > those in their avoid time > DRAINING > DRAINING in its avoid time
 *
 * What the mesh says of an endpoint outranks what this worker alone saw.
 *
 *   least-loaded  two distinct draws, each by weight; the one with less load per weight wins: our
 *                 requests in flight and what its host said it serves for others (load.h). At a tie
 *                 one that takes twice as long loses, else the first wins, so that an idle service
 *                 sees its weights (Mitzenmacher 2001).
 *   peak-ewma     the same two draws; the lower load times peak latency wins.
 *   round-robin   smooth weighted round robin, ties by lot so that workers do not all begin with
 *                 the same endpoint.
 */
#ifndef PROXY_TRAFFIC_LB_H
#define PROXY_TRAFFIC_LB_H

#include "core/base/rng.h"
#include "proxy/snapshot/view.h"

#define LB_TRIED_MAX 5u

struct lb_request {
    const struct view *view;
    const struct snapshot_upstream *upstream;
    const uint64_t *tried; /* ids not to pick again */
    size_t tried_count;
    uint64_t now_ms;
    struct rng *rng;
};

/* Index into upstream->endpoint; counted in its picks_total. ERR_NO_ENDPOINT: all were tried, or
 * there is none. */
enum err lb_pick(const struct lb_request *req, size_t *out) MUST_USE;

#endif
