/* Upgrades: what the WebSocket handshake of HTTP/1.1 (RFC 6455) has that that of HTTP/2 (RFC 8441)
 * has not: a key, and the proof that it was read.
 *
 *      client, HTTP/2                      between hosts                      application, HTTP/2
 *      (none)     -- upgrade_add_key -->  sec-websocket-key  -- upgrade_hide_key -->    (none)
 *      200      <- upgrade_check_proof -  sec-websocket-accept  <- upgrade_give_proof -    200
 *
 * Worker thread. Between hosts the handshake is that of HTTP/1.1; whoever has HTTP/2 at its edge
 * makes up the difference. An HTTP/1.1 client and an HTTP/1.1 application deal with each other.
 * CONNECT has no key; nothing is done for it here.
 */
#ifndef PROXY_HTTP_UPGRADE_H
#define PROXY_HTTP_UPGRADE_H

#include "proxy/http/exchange.h"

/* Gives the request of an HTTP/2 client a key. False: no room. */
bool upgrade_add_key(struct exchange *ex);
/* Was that key read? Takes the proof out of the response. */
bool upgrade_check_proof(struct exchange *ex);
/* Keeps the key of a request from an HTTP/2 application. */
void upgrade_hide_key(struct exchange *ex);
/* Answers that key, when there was one. False: no room. */
bool upgrade_give_proof(struct exchange *ex);

#endif
