/* Local: a call between two services of this host, without the wire (architecture.md 4).
 *
 * Worker thread. The outbound exchange's upstream is an inbound exchange, whose downstream is the
 * outbound one; both run their filters, metrics and log lines as if a link lay between.
 *
 *      application -> [ outbound ] --up--> [ inbound ] -> application
 *                                 <-down--
 */
#ifndef PROXY_HTTP_LOCAL_H
#define PROXY_HTTP_LOCAL_H

#include "proxy/http/exchange.h"

/* Gives the exchange an inbound one as its upstream. ERR_OK, ERR_NOMEM. */
enum err local_open(struct exchange *out) MUST_USE;

#endif
