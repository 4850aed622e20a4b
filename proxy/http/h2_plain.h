/* HTTP/2 plain server: a local client that speaks HTTP/2 by prior knowledge (RFC 9113 3.3) to the
 * listener of an upstream, where others speak HTTP/1.1.
 *
 *      PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n SETTINGS ...
 *      |-- H2_PLAIN_HEAD --|                         as HTTP/1.1 a complete head: h1_server sees it
 *
 * Worker thread. The first bytes decide, no timer does. Each stream is an outbound exchange of its
 * own. What is idle too long is told to go (GOAWAY) and closed.
 */
#ifndef PROXY_HTTP_H2_PLAIN_H
#define PROXY_HTTP_H2_PLAIN_H

#include "core/io/conn.h"
#include "proxy/net/session.h"

/* The preface as far as it is a head of HTTP/1. */
#define H2_PLAIN_HEAD "PRI * HTTP/2.0\r\n\r\n"

/* Takes over a connection of the listener with this id, whose session `old` ends here. `behind`:
 * what was read behind the head. Closes it when there is no room. */
void h2_plain_open(struct session *old, struct conn *take_conn, uint64_t listener_id,
                   struct span behind);

#endif
