/* Retry: may a failed attempt be made again at another endpoint?
 *
 * Worker thread, outbound. Within `tries` attempts in all:
 *
 *   the response had begun                                  never
 *   the application cannot have seen the request            yes, with `on_connect`
 *   it may have, the endpoint died, and the request is a    once an exchange, with `on_reset`
 *   GET, HEAD or OPTIONS without a body (replay_safe)
 *   anything else                                           never
 *
 * A failure that is the client's or the request's own (client_gone, bad_request, a timeout of the
 * whole exchange) would be the same elsewhere and is final.
 */
#ifndef PROXY_FILTERS_RETRY_H
#define PROXY_FILTERS_RETRY_H

#include "proxy/filters/filter.h"

/* attempt_end: RETRY or NEXT. compile: ERR_NOMEM. */
extern const struct filter_ops retry_filter;

#endif
