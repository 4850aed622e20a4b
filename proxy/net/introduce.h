/* Introduce: the PROXY header that an application wants in front of each connection of ours.
 *
 * Worker thread. A TCP session has its connection for itself, and the header names its client: the
 * address that the caller's host named, or else that host's. Connections of HTTP carry requests of
 * many callers: their header names nobody (each request has x-forwarded-for). A failed write is
 * told by the connection itself.
 */
#ifndef PROXY_NET_INTRODUCE_H
#define PROXY_NET_INTRODUCE_H

#include "core/io/conn.h"
#include "proxy/snapshot/snapshot.h"

/* Nothing, when `service` wants none. */
void introduce_client(struct conn *c, const struct snapshot_service *service,
                      const struct addr *client);
void introduce_nobody(struct conn *c, const struct snapshot_service *service);

#endif
