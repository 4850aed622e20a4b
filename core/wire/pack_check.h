/* The bounds check of MessagePack from outside: every declared length is held against the bytes
 * that are there before anything believes it.
 *
 * Any thread. Allocates nothing, reads each byte at most once. msgpack-c trusts what a document
 * declares (`dd 00 ff ff ff` made it allocate 512 MiB), so no byte reaches a decoder before
 * pack_check has passed it (security.md M05, M08).
 *
 *   a document:  one value with nothing behind it
 *   a value:     head [payload]
 *   a head:      1 byte of kind, then 0 to 8 bytes of number, count or length
 */
#ifndef CORE_WIRE_PACK_CHECK_H
#define CORE_WIRE_PACK_CHECK_H

#include "core/base/err.h"
#include "core/base/span.h"

#define PACK_DEPTH_MAX 16u

enum pack_kind {
    PACK_NIL,
    PACK_BOOL,
    PACK_UINT, /* any integer >= 0, however it was spelled */
    PACK_INT,  /* an integer < 0 */
    PACK_FLOAT,
    PACK_STR,
    PACK_BIN,
    PACK_ARRAY,
    PACK_MAP,
    PACK_EXT
};

struct pack_head {
    enum pack_kind kind;
    size_t head_bytes;
    size_t body_bytes; /* payload behind the head: STR, BIN, EXT, FLOAT */
    uint32_t count;    /* ARRAY: items; MAP: pairs */
    uint64_t number;   /* UINT; INT in two's complement; BOOL 0 or 1 */
};

/* Reads one head. The head and its payload are within `in` on ERR_OK, and a container's count is
 * one that the bytes left could hold. ERR_INVALID: cut short, lying, or the reserved byte c1. */
enum err pack_check_head(struct span in, struct pack_head *out) MUST_USE;

/* Whether `doc` is exactly one well-formed value, containers nested at most `depth_max` deep (at
 * most PACK_DEPTH_MAX) and with at most `items_max` values in all. ERR_INVALID: malformed, cut
 * short or with bytes behind. ERR_TOO_LARGE: too deep or too many. */
enum err pack_check(struct span doc, unsigned depth_max, size_t items_max) MUST_USE;

#endif
