/* Admission: an inbound exchange waits its turn where its service has limits (traffic/gate.h).
 *
 * Worker thread. Each worker keeps a queue of its own at the service's endpoint state, first come
 * first served; together they are at most as long as the limit says. Who leaves wakes the next of
 * the same worker; a place that another worker gave back is found within ADMISSION_LOOK_MS. A queue
 * that is full, or a wait that is too long, is an answer of 503 (overloaded); more than the rate is
 * 429 (rate_limited). Neither has reached the application.
 */
#ifndef PROXY_HTTP_ADMISSION_H
#define PROXY_HTTP_ADMISSION_H

#include "proxy/http/exchange.h"

#define ADMISSION_LOOK_MS 5u

/* REASON_NONE: `*admitted` says whether it may go on or waits in EX_ADMIT; else why not. */
enum reason admission_try(struct exchange *ex, bool *admitted);
/* The exchange is over, admitted or not: gives its place to the next. */
void admission_end(struct exchange *ex);

#endif
