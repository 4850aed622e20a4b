#include "core/crypto/der.h"

#include "core/base/check.h"

#define LENGTH_LONG_1 0x81u
#define LENGTH_LONG_2 0x82u

static unsigned byte_at(struct span s, size_t i)
{
    return (unsigned char)s.p[i];
}

unsigned der_peek(struct span in)
{
    return in.len > 0 ? byte_at(in, 0) : 0;
}

/* X.690 10.1: the shortest form. Header bytes used, 0 when malformed or more than 65535. */
static size_t read_length(struct span in, size_t *len)
{
    if (in.len < 2) return 0;
    unsigned first = byte_at(in, 1);
    if (first < 0x80) {
        *len = first;
        return 2;
    }
    if (first == LENGTH_LONG_1 && in.len >= 3) {
        *len = byte_at(in, 2);
        return *len >= 0x80 ? 3 : 0;
    }
    if (first == LENGTH_LONG_2 && in.len >= 4) {
        *len = (size_t)byte_at(in, 2) << 8 | byte_at(in, 3);
        return *len >= 0x100 ? 4 : 0;
    }
    return 0;
}

bool der_take_whole(struct span *in, unsigned *tag, struct span *whole, struct span *body)
{
    size_t len = 0;
    size_t header = read_length(*in, &len);
    if (header == 0 || len > in->len - header) return false;
    /* 0x1f in the low bits announces a tag of several bytes, which X.509 never needs. */
    unsigned t = byte_at(*in, 0);
    if (t == 0 || (t & 0x1f) == 0x1f) return false;
    *tag = t;
    *whole = span_of(in->p, header + len);
    *body = span_of(in->p + header, len);
    *in = span_skip(*in, header + len);
    return true;
}

bool der_take(struct span *in, unsigned tag, struct span *body)
{
    unsigned found;
    struct span whole;
    if (der_peek(*in) != tag) return false;
    return der_take_whole(in, &found, &whole, body);
}

bool der_take_bool(struct span *in, bool *out)
{
    struct span rest = *in, body;
    if (!der_take(&rest, DER_BOOLEAN, &body) || body.len != 1) return false;
    /* X.690 11.1: TRUE is all ones. */
    unsigned value = byte_at(body, 0);
    if (value != 0x00 && value != 0xff) return false;
    *out = value == 0xff;
    *in = rest;
    return true;
}

bool der_take_bits(struct span *in, struct span *bytes, unsigned *unused)
{
    struct span rest = *in, body;
    if (!der_take(&rest, DER_BIT_STRING, &body) || body.len < 1) return false;
    unsigned spare = byte_at(body, 0);
    if (spare > 7 || (spare > 0 && body.len < 2)) return false;
    /* X.690 11.2.1: unused bits are zero. */
    if (spare > 0 && (byte_at(body, body.len - 1) & ((1u << spare) - 1)) != 0) return false;
    *bytes = span_skip(body, 1);
    *unused = spare;
    *in = rest;
    return true;
}

bool der_take_uint(struct span *in, size_t max_bytes, struct span *bytes)
{
    struct span rest = *in, body;
    if (!der_take(&rest, DER_INTEGER, &body) || body.len < 1) return false;
    if ((byte_at(body, 0) & 0x80) != 0) return false;
    if (body.len > 1 && byte_at(body, 0) == 0) {
        /* X.690 8.3.2: a leading zero only in front of a set bit. */
        if ((byte_at(body, 1) & 0x80) == 0) return false;
        body = span_skip(body, 1);
    }
    if (body.len > max_bytes) return false;
    *bytes = body;
    *in = rest;
    return true;
}

void der_init(struct der_writer *w, uint8_t *storage, size_t cap)
{
    *w = (struct der_writer){.p = storage, .cap = cap};
}

static void append(struct der_writer *w, const void *p, size_t len)
{
    if (w->overflow || len > w->cap - w->len) {
        w->overflow = true;
        return;
    }
    if (len > 0) memcpy(w->p + w->len, p, len);
    w->len += len;
}

static void append_byte(struct der_writer *w, unsigned value)
{
    uint8_t byte = (uint8_t)value;
    append(w, &byte, 1);
}

void der_open(struct der_writer *w, unsigned tag)
{
    CHECK(w->depth < DER_DEPTH_MAX);
    append_byte(w, tag);
    append_byte(w, 0);
    w->start[w->depth++] = w->len;
}

void der_close(struct der_writer *w)
{
    CHECK(w->depth > 0);
    size_t start = w->start[--w->depth];
    if (w->overflow) return;
    size_t len = w->len - start;
    CHECK(len <= 0xffff);
    size_t extra = len < 0x80 ? 0 : len < 0x100 ? 1 : 2;
    if (extra > w->cap - w->len) {
        w->overflow = true;
        return;
    }
    /* One byte was left for the length; longer bodies move up. */
    memmove(w->p + start + extra, w->p + start, len);
    w->len += extra;
    if (extra == 0) {
        w->p[start - 1] = (uint8_t)len;
    } else if (extra == 1) {
        w->p[start - 1] = LENGTH_LONG_1;
        w->p[start] = (uint8_t)len;
    } else {
        w->p[start - 1] = LENGTH_LONG_2;
        w->p[start] = (uint8_t)(len >> 8);
        w->p[start + 1] = (uint8_t)len;
    }
}

void der_put(struct der_writer *w, unsigned tag, const void *body, size_t len)
{
    der_open(w, tag);
    append(w, body, len);
    der_close(w);
}

void der_put_uint(struct der_writer *w, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    while (len > 1 && *p == 0) {
        p++;
        len--;
    }
    der_open(w, DER_INTEGER);
    if (len == 0 || (*p & 0x80) != 0) append_byte(w, 0);
    append(w, p, len);
    der_close(w);
}

void der_put_bool(struct der_writer *w, bool value)
{
    uint8_t byte = value ? 0xff : 0x00;
    der_put(w, DER_BOOLEAN, &byte, 1);
}

void der_put_bits(struct der_writer *w, unsigned unused, const void *bytes, size_t len)
{
    der_open(w, DER_BIT_STRING);
    append_byte(w, unused);
    append(w, bytes, len);
    der_close(w);
}

void der_raw(struct der_writer *w, struct span der)
{
    append(w, der.p, der.len);
}

enum err der_finish(const struct der_writer *w, size_t *len)
{
    CHECK(w->depth == 0);
    if (w->overflow) return ERR_TOO_LARGE;
    *len = w->len;
    return ERR_OK;
}
