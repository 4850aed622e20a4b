/* Reads SNI and ALPN from a TLS ClientHello before any engine exists (RFC 8446 4.1.2, RFC 6066 3,
 * RFC 7301).
 *
 * Any thread, pure, bounded: looks at no more than TLS_PEEK_BYTES_MAX bytes, over at most 4
 * records.
 */
#ifndef CORE_WIRE_TLS_PEEK_H
#define CORE_WIRE_TLS_PEEK_H

#include "core/base/err.h"
#include "core/base/span.h"

#define TLS_PEEK_BYTES_MAX 8192u
#define TLS_PEEK_ALPN_MAX  8u

struct tls_peek {
    char sni[256]; /* lower-cased, NUL-terminated; "" when absent */
    unsigned alpn_count;
    char alpn[TLS_PEEK_ALPN_MAX][32]; /* longer or further ones are left out */
};

/* ERR_MORE: give the same bytes and more; ERR_PROTOCOL: not a ClientHello; ERR_TOO_LARGE. */
enum err tls_peek_hello(struct span bytes, struct tls_peek *out) MUST_USE;
bool tls_peek_offers(const struct tls_peek *p, const char *alpn);

#endif
