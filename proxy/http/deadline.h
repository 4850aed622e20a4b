/* Deadlines along a chain of calls, and what each hop lets the others know of retries.
 *
 * Worker thread. A request has until `request_timeout` of the upstream it first went to, or the
 * gRPC caller's grpc-timeout; what is left of that goes with it. Each host notes it by the trace of
 * the request (net/lineage.h), so calls that the application makes for it have no more time than it
 * has itself. Work whose time is over is refused (deadline_expired) before an application sees it.
 *
 *   request   parley-deadline-ms: 14950  milliseconds left
 *             parley-attempt: 2          an earlier attempt may have reached the application: hops
 *                                        further in repeat nothing that one may have seen
 *   response  parley-retry: no           an answer of 500 or more that comes of a call further in,
 *                                        which was repeated there if it could be
 */
#ifndef PROXY_HTTP_DEADLINE_H
#define PROXY_HTTP_DEADLINE_H

#include "proxy/http/exchange.h"

/* A request begins: sets its deadline. REASON_DEADLINE_EXPIRED, or REASON_NONE. */
enum reason deadline_begin(struct exchange *ex);
/* Outbound: adds the fields to ex->req. False: no room. */
bool deadline_stamp_request(struct exchange *ex);
/* The head in ex->resp is about to go down: outbound a failure is noted; inbound parley-retry is
 * added where it is due. */
void deadline_stamp_response(struct exchange *ex);
/* Outbound, of a response head as it came: whether it is to be had no second time. */
bool deadline_says_final(const struct response *resp);
/* The exchange is over. */
void deadline_end(struct exchange *ex);

#endif
