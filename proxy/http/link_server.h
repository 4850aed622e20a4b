/* Link server: a mesh link from another host, for one of our services (architecture.md 4), in the
 * link frame or, of a host that does not know it, in HTTP/2.
 *
 * Worker thread. Which service is the link's SNI, who calls is the SPIFFE ID of its client
 * certificate; each stream is an inbound exchange. When the service's identity or the trust
 * changes, the service goes or the host drains, the link ends gracefully in two steps: nothing in
 * flight is cut.
 */
#ifndef PROXY_HTTP_LINK_SERVER_H
#define PROXY_HTTP_LINK_SERVER_H

#include "proxy/net/context.h"

/* Takes an accepted mesh connection of which `seen` was read. `service` is of the current view and
 * has an identity. Closes the descriptor when there is no room. */
void link_server_open(struct context *ctx, int take_fd, const struct snapshot_service *service,
                      struct span seen);

#endif
