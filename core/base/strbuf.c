#include "core/base/strbuf.h"

#include "core/base/check.h"

#include <stdio.h>
#include <stdlib.h>

#define STRBUF_FIRST_BYTES 128u

/* Text of a heap buffer that has no storage yet, so that the text is always terminated. Never
 * written. */
static const char empty[1] = "";

static void point_at_empty(struct strbuf *sb)
{
    union {
        const char *from;
        char *to;
    } text = {.from = empty};
    sb->p = text.to;
    sb->len = 0;
    sb->cap = 0;
}

void strbuf_init(struct strbuf *sb, size_t max)
{
    CHECK(max > 0);
    *sb = (struct strbuf){.max = max, .heap = true};
    point_at_empty(sb);
}

void strbuf_init_fixed(struct strbuf *sb, char *storage, size_t cap)
{
    CHECK(storage != NULL && cap > 0);
    *sb = (struct strbuf){.p = storage, .cap = cap, .max = cap};
    storage[0] = '\0';
}

void strbuf_fini(struct strbuf *sb)
{
    if (sb->heap && sb->cap > 0) free(sb->p);
    *sb = (struct strbuf){.max = 1, .heap = true};
    point_at_empty(sb);
}

void strbuf_reset(struct strbuf *sb)
{
    sb->len = 0;
    sb->overflow = false;
    if (sb->cap > 0) sb->p[0] = '\0';
}

bool strbuf_ok(const struct strbuf *sb)
{
    return !sb->overflow;
}

/* Makes room for `more` bytes and the NUL; false and `overflow` when there is none. */
static bool grow(struct strbuf *sb, size_t more)
{
    size_t need;
    if (sb->overflow) return false;
    if (!size_add(sb->len, more, &need) || !size_add(need, 1, &need) || need > sb->max) goto full;
    if (need <= sb->cap) return true;
    if (!sb->heap) goto full;
    size_t cap = sb->cap > 0 ? sb->cap : STRBUF_FIRST_BYTES;
    while (cap < need)
        if (!size_mul(cap, 2, &cap)) cap = sb->max;
    if (cap > sb->max) cap = sb->max;
    char *p = realloc(sb->cap > 0 ? sb->p : NULL, cap);
    if (p == NULL) goto full;
    p[sb->len] = '\0';
    sb->p = p;
    sb->cap = cap;
    return true;
full:
    sb->overflow = true;
    return false;
}

static inline bool reserve(struct strbuf *sb, size_t more)
{
    /* The usual case: it is there. `len` < `cap` wherever there is storage. */
    if (!sb->overflow && more < sb->cap - sb->len) return true;
    return grow(sb, more);
}

void strbuf_add(struct strbuf *sb, const void *p, size_t len)
{
    if (len == 0 || !reserve(sb, len)) return;
    memcpy(sb->p + sb->len, p, len);
    sb->len += len;
    sb->p[sb->len] = '\0';
}

char *strbuf_room(struct strbuf *sb, size_t len)
{
    if (!reserve(sb, len)) return NULL;
    char *room = sb->p + sb->len;
    sb->len += len;
    sb->p[sb->len] = '\0';
    return room;
}

void strbuf_span(struct strbuf *sb, struct span s)
{
    strbuf_add(sb, s.p, s.len);
}

void strbuf_str(struct strbuf *sb, const char *s)
{
    strbuf_add(sb, s, strlen(s));
}

void strbuf_char(struct strbuf *sb, char c)
{
    strbuf_add(sb, &c, 1);
}

void strbuf_u64(struct strbuf *sb, uint64_t v)
{
    char digits[20]; /* 2^64 - 1 has 20 */
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    strbuf_add(sb, digits + at, sizeof(digits) - at);
}

void strbuf_vfmt(struct strbuf *sb, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    if (len < 0) {
        sb->overflow = true;
    } else if (reserve(sb, (size_t)len)) {
        vsnprintf(sb->p + sb->len, (size_t)len + 1, fmt, again);
        sb->len += (size_t)len;
    }
    va_end(again);
}

void strbuf_fmt(struct strbuf *sb, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    strbuf_vfmt(sb, fmt, ap);
    va_end(ap);
}

void strbuf_hex(struct strbuf *sb, const void *p, size_t len)
{
    static const char digit[] = "0123456789abcdef";
    const unsigned char *byte = p;
    size_t text_len;
    if (!size_mul(len, 2, &text_len)) {
        sb->overflow = true;
        return;
    }
    if (!reserve(sb, text_len)) return;
    for (size_t i = 0; i < len; i++) {
        sb->p[sb->len++] = digit[byte[i] >> 4];
        sb->p[sb->len++] = digit[byte[i] & 15];
    }
    if (text_len > 0) sb->p[sb->len] = '\0';
}

void strbuf_base64(struct strbuf *sb, const void *p, size_t len)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *byte = p;
    size_t text_len;
    if (!size_mul(len / 3 + (len % 3 != 0), 4, &text_len)) {
        sb->overflow = true;
        return;
    }
    if (!reserve(sb, text_len)) return;
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        unsigned bits = (unsigned)byte[i] << 16;
        if (left > 1) bits |= (unsigned)byte[i + 1] << 8;
        if (left > 2) bits |= byte[i + 2];
        sb->p[sb->len++] = digit[bits >> 18];
        sb->p[sb->len++] = digit[bits >> 12 & 63];
        sb->p[sb->len++] = '=';
        sb->p[sb->len++] = '=';
        if (left > 1) sb->p[sb->len - 2] = digit[bits >> 6 & 63];
        if (left > 2) sb->p[sb->len - 1] = digit[bits & 63];
    }
    if (text_len > 0) sb->p[sb->len] = '\0';
}

struct span strbuf_view(const struct strbuf *sb)
{
    return span_of(sb->p, sb->len);
}

char *strbuf_take(struct strbuf *sb)
{
    if (!sb->heap || !reserve(sb, 0)) return NULL;
    char *p = sb->p;
    point_at_empty(sb);
    return p;
}
