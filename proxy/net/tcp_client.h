/* TCP client: the upstream end of an inbound TCP session: a connection to the local application.
 *
 * Worker thread. Connected is answered to the caller at once (200 to its CONNECT), then bytes go
 * both ways with half-close.
 */
#ifndef PROXY_NET_TCP_CLIENT_H
#define PROXY_NET_TCP_CLIENT_H

#include "proxy/http/exchange.h"

/* Connects to ex->service for the exchange. ERR_AGAIN: exchange_connected or exchange_failed will
 * come; ERR_NOMEM, ERR_FULL. */
enum err tcp_client_open(struct exchange *ex) MUST_USE;

#endif
