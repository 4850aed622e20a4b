/* HTTP/1.1 server: a downstream connection of a local application (RFC 9112).
 *
 * Worker thread. Keep-alive; pipelined requests are answered in order, read one at a time: while an
 * exchange is in progress the connection keeps what came behind it (at most one read buffer) and is
 * paused, so a client cannot make us hold more.
 *
 *      HEAD -> BODY -> WAIT -> HEAD ...        a request with a body, keep-alive
 *      HEAD ---------> WAIT -> TUNNEL          an upgrade the application agreed to
 *
 * A request that cannot be read is answered and the connection closed; so is one whose response is
 * complete before its body (A35): the rest is thrown away, never parsed as a request.
 */
#ifndef PROXY_HTTP_H1_SERVER_H
#define PROXY_HTTP_H1_SERVER_H

#include "proxy/net/context.h"

struct plain_accepted;

/* Takes a connection of the listener with this id. Closes it when there is no room. */
void h1_server_open(struct context *ctx, const struct plain_accepted *take, uint64_t listener_id);

#endif
