/* Outliers: which endpoints of an upstream are ejected, in the light of the others.
 *
 * One worker's thread; never allocates. Beside the failures in a row (circuit.h) an endpoint is
 * ejected when
 *
 *   rate      of at least 20 requests in 10 s so many failed, and of the others' less than half as
 *             many: what fails everywhere is not its fault
 *   latency   its mean time to answer is so many times that of the others; asked once a second
 *
 * At most `max` of the endpoints are ejected. When more circuits than that are open, it is not the
 * endpoints: all are held in rotation, nothing is spread over the few that are left, and requests
 * that fail are not repeated beyond the budget (edge_state.h: suspended).
 */
#ifndef PROXY_TRAFFIC_OUTLIER_H
#define PROXY_TRAFFIC_OUTLIER_H

#include "proxy/snapshot/view.h"

#define OUTLIER_REQUESTS_MIN 20u

/* A request ended at endpoint `at` of `u`: well, or in a failure that speaks against it. `probe` as
 * circuit_picked said. */
enum circuit_change outlier_report(const struct view *v, const struct snapshot_upstream *u,
                                   size_t at, bool ok, bool probe, uint64_t now_ms);

#endif
