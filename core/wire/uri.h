/* Request targets: one canonical form that is judged, matched and forwarded alike (RFC 3986 6.2,
 * security.md G01-G04).
 *
 * Any thread, pure. Canonical path: unreserved characters decoded, other percent-escapes in
 * upper-case hex, dot segments removed, runs of '/' merged. Refused (ERR_INVALID) rather than
 * guessed: %2F, %5C, %00, backslash, ';' path parameters are kept but never cut, raw bytes below
 * 0x21, 0x7f and above, '#', a bad escape, a path that climbs above the root.
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
 * >= target.len), spans of which `*t` holds. ERR_INVALID; ERR_TOO_LARGE over TARGET_BYTES_MAX. */
enum err uri_canonical(struct span target, bool options, char *out, size_t cap,
                       struct uri_target *t) MUST_USE;
/* Absolute-form http://authority/path: splits off the authority; ERR_INVALID for userinfo or
 * another scheme. */
enum err uri_absolute(struct span target, struct span *authority, struct span *rest) MUST_USE;
/* host[:port], lower-cased into `out`, one trailing dot and a default port cut (G04). ERR_INVALID:
 * userinfo, spaces, commas, bad port, empty (B14). */
enum err uri_authority(struct span authority, char *out, size_t cap, struct span *host,
                       uint16_t *port) MUST_USE;

#endif
