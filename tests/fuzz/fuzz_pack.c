/* Any bytes as MessagePack. What the check passes, msgpack-c reads to its end, and our cursor sees
 * the same values. */
#include "core/base/check.h"
#include "core/wire/pack.h"

#include <msgpack/unpack.h>

#define ITEMS_MAX 10000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(struct pack_reader *r, const msgpack_object *o);

static void compare_array(struct pack_reader *r, const msgpack_object *o)
{
    uint32_t outer;
    uint32_t count = pack_read_array(r, 0, &outer);
    CHECK(count == o->via.array.size);
    for (uint32_t i = 0; i < count; i++)
        compare(r, &o->via.array.ptr[i]);
    pack_read_array_end(r, outer);
}

/* PACK_DEPTH_MAX bounds the recursion. */
static void compare(struct pack_reader *r, const msgpack_object *o)
{
    struct span s;
    switch (pack_read_peek(r)) {
    case PACK_BOOL:
        CHECK(o->type == MSGPACK_OBJECT_BOOLEAN && pack_read_bool(r) == o->via.boolean);
        break;
    case PACK_UINT:
        CHECK(o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && pack_read_u64(r) == o->via.u64);
        break;
    case PACK_INT:
        CHECK(o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER && pack_read_i64(r) == o->via.i64);
        break;
    case PACK_STR:
        s = pack_read_str(r);
        CHECK(o->type == MSGPACK_OBJECT_STR &&
              span_eq(s, span_of(o->via.str.ptr, o->via.str.size)));
        break;
    case PACK_BIN:
        s = pack_read_bin(r);
        CHECK(o->type == MSGPACK_OBJECT_BIN &&
              span_eq(s, span_of(o->via.bin.ptr, o->via.bin.size)));
        break;
    case PACK_ARRAY:
        CHECK(o->type == MSGPACK_OBJECT_ARRAY);
        compare_array(r, o);
        break;
    case PACK_NIL:
    case PACK_FLOAT:
    case PACK_MAP:
    case PACK_EXT:
        pack_read_skip(r);
        break;
    }
    CHECK(pack_reader_err(r) == ERR_OK);
}

/* Reads of the wrong kind and past the end fail and stay failed. */
static void misread(struct span doc)
{
    struct pack_reader r;
    uint32_t outer;
    if (pack_reader_init(&r, doc, PACK_DEPTH_MAX, ITEMS_MAX) != ERR_OK) return;
    (void)pack_read_array(&r, 3, &outer);
    (void)pack_read_u64_max(&r, 9);
    (void)pack_read_str(&r);
    (void)pack_read_i64(&r);
    pack_read_array_end(&r, outer);
    (void)pack_read_bool(&r);
    CHECK(pack_reader_err(&r) != ERR_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span doc = span_of(data, size);
    struct pack_reader r;
    misread(doc);
    if (pack_reader_init(&r, doc, PACK_DEPTH_MAX, ITEMS_MAX) != ERR_OK) return 0;
    msgpack_unpacked unpacked;
    size_t used = 0;
    msgpack_unpacked_init(&unpacked);
    CHECK(msgpack_unpack_next(&unpacked, doc.p, doc.len, &used) == MSGPACK_UNPACK_SUCCESS);
    CHECK(used == doc.len);
    compare(&r, &unpacked.data);
    msgpack_unpacked_destroy(&unpacked);
    return 0;
}
