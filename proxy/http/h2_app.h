/* HTTP/2 applications: connections by prior knowledge (RFC 9113 3.3) to local applications of
 * protocol "h2" and "grpc".
 *
 * Worker thread; the upstream end of inbound exchanges, a back (mux_back.h) over TCP or a unix
 * socket. Streams share a connection; it takes the first only when the application's SETTINGS have
 * come, so that its limit on streams holds from the beginning and it is known whether it takes
 * extended CONNECT. Over that limit more connections are opened, up to H2_APP_CONNECTIONS_MAX, then
 * exchanges wait for a stream to end, as long as connecting may take.
 *
 * One without streams may rest for as long as one of HTTP/1.1 (traffic/keepalive.h): an application
 * that closes it without GOAWAY would take along what was just sent.
 */
#ifndef PROXY_HTTP_H2_APP_H
#define PROXY_HTTP_H2_APP_H

#include "proxy/http/exchange.h"

#define H2_APP_CONNECTIONS_MAX 4u /* a worker, to one application */
#define H2_APP_WAITING_MAX     1024u

/* Finds or opens a connection to ex->service for the exchange. ERR_OK: `up` is set; ERR_AGAIN:
 * exchange_connected or exchange_failed will come; else `*reason` says why there is none. */
enum err h2_app_open(struct exchange *ex, enum reason *reason) MUST_USE;
/* Cuts its exchanges and closes. For the worker's end. */
void h2_app_close_all(struct context *ctx);

#endif
