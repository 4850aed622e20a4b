/* Preface: a connection of a local listener whose first bytes say where it is from or where to.
 *
 * Worker thread. Reads, in at most PREFACE_TIMEOUT_MS, what the listener asks for, and gives the
 * connection to the server of its protocol, with all that stands behind:
 *
 *      [ PROXY header ] [ ClientHello ] ...
 *
 * `proxy_protocol`: the header is required, taken off, and names the client. TLS: the SNI chooses
 * the upstream, and the hello stays.
 *
 * Bytes that are not what was asked for close the connection (bad_preface). An SNI that nobody
 * wants, or none, is answered with the alert unrecognized_name (RFC 6066 3).
 */
#ifndef PROXY_NET_PREFACE_H
#define PROXY_NET_PREFACE_H

#include "core/io/sock.h"
#include "proxy/net/context.h"

#define PREFACE_TIMEOUT_MS 3000u

/* Takes an accepted connection of the listener with this id. Closes it when there is no room. */
void preface_open(struct context *ctx, const struct sock_accepted *take, uint64_t listener_id);

#endif
