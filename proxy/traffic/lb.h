/* Load balancing: picks an endpoint of an upstream.
 *
 * One worker's thread; never allocates; no clock. First the group of a split, by lot or by hash;
 * then, for the policies that draw, its near or far pool (snapshot/subset.h). Within it the best
 * rank counts, and where no one of the pool is UP and well, all endpoints of the upstream are
 * looked at, so that there is an answer while any is left. A pool that the aperture cut is shared
 * out among the workers, LB_SLICE_MIN endpoints each at least, since each has links of its own: a
 * worker looks at its slice, then at the pool, then at all.
 *
 *   UP > UP, but in its avoid time or ejected (circuit.h) > DOWN or UNREACHABLE (a wrong control
 *   plane must not stop traffic) > those, avoided or ejected > DRAINING > those, avoided or
 *   ejected; at equal rank those of the group first
 *
 * What the mesh says of an endpoint outranks what this worker alone saw. In a panic (too few up)
 * DOWN and UNREACHABLE count as UP.
 *
 *   least-loaded  two distinct draws, each by weight; the one with less load per weight wins: our
 *                 requests in flight and what its host said it serves for others (load.h). At a tie
 *                 under load one that takes twice as long loses, else the first wins, so that an
 *                 idle service sees its weights (Mitzenmacher 2001).
 *   peak-ewma     the same two draws; the lower load times peak latency wins.
 *   round-robin   the next one, from a place by lot on, so that workers do not all begin with the
 *                 same endpoint. One of half the largest weight is passed over every other time:
 *                 a pick looks at one endpoint where weights are alike, at most at each once.
 *   hash, ring    the endpoint of the hash (lb_table.h) of all that are UP, zones aside; one that
 *                 has a quarter more than its share in flight is passed over (Mirrokni 2018).
 *                 Without a hash: as least-loaded.
 *
 * Slow start: the weight of an endpoint that has just come up beside others grows from a tenth to
 * the whole.
 */
#ifndef PROXY_TRAFFIC_LB_H
#define PROXY_TRAFFIC_LB_H

#include "core/base/rng.h"
#include "proxy/snapshot/view.h"

#define LB_TRIED_MAX 5u
#define LB_SLICE_MIN 5u /* two draws are to have a choice, and retries */

struct lb_request {
    const struct view *view;
    const struct snapshot_upstream *upstream;
    const uint64_t *tried; /* ids not to pick again */
    size_t tried_count;
    bool hashed; /* the request has what a hash policy goes by */
    uint64_t hash;
    uint32_t worker, workers; /* who asks, of how many; 0 of 0: one who has all to itself */
    uint64_t now_ms;
    struct rng *rng;
};

/* Index into upstream->endpoint; counted in its picks_total. ERR_NO_ENDPOINT: all were tried, or
 * there is none. */
enum err lb_pick(const struct lb_request *req, size_t *out) MUST_USE;

#endif
