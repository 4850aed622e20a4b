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

/* What a field of that name puts into `seen`. Upper and lower case alike; a '-' and a '_', which
 * aliases confuse, start no name we look for. */
static inline uint64_t headers_bits(struct span name)
{
    if (name.len == 0) return 1;
    return UINT64_C(1) << (name.len < 31 ? name.len : 31) |
           UINT64_C(1) << (32 + ((unsigned char)name.p[0] & 31));
}
/* May there be a field of that name, or of an alias of it? In the header, so that for a literal it
 * is one comparison with a constant. */
static inline bool headers_may_have(const struct headers *h, struct span name)
{
    uint64_t bits = headers_bits(name);
    return h->count > 0 && (h->seen & bits) == bits;
}

/* ERR_FULL: HEADER_FIELDS_MAX or HEADER_BYTES_MAX. */
enum err headers_add(struct headers *h, struct span name, struct span value) MUST_USE;
/* First field with that name, or NULL: all are looked at. */
const struct header *headers_look(const struct headers *h, struct span name);
/* First field with that name (lower-case literal), or NULL. */
static inline const struct header *headers_find(const struct headers *h, const char *name)
{
    return headers_may_have(h, span_str(name)) ? headers_look(h, span_str(name)) : NULL;
}
/* Is `name` the same as `wanted` (lower-case) once '_' reads as '-', as CGI-style servers read it
 * (A21)? */
bool headers_alias(struct span name, const char *wanted);
/* Removes every field with that name or an alias of it, after a look at all; the count. */
size_t headers_take_off(struct headers *h, struct span name);
/* The same, with a lower-case literal. */
static inline size_t headers_remove(struct headers *h, const char *name)
{
    return headers_may_have(h, span_str(name)) ? headers_take_off(h, span_str(name)) : 0;
}
/* Removes every field whose name, or an alias of it, starts with `prefix`. */
size_t headers_remove_prefix(struct headers *h, const char *prefix);
/* Removes hop-by-hop fields (RFC 9110 7.6.1): connection and all it names, keep-alive,
 * proxy-connection, te (except trailers), transfer-encoding, upgrade, http2-settings,
 * proxy-authenticate, proxy-authorization. */
void headers_strip_hop(struct headers *h);
/* As that, of a CONNECT and its answer: who is asked to be the proxy is the application, and the
 * last two are between it and the client. */
void headers_strip_tunnel(struct headers *h);
/* Is it a field that belongs to one connection by its name (as headers_strip_tunnel, but for `te`;
 * RFC 9113 8.2.2)? */
bool headers_hop_name(struct span name);
/* RFC 9110 6.5.1: may this field stand in a trailer section we forward (A30)? */
bool headers_trailer_allowed(struct span name);
/* RFC 9110 5.6.2 token; 5.5 field value without CTLs. */
bool headers_token_valid(struct span s);
bool headers_value_valid(struct span s);
/* Makes a field's name lower-case; false: it is no token, and cut up to where that shows. */
bool headers_name_lower(char *name, size_t len) MUST_USE;
/* Does a comma-separated list field hold `token` (case-insensitive)? */
bool headers_list_has(struct span value, const char *token);

#endif
