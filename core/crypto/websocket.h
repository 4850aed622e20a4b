/* The WebSocket handshake's proof that a server read the client's key (RFC 6455 4.2.2 item 5.4).
 *
 *      accept = base64(SHA-1(key 258EAFA5-E914-47DA-95CA-C5AB0DC85B11))
 *
 * Any thread, pure. No security rests on it: it keeps caches and servers that know nothing of
 * WebSockets from agreeing by accident.
 */
#ifndef CORE_CRYPTO_WEBSOCKET_H
#define CORE_CRYPTO_WEBSOCKET_H

#include "core/base/rng.h"
#include "core/base/span.h"

#define WEBSOCKET_KEY_BYTES    24u
#define WEBSOCKET_ACCEPT_BYTES 28u

/* A fresh key: 16 bytes of `rng` in base64, and a NUL. */
void websocket_key(struct rng *rng, char out[WEBSOCKET_KEY_BYTES + 1]);
/* The accept value for `key`, and a NUL. */
void websocket_accept(struct span key, char out[WEBSOCKET_ACCEPT_BYTES + 1]);

#endif
