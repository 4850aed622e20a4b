/* Attempts: what one try at an endpoint begins with, teaches and ends with.
 *
 * Worker thread. Outbound the balancer picks an endpoint, and what comes back tells its state how
 * loaded and how quick it is; inbound the endpoint is this host's application, and each response
 * head that leaves is stamped with how many requests wait for it (traffic/load.h).
 */
#ifndef PROXY_HTTP_ATTEMPT_H
#define PROXY_HTTP_ATTEMPT_H

#include "proxy/http/exchange.h"

/* Begins the next attempt: its endpoint is in ex->attempt. ERR_NO_ENDPOINT: none is left. */
enum err attempt_begin(struct exchange *ex) MUST_USE;
/* Outbound: a response head came from the endpoint. Its fields are as the far side sent them. */
void attempt_answered(struct exchange *ex);
/* The end of an attempt, however it went: it counts for its endpoint no more. */
void attempt_end(struct exchange *ex);
/* Inbound: the head in ex->resp is about to go to the calling host. */
void attempt_stamp(struct exchange *ex);

#endif
