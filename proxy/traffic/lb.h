/* Load balancing: picks an endpoint of an upstream.
 *
 * One worker's thread; never allocates; no clock. Eligible: status UP first; none of those:
 * UNREACHABLE or DOWN ones are still tried (a wrong control plane must not stop traffic), DRAINING
 * last. Endpoints in their avoid time are skipped while others are left. least-loaded: two random
 * choices, fewer in flight per weight wins (Mitzenmacher 2001), ties by coin. round-robin: smooth
 * weighted round robin.
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

/* Index into upstream->endpoint. ERR_NO_ENDPOINT: none left. */
enum err lb_pick(const struct lb_request *req, size_t *out) MUST_USE;

#endif
