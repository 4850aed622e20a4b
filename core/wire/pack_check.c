#include "core/wire/pack_check.h"

#include "core/base/check.h"

/* The bytes c0..df: what they are, and how many bytes of number, count or length follow. Floats and
 * fixext carry a payload of fixed size instead. */
static const struct {
    uint8_t kind;
    uint8_t number_bytes;
    uint8_t body_bytes;
} row[32] = {
    [0x00] = {PACK_NIL, 0, 0},   [0x02] = {PACK_BOOL, 0, 0},  [0x03] = {PACK_BOOL, 0, 0},
    [0x04] = {PACK_BIN, 1, 0},   [0x05] = {PACK_BIN, 2, 0},   [0x06] = {PACK_BIN, 4, 0},
    [0x07] = {PACK_EXT, 1, 0},   [0x08] = {PACK_EXT, 2, 0},   [0x09] = {PACK_EXT, 4, 0},
    [0x0a] = {PACK_FLOAT, 0, 4}, [0x0b] = {PACK_FLOAT, 0, 8}, [0x0c] = {PACK_UINT, 1, 0},
    [0x0d] = {PACK_UINT, 2, 0},  [0x0e] = {PACK_UINT, 4, 0},  [0x0f] = {PACK_UINT, 8, 0},
    [0x10] = {PACK_INT, 1, 0},   [0x11] = {PACK_INT, 2, 0},   [0x12] = {PACK_INT, 4, 0},
    [0x13] = {PACK_INT, 8, 0},   [0x14] = {PACK_EXT, 0, 1},   [0x15] = {PACK_EXT, 0, 2},
    [0x16] = {PACK_EXT, 0, 4},   [0x17] = {PACK_EXT, 0, 8},   [0x18] = {PACK_EXT, 0, 16},
    [0x19] = {PACK_STR, 1, 0},   [0x1a] = {PACK_STR, 2, 0},   [0x1b] = {PACK_STR, 4, 0},
    [0x1c] = {PACK_ARRAY, 2, 0}, [0x1d] = {PACK_ARRAY, 4, 0}, [0x1e] = {PACK_MAP, 2, 0},
    [0x1f] = {PACK_MAP, 4, 0},
};

#define BYTE_RESERVED 0xc1u

static uint64_t big_endian(const uint8_t *p, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++)
        value = value << 8 | p[i];
    return value;
}

static struct pack_head short_head(uint8_t byte)
{
    struct pack_head h = {.head_bytes = 1};
    if (byte < 0x80) {
        h.kind = PACK_UINT;
        h.number = byte;
    } else if (byte < 0x90) {
        h.kind = PACK_MAP;
        h.count = byte & 0x0f;
    } else if (byte < 0xa0) {
        h.kind = PACK_ARRAY;
        h.count = byte & 0x0f;
    } else if (byte < 0xc0) {
        h.kind = PACK_STR;
        h.body_bytes = byte & 0x1f;
    } else {
        h.kind = PACK_INT;
        h.number = UINT64_C(0xffffffffffffff00) | byte;
    }
    return h;
}

static struct pack_head long_head(uint8_t byte, const uint8_t *number)
{
    size_t at = byte & 0x1f;
    size_t number_bytes = row[at].number_bytes;
    struct pack_head h = {.kind = (enum pack_kind)row[at].kind, .head_bytes = 1 + number_bytes};
    uint64_t value = big_endian(number, number_bytes);
    h.body_bytes = row[at].body_bytes;
    switch (h.kind) {
    case PACK_BOOL:
        h.number = byte & 1;
        break;
    case PACK_UINT:
        h.number = value;
        break;
    case PACK_INT: {
        uint64_t sign = UINT64_C(1) << (number_bytes * 8 - 1);
        h.number = (value ^ sign) - sign;
        if (h.number >> 63 == 0) h.kind = PACK_UINT;
        break;
    }
    case PACK_STR:
    case PACK_BIN:
        h.body_bytes = (size_t)value;
        break;
    case PACK_EXT: /* one byte of type, then the data */
        h.body_bytes = (size_t)(value + h.body_bytes + 1);
        break;
    case PACK_ARRAY:
    case PACK_MAP:
        h.count = (uint32_t)value;
        break;
    case PACK_NIL:
    case PACK_FLOAT:
        break;
    }
    return h;
}

enum err pack_check_head(struct span in, struct pack_head *out)
{
    const uint8_t *p = (const uint8_t *)in.p;
    if (in.len == 0 || p[0] == BYTE_RESERVED) return ERR_INVALID;
    bool is_long = p[0] >= 0xc0 && p[0] < 0xe0;
    if (is_long && in.len - 1 < row[p[0] & 0x1f].number_bytes) return ERR_INVALID;
    struct pack_head h = is_long ? long_head(p[0], p + 1) : short_head(p[0]);
    size_t left = in.len - h.head_bytes;
    if (h.body_bytes > left) return ERR_INVALID;
    /* No value is shorter than a byte. */
    uint64_t values = h.kind == PACK_MAP ? (uint64_t)h.count * 2 : h.count;
    if (values > left) return ERR_INVALID;
    *out = h;
    return ERR_OK;
}

enum err pack_check(struct span doc, unsigned depth_max, size_t items_max)
{
    uint64_t due[PACK_DEPTH_MAX + 1] = {1}; /* values still to come, a nesting level each */
    unsigned depth = 0;
    size_t at = 0;
    CHECK(depth_max <= PACK_DEPTH_MAX);
    for (size_t items = 0;; items++) {
        struct pack_head h;
        while (depth > 0 && due[depth] == 0)
            depth--;
        if (due[depth] == 0) break;
        if (items == items_max) return ERR_TOO_LARGE;
        enum err err = pack_check_head(span_skip(doc, at), &h);
        if (err != ERR_OK) return err;
        due[depth]--;
        at += h.head_bytes + h.body_bytes;
        if (h.kind != PACK_ARRAY && h.kind != PACK_MAP) continue;
        if (depth == depth_max) return ERR_TOO_LARGE;
        due[++depth] = h.kind == PACK_MAP ? (uint64_t)h.count * 2 : h.count;
    }
    return at == doc.len ? ERR_OK : ERR_INVALID;
}
