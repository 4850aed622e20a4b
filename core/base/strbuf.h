/* String builder: growing (heap, bounded) or fixed (caller's storage).
 *
 * One owner, any thread. Appends never fail loudly: past the bound or out of memory the buffer is
 * marked `overflow`, keeps what it has, and strbuf_ok says no; test it once at the end. The text is
 * always NUL-terminated.
 */
#ifndef CORE_BASE_STRBUF_H
#define CORE_BASE_STRBUF_H

#include <stdarg.h>

#include "core/base/span.h"

struct strbuf {
    char *p; /* owned when `heap` */
    size_t len;
    size_t cap;
    size_t max; /* bytes, NUL included */
    bool heap;
    bool overflow;
};

/* Heap buffer that grows up to `max` bytes; end with strbuf_fini. */
void strbuf_init(struct strbuf *sb, size_t max);
/* Uses `storage` of `cap` > 0 bytes; nothing to free. */
void strbuf_init_fixed(struct strbuf *sb, char *storage, size_t cap);
void strbuf_fini(struct strbuf *sb);
void strbuf_reset(struct strbuf *sb);
bool strbuf_ok(const struct strbuf *sb);

void strbuf_add(struct strbuf *sb, const void *p, size_t len);
void strbuf_span(struct strbuf *sb, struct span s);
void strbuf_str(struct strbuf *sb, const char *s);
void strbuf_char(struct strbuf *sb, char c);
void strbuf_u64(struct strbuf *sb, uint64_t v);
void strbuf_fmt(struct strbuf *sb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strbuf_vfmt(struct strbuf *sb, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
/* Room for `len` more bytes, which count as written: the caller fills all of them. NULL: overflow.
 */
char *strbuf_room(struct strbuf *sb, size_t len);
/* Lower-case hex of `len` bytes. */
void strbuf_hex(struct strbuf *sb, const void *p, size_t len);
/* Base64 of `len` bytes with padding, in one line (RFC 4648 4). Not for secrets: its time tells of
 * them. */
void strbuf_base64(struct strbuf *sb, const void *p, size_t len);
struct span strbuf_view(const struct strbuf *sb);
/* Gives the heap text to the caller (free() it); the buffer is empty again. NULL on overflow or for
 * fixed storage. */
char *strbuf_take(struct strbuf *sb);

#endif
