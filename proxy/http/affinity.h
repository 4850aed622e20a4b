/* Affinity: what a hash policy goes by, of one request.
 *
 * Worker thread, no allocation. The hash has a fixed key, so that all hosts send one user to the
 * same endpoint.
 */
#ifndef PROXY_HTTP_AFFINITY_H
#define PROXY_HTTP_AFFINITY_H

#include "proxy/http/exchange.h"

/* False: the upstream's policy is no hash, or the request lacks the header, the cookie (RFC 6265
 * 5.4), or a client address. */
bool affinity_hash(const struct exchange *ex, uint64_t *hash);

#endif
