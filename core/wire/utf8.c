#include "core/wire/utf8.h"

#define SURROGATE_FIRST UINT32_C(0xd800)
#define SURROGATE_LAST  UINT32_C(0xdfff)
#define CODE_POINT_MAX  UINT32_C(0x10ffff)

static bool is_scalar(uint32_t cp)
{
    return cp <= CODE_POINT_MAX && (cp < SURROGATE_FIRST || cp > SURROGATE_LAST);
}

size_t utf8_decode(struct span s, uint32_t *cp)
{
    /* The least code point each length may spell: a lower one is overlong. */
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (s.len == 0) return 0;
    uint8_t first = (uint8_t)s.p[0];
    if (first < 0x80) {
        *cp = first;
        return 1;
    }
    if (first < 0xc0 || first >= 0xf8) return 0;
    size_t len = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (s.len < len) return 0;
    uint32_t value = first & (UINT32_C(0x7f) >> len);
    for (size_t i = 1; i < len; i++) {
        uint8_t byte = (uint8_t)s.p[i];
        if ((byte & 0xc0) != 0x80) return 0;
        value = value << 6 | (byte & 0x3f);
    }
    if (value < least[len] || !is_scalar(value)) return 0;
    *cp = value;
    return len;
}

size_t utf8_encode(uint32_t cp, char dst[4])
{
    if (!is_scalar(cp)) return 0;
    if (cp < 0x80) {
        dst[0] = (char)cp;
        return 1;
    }
    size_t len = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    static const uint8_t mark[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len - 1; i > 0; i--) {
        dst[i] = (char)(0x80 | (cp & 0x3f));
        cp >>= 6;
    }
    dst[0] = (char)(mark[len] | cp);
    return len;
}

size_t utf8_valid_len(struct span s)
{
    size_t at = 0;
    uint32_t cp;
    while (at < s.len) {
        size_t len = utf8_decode(span_skip(s, at), &cp);
        if (len == 0) break;
        at += len;
    }
    return at;
}

size_t utf8_count(struct span s)
{
    size_t count = 0;
    for (size_t i = 0; i < s.len; i++)
        count += ((uint8_t)s.p[i] & 0xc0) != 0x80;
    return count;
}
