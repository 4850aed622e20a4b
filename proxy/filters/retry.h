/* Retry: may a failed attempt be made again at another endpoint?
 *
 * Worker thread, outbound. Within `tries` attempts in all:
 *
 *   the response had begun                                  never
 *   the application cannot have seen the request            yes, with `connect`
 *   it may have, and the request is a GET, HEAD or OPTIONS
 *   without a body, or idempotent_only = false:
 *     the endpoint died                                     once an exchange, with `reset`
 *     try_timeout passed                                    with `timeout`
 *     it answered with a status of `on`                     yes
 *     ... and a hop further in or out repeats already       never
 *   anything else                                           never
 *
 * A failure that is the client's or the request's own (client_gone, bad_request, a timeout of the
 * whole exchange) would be the same elsewhere and is final. The budget is asked afterwards
 * (http/attempt.h).
 */
#ifndef PROXY_FILTERS_RETRY_H
#define PROXY_FILTERS_RETRY_H

#include "proxy/filters/filter.h"

/* attempt_end: RETRY or NEXT. compile: ERR_NOMEM. */
extern const struct filter_ops retry_filter;

#endif
