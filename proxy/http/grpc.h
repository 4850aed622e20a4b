/* gRPC on top of HTTP/2, as far as a proxy takes part in it (the gRPC "PROTOCOL-HTTP2" document).
 *
 *      :status 200, content-type: application/grpc, grpc-status: 14, grpc-message, parley-reason
 *
 * Pure but for the exchange it is given; worker thread. An answer of the mesh's own is "trailers
 * only": one header section that ends the stream. A call's grpc-timeout is the deadline of its
 * exchange, from which every hop takes what it has used itself before it passes the rest on.
 */
#ifndef PROXY_HTTP_GRPC_H
#define PROXY_HTTP_GRPC_H

#include "core/model/reason.h"
#include "proxy/http/message.h"

#define GRPC_TIMEOUT_BYTES_MAX 9u /* eight digits and a unit */

struct exchange;

/* Sets req->grpc by its content-type and, of a gRPC call, moves a valid grpc-timeout to
 * req->timeout_ms. One that is not valid stays where it is, for the application to judge (F07). */
void grpc_request(struct request *req);
/* 1 to 8 digits and one of H M S m u n, as milliseconds, rounded up, at least one. */
bool grpc_timeout_parse(struct span value, uint64_t *ms);
/* The same back, rounded up where a coarser unit is needed; its length. */
size_t grpc_timeout_format(uint64_t ms, char out[GRPC_TIMEOUT_BYTES_MAX]);
/* What is left of the exchange's deadline, at least 1; 0: it has none. */
uint64_t grpc_left_ms(const struct exchange *ex);
/* The gRPC status code of the mesh's own answer. */
unsigned grpc_status(enum reason reason);

/* The application's grpc-status, in a head or in trailers that go to the caller. What is no number
 * counts as UNKNOWN, as it does for callers. */
void grpc_note(struct exchange *ex, const struct headers *h);
/* How the call ended for its caller: as noted; or for the mesh's reason; or, of an answer without a
 * status, as its HTTP status says (gRPC's "HTTP to gRPC status code mapping"). */
unsigned grpc_outcome(const struct exchange *ex);

#endif
