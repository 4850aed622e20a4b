/* TCP server: a downstream connection of a local application to a TCP service.
 *
 * Worker thread. The session is an exchange that begins at accept, before the client has said
 * anything: many protocols let the server speak first. Bytes go both ways with half-close; a
 * session that cannot be carried ends with a reset.
 */
#ifndef PROXY_NET_TCP_SERVER_H
#define PROXY_NET_TCP_SERVER_H

#include "proxy/net/context.h"

struct plain_accepted;

/* Takes a connection to this upstream of the newest view. Closes it when there is no room. */
void tcp_server_open(struct context *ctx, const struct plain_accepted *take,
                     const struct snapshot_upstream *upstream);

#endif
