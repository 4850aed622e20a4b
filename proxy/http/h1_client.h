/* HTTP/1.1 client: connections to local applications (RFC 9112).
 *
 * Worker thread; the upstream end of inbound HTTP exchanges. A connection serves one exchange at a
 * time and, when both sides allow it, waits idle for the next in the list of its service's endpoint
 * state, most recent first. An idle one that says anything is closed (C05), so is one after a
 * response that left bytes behind (C07) or came before its request had ended (C11).
 *
 * An application may close an idle connection just as it is used again: what may be repeated takes
 * any and is repeated once (exchange_steps), anything else only one that was used a moment ago.
 */
#ifndef PROXY_HTTP_H1_CLIENT_H
#define PROXY_HTTP_H1_CLIENT_H

#include "proxy/http/exchange.h"

/* Finds or opens a connection to ex->service for the exchange. ERR_OK: `up` is set; ERR_AGAIN:
 * exchange_connected or exchange_failed will come; ERR_NOMEM, ERR_FULL. */
enum err h1_client_open(struct exchange *ex) MUST_USE;
/* Closes the idle ones and cuts those in use. For the worker's end. */
void h1_client_close_all(struct context *ctx);

#endif
