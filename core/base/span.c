#include "core/base/span.h"

#include "core/base/check.h"

#define DISTANCE_BYTES_MAX 64u

static unsigned char lower(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 'A' && u <= 'Z' ? (unsigned char)(u + ('a' - 'A')) : u;
}

bool span_eq_nocase(struct span a, struct span b)
{
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++)
        if (a.p[i] != b.p[i] && lower(a.p[i]) != lower(b.p[i])) return false;
    return true;
}

bool span_starts(struct span s, struct span prefix)
{
    return s.len >= prefix.len && span_eq(span_of(s.p, prefix.len), prefix);
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

struct span span_trim(struct span s)
{
    while (s.len > 0 && blank(s.p[0])) {
        s.p++;
        s.len--;
    }
    while (s.len > 0 && blank(s.p[s.len - 1]))
        s.len--;
    return s;
}

struct span span_cut(struct span s, char sep, struct span *rest)
{
    const char *at = s.len > 0 ? memchr(s.p, sep, s.len) : NULL;
    if (at == NULL) {
        *rest = span_of(NULL, 0);
        return s;
    }
    size_t before = (size_t)(at - s.p);
    *rest = span_of(at + 1, s.len - before - 1);
    return span_of(s.p, before);
}

bool span_u64(struct span s, uint64_t *out)
{
    uint64_t value = 0;
    if (s.len == 0) return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';
        if (digit > 9) return false;
        if (__builtin_mul_overflow(value, UINT64_C(10), &value)) return false;
        if (__builtin_add_overflow(value, (uint64_t)digit, &value)) return false;
    }
    *out = value;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    int letter = lower(c) - 'a';
    return letter >= 0 && letter < 6 ? letter + 10 : -1;
}

bool span_hex(struct span s, void *dst, size_t bytes)
{
    unsigned char *out = dst;
    if (s.len / 2 != bytes || s.len % 2 != 0) return false;
    for (size_t i = 0; i < s.len; i++)
        if (hex_digit(s.p[i]) < 0) return false;
    for (size_t i = 0; i < bytes; i++)
        out[i] = (unsigned char)(hex_digit(s.p[2 * i]) << 4 | hex_digit(s.p[2 * i + 1]));
    return true;
}

int span_cmp(struct span a, struct span b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared > 0 ? memcmp(a.p, b.p, shared) : 0;
    if (order != 0) return order;
    return (a.len > b.len) - (a.len < b.len);
}

bool span_to_cstr(struct span s, char *dst, size_t cap)
{
    CHECK(cap > 0);
    dst[0] = '\0';
    if (s.len >= cap) return false;
    if (s.len == 0) return true;
    if (memchr(s.p, '\0', s.len) != NULL) return false;
    memcpy(dst, s.p, s.len);
    dst[s.len] = '\0';
    return true;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned span_distance(struct span a, struct span b)
{
    unsigned row[3][DISTANCE_BYTES_MAX + 1];
    if (a.len > DISTANCE_BYTES_MAX || b.len > DISTANCE_BYTES_MAX) return DISTANCE_BYTES_MAX;
    unsigned *before = row[0], *above = row[1], *current = row[2];
    for (size_t j = 0; j <= b.len; j++)
        above[j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        current[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned cost = a.p[i - 1] != b.p[j - 1];
            unsigned d = least(above[j] + 1, current[j - 1] + 1);
            d = least(d, above[j - 1] + cost);
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
                d = least(d, before[j - 2] + 1);
            current[j] = d;
        }
        unsigned *oldest = before;
        before = above;
        above = current;
        current = oldest;
    }
    return above[b.len];
}
