/* Header fields: an ordered table of name and value spans, and what HTTP says about particular
 * names.
 *
 * Any thread, no allocation: the table's array is the caller's (an exchange's arena). Names are
 * lower-case. Spans are borrowed from whatever the parser filled; they live as long as that
 * storage. RFC 9110 5, 7.6.1; RFC 9113 8.2.
 */
#ifndef CORE_WIRE_HEADERS_H
#define CORE_WIRE_HEADERS_H

#include "core/base/err.h"
#include "core/base/limits.h"
#include "core/base/span.h"

struct header {
    struct span name; /* lower-case */
    struct span value;
};
struct headers {
    struct header field[HEADER_FIELDS_MAX];
    size_t count;
    size_t bytes; /* names + values */
    /* What names there may be: bit n of the low half for one of n bytes (31: or more), bit c of the
     * high half for one whose first letter is the c-th. Most that is looked for is not there. */
    uint64_t seen;
};

/* ERR_FULL: HEADER_FIELDS_MAX or HEADER_BYTES_MAX. */
enum err headers_add(struct headers *h, struct span name, struct span value) MUST_USE;
/* First field with that name (lower-case literal), or NULL. */
const struct header *headers_find(const struct headers *h, const char *name);
/* Is `name` the same as `wanted` (lower-case) once '_' reads as '-', as CGI-style servers read it
 * (A21)? */
bool headers_alias(struct span name, const char *wanted);
/* Removes every field with that name or an alias of it; the count. */
size_t headers_remove(struct headers *h, const char *name);
/* Removes every field whose name, or an alias of it, starts with `prefix`. */
size_t headers_remove_prefix(struct headers *h, const char *prefix);
/* Removes hop-by-hop fields (RFC 9110 7.6.1): connection and all it names, keep-alive,
 * proxy-connection, te (except trailers), transfer-encoding, upgrade, http2-settings,
 * proxy-authenticate, proxy-authorization. */
void headers_strip_hop(struct headers *h);
/* RFC 9110 6.5.1: may this field stand in a trailer section we forward (A30)? */
bool headers_trailer_allowed(struct span name);
/* RFC 9110 5.6.2 token; 5.5 field value without CTLs. */
bool headers_token_valid(struct span s);
bool headers_value_valid(struct span s);
/* Does a comma-separated list field hold `token` (case-insensitive)? */
bool headers_list_has(struct span value, const char *token);

#endif
