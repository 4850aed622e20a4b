/* Request targets: one canonical form that is judged, matched and forwarded alike (RFC 3986 6.2,
 * security.md G01-G04).
 *
 * Any thread, pure. Canonical path: unreserved characters decoded, other percent-escapes in
 * upper-case hex, runs of '/' merged, then dot segments removed; canonicalising it again changes
 * nothing. Refused (ERR_INVALID) rather than guessed: %2F, %5C, %00, a raw backslash, raw bytes
 * below 0x21, 0x7f and above, '#', a bad escape, a path that climbs above the root, and a dot
 * segment with path parameters ("/..;x/"), which some servers read as "..". Other ';' parameters
 * are kept and never cut.
 *
 *   /a//b/./c/../%7Euser/%c3%a9?q=%41   ->   /a/b/~user/%C3%A9?q=%41
 *   |------------- path ------------|        |----- path ------|query|
 */
#ifndef CORE_WIRE_URI_H
#define CORE_WIRE_URI_H

#include "core/base/err.h"
#include "core/base/span.h"

struct uri_target {
    struct span path;  /* canonical, starts with '/', or "*" for OPTIONS * */
    struct span query; /* with its '?', or empty; bytes kept as they came */
};

/* Origin-form (or "*" when `options`). Writes the canonical target (path + query) into `out` (cap
 * >= target.len, not overlapping it), spans of which `*t` holds. ERR_INVALID; ERR_TOO_LARGE over
 * TARGET_BYTES_MAX or `cap`. */
enum err uri_canonical(struct span target, bool options, char *out, size_t cap,
                       struct uri_target *t) MUST_USE;
/* Absolute-form http://authority/path: splits off the authority; both are parts of `target`, or
 * `rest` is a static "/" for an empty path. ERR_INVALID for userinfo, another scheme, an empty
 * authority, or a query right behind the authority. */
enum err uri_absolute(struct span target, struct span *authority, struct span *rest) MUST_USE;
/* host[:port]: the host lower-cased into `out` (cap >= authority.len), one trailing dot cut (G04).
 * `*port` is 0 when there is none or it is a scheme's default (80, 443). A host is letters, digits,
 * '-', '_' and '.', or an IPv6 address in brackets; at most 255 bytes. ERR_INVALID: userinfo,
 * spaces, commas, bad port, empty, empty labels (B14). ERR_TOO_LARGE: over `cap`. */
enum err uri_authority(struct span authority, char *out, size_t cap, struct span *host,
                       uint16_t *port) MUST_USE;
/* Authority-form, the target of CONNECT (RFC 9112 3.2.3): as uri_authority, but a port must stand
 * there. */
enum err uri_tunnel(struct span authority, char *out, size_t cap, struct span *host) MUST_USE;

#endif
