/* HTTP/1.1 messages out: start lines, fields, framing (RFC 9112 3, 4, 6, 7.1).
 *
 * Any thread, pure. Everything is appended to a string builder of the caller's (usually fixed, in
 * an exchange's arena, sized by h1_emit_head_bytes); test strbuf_ok once at the end. What is
 * written has been checked on its way in, so nothing is escaped here.
 */
#ifndef CORE_WIRE_H1_EMIT_H
#define CORE_WIRE_H1_EMIT_H

#include "core/base/strbuf.h"
#include "core/wire/headers.h"

/* Bytes that hold a head with these fields, `extra` bytes of start line and added values and
 * H1_EMIT_ADDED_MAX added fields. */
#define H1_EMIT_ADDED_MAX 12u
size_t h1_emit_head_bytes(const struct headers *h, size_t extra);

void h1_emit_request_line(struct strbuf *out, struct span method, struct span path,
                          struct span query);
void h1_emit_status_line(struct strbuf *out, unsigned status);
void h1_emit_field(struct strbuf *out, struct span name, struct span value);
void h1_emit_headers(struct strbuf *out, const struct headers *h);
void h1_emit_length(struct strbuf *out, uint64_t content_length);
void h1_emit_chunked(struct strbuf *out);
/* The empty line. */
void h1_emit_end(struct strbuf *out);

/* The line before a chunk of `len` > 0 bytes; behind the chunk goes CRLF. Returns its length. */
#define H1_EMIT_CHUNK_BYTES 20u
size_t h1_emit_chunk_line(char dst[H1_EMIT_CHUNK_BYTES], size_t len);
/* The last chunk, the trailers (NULL: none) and the empty line. */
void h1_emit_last_chunk(struct strbuf *out, const struct headers *trailers);

/* The standard phrase, static; "" for a status without one. */
const char *h1_emit_phrase(unsigned status);

#endif
