/* Pool: which mesh link an outbound exchange takes (performance.md 7.4).
 *
 * Worker thread. Links to an endpoint are listed at its state and belong to one address, source
 * identity and trust. The first link with fewer than POOL_STREAMS_MANY streams is taken, so that
 * requests share records; when all are that busy another is opened, up to POOL_LINKS_MAX, and
 * meanwhile the least loaded is taken. A link made with an identity or trust that the newest
 * snapshot no longer has drains.
 */
#ifndef PROXY_NET_POOL_H
#define PROXY_NET_POOL_H

#include "proxy/http/exchange.h"

#define POOL_STREAMS_MANY 100u
#define POOL_LINKS_MAX    4u

/* ERR_OK: ex->up is an open link; ERR_AGAIN: exchange_connected or exchange_failed will come; else
 * `*reason` says why there is none. */
enum err pool_checkout(struct exchange *ex, enum reason *reason) MUST_USE;
/* A new view is in place: links of identities that are gone drain. */
void pool_refresh(struct context *ctx);

#endif
