/* DER (X.690): a strict reader over spans and a small writer for what we mint.
 *
 *   +-----+--------+-------------------+
 *   | tag | length | body              |   one element; low tag numbers only
 *   +-----+--------+-------------------+
 *           < 128: one byte; else 0x81 n or 0x82 n n, the shortest that fits
 *
 * Any thread, pure. The reader takes definite, minimal lengths up to 65535 and nothing else; it
 * never recurses, so that its depth is that of the caller's code. Spans it yields borrow the input.
 */
#ifndef CORE_CRYPTO_DER_H
#define CORE_CRYPTO_DER_H

#include "core/base/err.h"
#include "core/base/span.h"

#define DER_BOOLEAN          0x01u
#define DER_INTEGER          0x02u
#define DER_BIT_STRING       0x03u
#define DER_OCTET_STRING     0x04u
#define DER_OID              0x06u
#define DER_UTF8_STRING      0x0cu
#define DER_UTC_TIME         0x17u
#define DER_GENERALIZED_TIME 0x18u
#define DER_SEQUENCE         0x30u
#define DER_SET              0x31u
#define DER_CONTEXT          0x80u /* | number: [n] primitive */
#define DER_CONTEXT_CONS     0xa0u /* | number: [n] constructed */

/* The tag of the next element; 0 (reserved, never valid) when `in` is empty. */
unsigned der_peek(struct span in);
/* Takes the next element off `in` when it has tag `tag` and is well formed; its contents into
 * `*body`. On false nothing changes. */
bool der_take(struct span *in, unsigned tag, struct span *body);
/* As der_take for any tag; `*whole` is the element with its header. */
bool der_take_whole(struct span *in, unsigned *tag, struct span *whole, struct span *body);
/* Takes a BOOLEAN (0x00 or 0xff). */
bool der_take_bool(struct span *in, bool *out);
/* Takes a BIT STRING: its bytes and how many low bits of the last are unused (those must be 0). */
bool der_take_bits(struct span *in, struct span *bytes, unsigned *unused);
/* Takes a non-negative INTEGER of at most `max_bytes` bytes, minimally encoded; leading zero
 * stripped. */
bool der_take_uint(struct span *in, size_t max_bytes, struct span *bytes);

/* Writer: into caller's storage. Overflow is remembered and asked for once, by der_finish. */
#define DER_DEPTH_MAX 12u
struct der_writer {
    uint8_t *p; /* borrowed */
    size_t cap;
    size_t len;
    size_t start[DER_DEPTH_MAX]; /* of each open element's body */
    unsigned depth;
    bool overflow;
};

void der_init(struct der_writer *w, uint8_t *storage, size_t cap);
/* Opens a constructed element, or a string that wraps others; der_close writes its length. */
void der_open(struct der_writer *w, unsigned tag);
void der_close(struct der_writer *w);
void der_put(struct der_writer *w, unsigned tag, const void *body, size_t len);
/* A non-negative INTEGER from big-endian bytes. */
void der_put_uint(struct der_writer *w, const void *bytes, size_t len);
void der_put_bool(struct der_writer *w, bool value);
void der_put_bits(struct der_writer *w, unsigned unused, const void *bytes, size_t len);
/* Bytes that are DER already. */
void der_raw(struct der_writer *w, struct span der);
/* The length written; ERR_TOO_LARGE when the storage was too small. */
enum err der_finish(const struct der_writer *w, size_t *len) MUST_USE;

#endif
