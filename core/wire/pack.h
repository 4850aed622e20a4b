/* MessagePack: a writer into the caller's buffer and a reader over the caller's bytes.
 *
 * Any thread. Neither allocates. Both are sticky: after the first thing that does not fit (writer)
 * or is not there (reader) every further call does nothing and gives zero, empty or false; test
 * pack_writer_ok or pack_reader_err once, before the result is used. Our formats are arrays whose
 * items have fixed places: a newer version appends items, and an older one leaves them by
 * pack_read_array_end, so that version N and N-1 understand each other.
 *
 * Writing goes through msgpack-c's packer. Reading does not use its unpacker: that builds a tree in
 * its own heap from lengths it trusts; here pack_check sees the document first and the cursor then
 * walks the same bytes in place.
 */
#ifndef CORE_WIRE_PACK_H
#define CORE_WIRE_PACK_H

#include "core/wire/pack_check.h"

struct pack_writer {
    char *p; /* borrowed */
    size_t len;
    size_t cap;
    bool overflow;
};

/* Writes into `buf` of `cap` bytes, borrowed until the last use. */
void pack_writer_init(struct pack_writer *w, void *buf, size_t cap);
bool pack_writer_ok(const struct pack_writer *w);
/* What was written; empty after an overflow. */
struct span pack_writer_view(const struct pack_writer *w);

/* Opens an array: exactly `count` values must follow. */
void pack_write_array(struct pack_writer *w, uint32_t count);
void pack_write_nil(struct pack_writer *w);
void pack_write_bool(struct pack_writer *w, bool v);
void pack_write_u64(struct pack_writer *w, uint64_t v);
void pack_write_i64(struct pack_writer *w, int64_t v);
void pack_write_str(struct pack_writer *w, struct span s);
void pack_write_bin(struct pack_writer *w, const void *p, size_t len);

struct pack_reader {
    struct span rest; /* borrowed: what is not yet read */
    uint32_t left;    /* items of the array that is open */
    enum err err;     /* the first failure */
};

/* Checks `doc` (pack_check with these bounds) and starts to read it. `doc` is borrowed while the
 * reader and the spans it gave are in use. A failure stays in the reader too. */
enum err pack_reader_init(struct pack_reader *r, struct span doc, unsigned depth_max,
                          size_t items_max) MUST_USE;
/* ERR_OK, or the first failure: ERR_INVALID (another kind of value, an array read out), ERR_RANGE.
 */
enum err pack_reader_err(const struct pack_reader *r) MUST_USE;
/* Notes a failure of the caller's own (a bad name, say); only the first one counts. */
void pack_reader_fail(struct pack_reader *r, enum err err);

/* Opens the next value, an array of at least `min` items, and gives its count: 0 when it is not
 * one. `*outer` keeps what is needed to go on behind it. */
uint32_t pack_read_array(struct pack_reader *r, uint32_t min, uint32_t *outer);
/* Leaves the array that the matching pack_read_array opened; items not read are skipped. */
void pack_read_array_end(struct pack_reader *r, uint32_t outer);
/* The kind of the next value; PACK_NIL when there is none. */
enum pack_kind pack_read_peek(const struct pack_reader *r);
bool pack_read_bool(struct pack_reader *r);
uint64_t pack_read_u64(struct pack_reader *r);
/* As pack_read_u64, over `max`: ERR_RANGE. */
uint64_t pack_read_u64_max(struct pack_reader *r, uint64_t max);
int64_t pack_read_i64(struct pack_reader *r);
/* Bytes of a STR (any bytes: not checked to be UTF-8) or BIN, borrowed from the document. */
struct span pack_read_str(struct pack_reader *r);
struct span pack_read_bin(struct pack_reader *r);
/* A BIN of exactly `len` bytes, copied to `dst`; zeroes when it is not. */
void pack_read_bin_exact(struct pack_reader *r, void *dst, size_t len);
/* One value, whole. */
void pack_read_skip(struct pack_reader *r);

#endif
