/* PROXY protocol, versions 1 and 2 (HAProxy, "The PROXY protocol", 2020/03/05): a relay tells, in
 * front of a connection's bytes, who the connection really is from and to.
 *
 *   1   PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 CR LF          PROXY UNKNOWN [anything] CR LF
 *
 *   2   0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a | ver 2, cmd | family, transport | length 16 |
 *       cmd 1: from, to addresses, from, to ports (family 1: 12 bytes, 2: 36, 3: 216) | TLVs
 *
 * Any thread, pure, bounded, strict: what the text leaves to choice is refused when two readers
 * could read it in two ways (leading zeros, other white space, a datagram transport, TLVs that do
 * not fill their room, a wrong CRC32c).
 */
#ifndef CORE_WIRE_PROXY_PROTO_H
#define CORE_WIRE_PROXY_PROTO_H

#include "core/model/addr.h"

#define PROXY_PROTO_V1_BYTES_MAX 107u  /* section 2.1, CR LF included */
#define PROXY_PROTO_V2_BYTES_MAX 2048u /* as far as we follow TLVs */
#define PROXY_PROTO_EMIT_MAX     128u

struct proxy_proto {
    enum proxy_proto_version version;
    struct addr from, to; /* ADDR_NONE: not said (UNKNOWN, LOCAL, a unix socket) */
    size_t bytes;         /* of the header; what follows is the connection's */
};

/* ERR_MORE: give the same bytes and more; ERR_PROTOCOL: no such header; ERR_TOO_LARGE: more than
 * PROXY_PROTO_V2_BYTES_MAX. */
enum err proxy_proto_parse(struct span bytes, struct proxy_proto *out) MUST_USE;
/* Writes the header of a connection between these addresses; its length. Either is ADDR_NONE:
 * UNKNOWN, LOCAL. Of two families: the IPv4 address in its IPv6 form. */
size_t proxy_proto_emit(enum proxy_proto_version version, const struct addr *from,
                        const struct addr *to, char dst[PROXY_PROTO_EMIT_MAX]);

#endif
