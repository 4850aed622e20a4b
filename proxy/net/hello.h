/* Hello: a connection on the mesh port before anything is known of it (architecture.md 4).
 *
 * Worker thread. Reads the ClientHello, at most TLS_PEEK_BYTES_MAX bytes in at most a second, and
 * by its ALPN and SNI gives the connection away with all that was read:
 *
 *      a link, to SERVICE.MESH of one here -> link_server     other protocols -> the control thread
 *
 * Anything else is closed without a word: plaintext (G17), no hello, no ALPN (T15), an unknown
 * name.
 */
#ifndef PROXY_NET_HELLO_H
#define PROXY_NET_HELLO_H

#include "core/io/sock.h"
#include "proxy/net/context.h"

/* Takes an accepted descriptor. Closes it when there is no room. */
void hello_open(struct context *ctx, const struct sock_accepted *take);

#endif
