/* Replies: the answers the mesh itself gives, with a reason word (interface.md 4, 6.1).
 *
 *      HTTP/1.1 403 Forbidden
 *      parley-reason: denied_default
 *      parley-request-id: 01JD9C...
 *      content-type: application/json
 *
 *      {"error":"denied by the mesh","reason":"denied_default","id":"01JD9C..."}
 *
 * A gRPC call is answered in its own way (grpc.h). Worker thread.
 */
#ifndef PROXY_HTTP_REPLY_H
#define PROXY_HTTP_REPLY_H

#include "proxy/http/exchange.h"

/* Fills ex->resp and resp_body from ex->reason. False: a reason without an answer, or no memory. */
bool reply_make(struct exchange *ex);
/* The reason with that word; REASON_INTERNAL when there is none. */
enum reason reply_reason(struct span word);

#endif
