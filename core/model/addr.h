/* Addresses: an IPv4 or IPv6 address and a port, or the path of a unix socket, as plain comparable
 * data.
 *
 * Any thread. Owns nothing. Text form: "10.0.0.1:7400", "[fd00::1]:7400", "unix:/run/web.sock". No
 * names are resolved here.
 */
#ifndef CORE_MODEL_ADDR_H
#define CORE_MODEL_ADDR_H

#include "core/base/err.h"
#include "core/base/span.h"

enum addr_family { ADDR_NONE, ADDR_IP4, ADDR_IP6 };

struct addr {
    uint8_t ip[16]; /* network order; IPv4 in the first 4, the rest zero */
    uint16_t port;  /* host order */
    uint8_t family; /* enum addr_family */
};

#define ADDR_UNIX_PATH_MAX 107u
#define ADDR_TEXT_MAX      128u /* any text form with its NUL */

/* Where a local application listens: an address, or a path when path[0] != 0. */
struct target {
    struct addr addr;
    char path[ADDR_UNIX_PATH_MAX + 1];
};

/* What a relay says in front of a connection (wire/proxy_proto.h). */
enum proxy_proto_version { PROXY_PROTO_NONE, PROXY_PROTO_V1, PROXY_PROTO_V2 };

bool addr_eq(const struct addr *a, const struct addr *b);
/* Same host; ports ignored. */
bool addr_same_ip(const struct addr *a, const struct addr *b);
/* "IP", "IP:PORT" or "[IP6]:PORT"; `default_port` when there is none (then port 0 must be meant:
 * pass 0 to require one). ERR_INVALID: not an address literal. */
enum err addr_parse(struct span text, uint16_t default_port, struct addr *out) MUST_USE;
/* Writes the text form, NUL-terminated; returns `dst`. */
char *addr_format(const struct addr *a, char dst[ADDR_TEXT_MAX]);
/* The same in `text`; returns the address alone, a part of it: "10.0.0.2", "fd00::2". */
struct span addr_format_ip(const struct addr *a, char text[ADDR_TEXT_MAX]);
/* 127.0.0.0/8, ::1. */
bool addr_is_loopback(const struct addr *a);
bool addr_is_any(const struct addr *a);
/* Not unicast for a mesh: unspecified, multicast, broadcast, link-local 169.254/16 and fe80::/10
 * (M11). */
bool addr_is_forbidden(const struct addr *a);
/* "unix:/path" or an address with a port. */
enum err addr_target_parse(struct span text, struct target *out) MUST_USE;
char *addr_target_format(const struct target *t, char dst[ADDR_TEXT_MAX]);
bool addr_target_eq(const struct target *a, const struct target *b);

#endif
