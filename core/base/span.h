/* Spans: a borrowed run of bytes. The one way parsers hand out what they found.
 *
 * Any thread. A span owns nothing and is valid as long as the bytes it points into; each producer's
 * header says how long. Never NUL-terminated by promise. An empty span may have p == NULL.
 */
#ifndef CORE_BASE_SPAN_H
#define CORE_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *p; /* borrowed */
    size_t len;
};

#define SPAN_LIT(literal) ((struct span){(literal), sizeof(literal) - 1})
/* printf "%.*s" arguments; clipped to INT_MAX. */
#define SPAN_ARG(s) ((s).len > 0x7fffffff ? 0x7fffffff : (int)(s).len), ((s).p ? (s).p : "")

static inline struct span span_of(const void *p, size_t len)
{
    return (struct span){p, len};
}
static inline struct span span_str(const char *s)
{
    return (struct span){s, s ? strlen(s) : 0};
}
static inline bool span_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}
static inline bool span_eq_str(struct span a, const char *s)
{
    return span_eq(a, span_str(s));
}
/* From `from` to the end; empty past the end. */
static inline struct span span_skip(struct span s, size_t from)
{
    return from >= s.len ? (struct span){s.p ? s.p + s.len : NULL, 0}
                         : (struct span){s.p + from, s.len - from};
}

/* ASCII case ignored (RFC 9110 5.1: field names are case-insensitive). */
bool span_eq_nocase(struct span a, struct span b);
bool span_starts(struct span s, struct span prefix);
/* Without SP and HTAB at both ends. */
struct span span_trim(struct span s);
/* Splits at the first `sep`: the part before it, and `*rest` after it (empty with p == NULL when
 * there is no `sep`). */
struct span span_cut(struct span s, char sep, struct span *rest);
/* Decimal digits only, no sign, no space, no overflow. ERR_INVALID / ERR_RANGE as bool false:
 * `*out` untouched. */
bool span_u64(struct span s, uint64_t *out);
/* Exactly `bytes` bytes as hex digits of either case, and nothing else. False: `dst` untouched. */
bool span_hex(struct span s, void *dst, size_t bytes);
/* Total order: memcmp, then length. */
int span_cmp(struct span a, struct span b);
/* Copies into `dst` of `cap` bytes and terminates; false (dst = "") when it does not fit or holds a
 * NUL. */
bool span_to_cstr(struct span s, char *dst, size_t cap);
/* Damerau-Levenshtein distance (optimal string alignment) of at most 64 bytes each; 64 when longer.
 * For did-you-mean. */
unsigned span_distance(struct span a, struct span b);

#endif
