/* Identity headers: taken off whatever crosses our boundary and set anew from what we know
 * (security.md G06, G08).
 *
 * Worker thread. At both boundaries and in both directions every `parley-` field goes, also when
 * spelled with '_', which CGI-style servers read alike; so do the forwarding and client-certificate
 * fields that servers take for identity: forwarded, x-forwarded-for, x-real-ip,
 * x-forwarded-client-cert, client-cert, client-cert-chain (RFC 7239, RFC 9440).
 *
 *   request,  outbound: + parley-request-id
 *   request,  inbound:  + parley-peer, parley-request-id, x-forwarded-for (the calling host)
 *   response, inbound:  all `parley-` fields of the application go
 *   response, outbound: + parley-request-id; the far side's parley-reason stays
 *
 * Each is added after its removal, so none stands twice.
 */
#ifndef PROXY_FILTERS_FILTER_HEADERS_H
#define PROXY_FILTERS_FILTER_HEADERS_H

#include "proxy/filters/filter.h"

/* request: NEXT, or REPLY with REASON_HEADERS_TOO_LARGE when there is no room for ours, or
 * REASON_INTERNAL when the arena is exhausted. response: NEXT, or REPLY with
 * REASON_PROTOCOL_ERROR when there is no room. */
extern const struct filter_ops filter_headers;

#endif
