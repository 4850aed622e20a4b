/* Node records on the wire: `struct node_record` as a MessagePack array, the body that its owner
 * signs and gossip carries unread.
 *
 * Any thread. Allocates nothing. Strict about what it knows: names valid, texts printable UTF-8
 * within their bounds, no service or tag key twice, at most NODE_SERVICES_MAX services. Open to
 * what it does not know: items behind the known ones are ignored at every level, and a service of a
 * protocol of a newer version is left out.
 *
 *   [ node, zone or "", version, cert_not_after_s, flags, [service...], ... ]
 *       flags: bit 0 draining, bit 1 signer; others ignored
 *   service: [ name, protocol, health, flags, weight, [key, value, key, value...], ... ]
 *       protocol: 0 http, 1 tcp, 2 h2, 3 grpc; health: 0 unknown, 1 up, 2 down;
 *       flags: bit 0 draining, bit 1 the protocol is a default, bit 2 it was learned
 */
#ifndef CORE_WIRE_PACK_RECORD_H
#define CORE_WIRE_PACK_RECORD_H

#include "core/model/record.h"

/* Writes `r` into `dst` of `cap` bytes; the bytes used in `*len`. ERR_TOO_LARGE: no room;
 * ERR_INVALID: not a record (what pack_record_decode would refuse). */
enum err pack_record_encode(const struct node_record *r, void *dst, size_t cap,
                            size_t *len) MUST_USE;

/* Reads an untrusted `body`. ERR_INVALID: malformed, a bad or repeated name, too many services;
 * ERR_TOO_LARGE: over RECORD_BODY_BYTES_MAX or too many values; ERR_RANGE: a number. `*out` is
 * large, so it is built in place: on failure it is a record without services and names. */
enum err pack_record_decode(struct span body, struct node_record *out) MUST_USE;

#endif
