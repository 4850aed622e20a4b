#include "core/wire/h1.h"

/* Method, two spaces and " HTTP/1.1" around the longest target. */
#define REQUEST_LINE_EXTRA_BYTES 64u

static enum err fault(struct h1_scan *scan, enum reason reason)
{
    scan->fault = reason;
    return ERR_INVALID;
}

/* Looks at the bytes of one line that arrived together. */
static enum err line_part(struct h1_scan *scan, enum h1_kind kind, struct span part)
{
    if (part.len == 0) return ERR_OK;
    if (scan->line_bytes == 0) {
        /* RFC 9112 2.2 and 5.2: no space before the first field, no folded line. A first byte that
         * starts no method and no version is no HTTP at all: say so without waiting for a line. */
        bool fold = part.p[0] == ' ' || part.p[0] == '\t';
        bool text = scan->lines > 0 || headers_token_valid(span_of(part.p, 1));
        if (fold || !text) return fault(scan, REASON_BAD_REQUEST);
    }
    if (scan->lines == 0)
        for (size_t i = 0; i < part.len && scan->spaces < 3; i++)
            scan->spaces = (uint8_t)(scan->spaces + (part.p[i] == ' '));
    scan->line_bytes += (uint32_t)part.len;
    if (scan->lines == 0 && kind == H1_REQUEST) {
        if (scan->line_bytes > TARGET_BYTES_MAX + REQUEST_LINE_EXTRA_BYTES)
            return fault(scan, REASON_TARGET_TOO_LONG);
    } else if (scan->line_bytes > HEADER_LINE_BYTES_MAX) {
        return fault(scan, REASON_HEADERS_TOO_LARGE);
    }
    return ERR_OK;
}

/* A line has ended with CRLF. ERR_OK: it was the empty one behind the head; ERR_MORE: go on. */
static enum err line_end(struct h1_scan *scan, enum h1_kind kind)
{
    if (scan->line_bytes == 0) {
        if (scan->lines > 0) return ERR_OK;
        /* RFC 9112 2.2: a server ignores at least one empty line before a request; more are refused
         * (B25). */
        if (kind != H1_REQUEST || scan->skipped > 0) return fault(scan, REASON_BAD_REQUEST);
        scan->skipped = 2;
        return ERR_MORE;
    }
    /* RFC 9112 3: method SP target SP version; known before the rest of the head (B20). */
    if (scan->lines == 0 && kind == H1_REQUEST && scan->spaces != 2)
        return fault(scan, REASON_BAD_REQUEST);
    if (scan->lines == HEADER_FIELDS_MAX + 1) return fault(scan, REASON_HEADERS_TOO_LARGE);
    scan->lines++;
    scan->line_bytes = 0;
    return ERR_MORE;
}

/* Takes bytes up to the end of a line or of `in`, whichever comes first. */
static enum err take_line(struct h1_scan *scan, enum h1_kind kind, struct span in, size_t *taken)
{
    if (scan->cr) {
        if (in.p[0] != '\n') return fault(scan, REASON_BAD_REQUEST);
        scan->cr = false;
        *taken = 1;
        return line_end(scan, kind);
    }
    const char *lf = memchr(in.p, '\n', in.len);
    size_t len = lf != NULL ? (size_t)(lf - in.p) : in.len;
    const char *cr = len > 0 ? memchr(in.p, '\r', len) : NULL;
    /* Each CR stands before an LF and each LF behind a CR (B07, B10). */
    if (cr != NULL ? (size_t)(cr - in.p) != len - 1 : lf != NULL)
        return fault(scan, REASON_BAD_REQUEST);
    enum err err = line_part(scan, kind, span_of(in.p, cr != NULL ? len - 1 : len));
    if (err != ERR_OK) return err;
    *taken = len;
    if (lf == NULL) {
        scan->cr = cr != NULL;
        return ERR_MORE;
    }
    *taken = len + 1;
    return line_end(scan, kind);
}

enum err h1_scan(struct h1_scan *scan, enum h1_kind kind, struct span in, size_t *used)
{
    size_t at = 0;
    while (at < in.len) {
        size_t taken = 0;
        enum err err = take_line(scan, kind, span_skip(in, at), &taken);
        if (err == ERR_INVALID) return err;
        at += taken;
        scan->bytes += (uint32_t)taken;
        if (scan->bytes > HEADER_BYTES_MAX) return fault(scan, REASON_HEADERS_TOO_LARGE);
        if (err == ERR_OK) {
            *used = at;
            return ERR_OK;
        }
    }
    *used = in.len;
    return ERR_MORE;
}
