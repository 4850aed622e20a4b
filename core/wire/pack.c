#include "core/wire/pack.h"

#include "core/base/check.h"

#include <msgpack/pack.h>

void pack_writer_init(struct pack_writer *w, void *buf, size_t cap)
{
    *w = (struct pack_writer){.p = buf, .cap = cap};
}

bool pack_writer_ok(const struct pack_writer *w)
{
    return !w->overflow;
}

struct span pack_writer_view(const struct pack_writer *w)
{
    return span_of(w->p, w->overflow ? 0 : w->len);
}

static int append(void *data, const char *p, size_t len)
{
    struct pack_writer *w = data;
    if (w->overflow || len > w->cap - w->len) {
        w->overflow = true;
        return -1;
    }
    if (len > 0) memcpy(w->p + w->len, p, len);
    w->len += len;
    return 0;
}

/* The packer holds no state between values. Its results repeat what `overflow` says. */
static msgpack_packer packer(struct pack_writer *w)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, w, append);
    return pk;
}

void pack_write_array(struct pack_writer *w, uint32_t count)
{
    msgpack_packer pk = packer(w);
    msgpack_pack_array(&pk, count);
}

void pack_write_nil(struct pack_writer *w)
{
    msgpack_packer pk = packer(w);
    msgpack_pack_nil(&pk);
}

void pack_write_bool(struct pack_writer *w, bool v)
{
    msgpack_packer pk = packer(w);
    if (v)
        msgpack_pack_true(&pk);
    else
        msgpack_pack_false(&pk);
}

void pack_write_u64(struct pack_writer *w, uint64_t v)
{
    msgpack_packer pk = packer(w);
    msgpack_pack_uint64(&pk, v);
}

void pack_write_i64(struct pack_writer *w, int64_t v)
{
    msgpack_packer pk = packer(w);
    msgpack_pack_int64(&pk, v);
}

void pack_write_str(struct pack_writer *w, struct span s)
{
    msgpack_packer pk = packer(w);
    if (s.len > w->cap) { /* so that no length over 32 bits is cut to fit its head */
        w->overflow = true;
        return;
    }
    msgpack_pack_str(&pk, s.len);
    msgpack_pack_str_body(&pk, s.p, s.len);
}

void pack_write_bin(struct pack_writer *w, const void *p, size_t len)
{
    msgpack_packer pk = packer(w);
    if (len > w->cap) {
        w->overflow = true;
        return;
    }
    msgpack_pack_bin(&pk, len);
    msgpack_pack_bin_body(&pk, p, len);
}

enum err pack_reader_init(struct pack_reader *r, struct span doc, unsigned depth_max,
                          size_t items_max)
{
    *r = (struct pack_reader){.rest = doc, .left = 1};
    r->err = pack_check(doc, depth_max, items_max);
    return r->err;
}

enum err pack_reader_err(const struct pack_reader *r)
{
    return r->err;
}

void pack_reader_fail(struct pack_reader *r, enum err err)
{
    if (r->err == ERR_OK) r->err = err;
}

/* Takes the next value's head; false when the array is read out or the reader has failed. */
static bool take_head(struct pack_reader *r, struct pack_head *h)
{
    if (r->err != ERR_OK) return false;
    if (r->left == 0) {
        r->err = ERR_INVALID;
        return false;
    }
    r->err = pack_check_head(r->rest, h);
    if (r->err != ERR_OK) return false;
    r->left--;
    r->rest = span_skip(r->rest, h->head_bytes);
    return true;
}

/* As take_head, of one kind only. */
static bool take(struct pack_reader *r, enum pack_kind kind, struct pack_head *h)
{
    if (!take_head(r, h)) return false;
    if (h->kind == kind) return true;
    r->err = ERR_INVALID;
    return false;
}

static struct span take_body(struct pack_reader *r, const struct pack_head *h)
{
    struct span body = span_of(r->rest.p, h->body_bytes);
    r->rest = span_skip(r->rest, h->body_bytes);
    return body;
}

uint32_t pack_read_array(struct pack_reader *r, uint32_t min, uint32_t *outer)
{
    struct pack_head h;
    *outer = 0;
    if (!take(r, PACK_ARRAY, &h)) return 0;
    *outer = r->left;
    if (h.count < min) {
        r->err = ERR_INVALID;
        return 0;
    }
    r->left = h.count;
    return h.count;
}

void pack_read_array_end(struct pack_reader *r, uint32_t outer)
{
    while (r->err == ERR_OK && r->left > 0)
        pack_read_skip(r);
    r->left = outer;
}

enum pack_kind pack_read_peek(const struct pack_reader *r)
{
    struct pack_head h;
    if (r->err != ERR_OK || r->left == 0) return PACK_NIL;
    return pack_check_head(r->rest, &h) == ERR_OK ? h.kind : PACK_NIL;
}

bool pack_read_bool(struct pack_reader *r)
{
    struct pack_head h;
    return take(r, PACK_BOOL, &h) && h.number != 0;
}

uint64_t pack_read_u64(struct pack_reader *r)
{
    struct pack_head h;
    return take(r, PACK_UINT, &h) ? h.number : 0;
}

uint64_t pack_read_u64_max(struct pack_reader *r, uint64_t max)
{
    uint64_t v = pack_read_u64(r);
    if (v <= max) return v;
    r->err = ERR_RANGE;
    return 0;
}

int64_t pack_read_i64(struct pack_reader *r)
{
    struct pack_head h;
    if (!take_head(r, &h)) return 0;
    bool fits = h.kind == PACK_UINT && h.number <= INT64_MAX;
    if (fits) return (int64_t)h.number;
    /* In two's complement -1 - v is ~v, which is not negative. */
    if (h.kind == PACK_INT) return -1 - (int64_t)~h.number;
    r->err = h.kind == PACK_UINT ? ERR_RANGE : ERR_INVALID;
    return 0;
}

struct span pack_read_str(struct pack_reader *r)
{
    struct pack_head h;
    return take(r, PACK_STR, &h) ? take_body(r, &h) : span_of(NULL, 0);
}

struct span pack_read_bin(struct pack_reader *r)
{
    struct pack_head h;
    return take(r, PACK_BIN, &h) ? take_body(r, &h) : span_of(NULL, 0);
}

void pack_read_bin_exact(struct pack_reader *r, void *dst, size_t len)
{
    struct span s = pack_read_bin(r);
    memset(dst, 0, len);
    if (r->err == ERR_OK && s.len != len) r->err = ERR_INVALID;
    if (r->err == ERR_OK && len > 0) memcpy(dst, s.p, len);
}

static uint64_t values_inside(const struct pack_head *h)
{
    if (h->kind == PACK_MAP) return (uint64_t)h->count * 2;
    return h->kind == PACK_ARRAY ? h->count : 0;
}

/* pack_check has bounded the values of the document, so this loop too. */
void pack_read_skip(struct pack_reader *r)
{
    struct pack_head h;
    if (!take_head(r, &h)) return;
    (void)take_body(r, &h);
    uint32_t left = r->left;
    for (uint64_t due = values_inside(&h); due > 0; due += values_inside(&h) - 1) {
        r->left = 1;
        if (!take_head(r, &h)) return;
        (void)take_body(r, &h);
    }
    r->left = left;
}
