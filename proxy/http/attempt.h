/* Attempts: what one try at an endpoint begins with, teaches and ends with.
 *
 * Worker thread. Outbound the balancer picks an endpoint; what comes back tells its state how
 * loaded and how quick it is, and its circuit whether it is well; and the edge's budget says
 * whether a failure may be repeated elsewhere. Inbound the endpoint is this host's application,
 * and each response head that leaves is stamped with how many requests wait for it
 * (traffic/load.h).
 */
#ifndef PROXY_HTTP_ATTEMPT_H
#define PROXY_HTTP_ATTEMPT_H

#include "proxy/http/exchange.h"

/* Begins the next attempt: its endpoint is in ex->attempt. ERR_NO_ENDPOINT: none is left. */
enum err attempt_begin(struct exchange *ex) MUST_USE;
/* The head is about to leave. */
void attempt_sent(struct exchange *ex);
/* A response head came from the endpoint. Its fields are as the far side sent them. */
void attempt_answered(struct exchange *ex);
/* The attempt failed as ex->attempt says; before it is dropped. */
void attempt_failed(struct exchange *ex);
/* The end of an attempt, however it went: it counts for its endpoint no more. */
void attempt_end(struct exchange *ex);

/* Outbound: whether an attempt that failed, or was answered with `status`, is to be made again: the
 * retry filter says so, and the edge pays for it. At another endpoint while there is one that was
 * not tried; then at those that were, if nobody said not to, and out of the budget alone. */
bool attempt_repeats(struct exchange *ex, unsigned status);
/* How long to wait before the next attempt: with jitter, and not at all when no application saw the
 * last one and the next is at another endpoint. */
uint64_t attempt_pause_ms(struct exchange *ex);

/* Inbound: the head in ex->resp is about to go to the calling host. */
void attempt_stamp(struct exchange *ex);

#endif
