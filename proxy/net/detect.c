#include "proxy/net/detect.h"

#include "core/base/check.h"
#include "core/base/strbuf.h"

#define FRAME_HEAD_BYTES 9u
#define SETTINGS         4

/* RFC 9113 3.4, and an empty SETTINGS frame. */
static const char h2_preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                 "\x00\x00\x00\x04\x00\x00\x00\x00\x00";

size_t detect_question(enum detect_question q, struct span host, char *out, size_t cap)
{
    struct strbuf text;
    strbuf_init_fixed(&text, out, cap);
    if (q == DETECT_ASK_H2)
        strbuf_span(&text, span_of(h2_preface, sizeof h2_preface - 1));
    else
        strbuf_fmt(&text,
                   "OPTIONS * HTTP/1.1\r\nhost: %.*s\r\nuser-agent: parley-detect/" PARLEY_VERSION
                   "\r\nconnection: close\r\n\r\n",
                   SPAN_ARG(host));
    return strbuf_ok(&text) ? text.len : 0;
}

/* Of a whole "HTTP/1.x NNN". 426 and 505 are about the version; 400 is what HTTP/2 servers with
 * manners answer to what they cannot read. */
static enum detect_answer response(struct span seen)
{
    static const struct span refusals[] = {{"400", 3}, {"426", 3}, {"505", 3}};
    struct span status = span_of(seen.p + 9, 3);
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        if (span_eq(status, refusals[i])) return DETECT_REFUSED;
    return DETECT_HTTP1;
}

static bool begins_alike(struct span seen, struct span with)
{
    size_t len = seen.len < with.len ? seen.len : with.len;
    return memcmp(seen.p, with.p, len) == 0;
}

/* RFC 9113 6.5: entries of six bytes, no ACK yet, stream 0. The first length bytes are never so
 * large. */
static bool begins_as_settings(struct span seen)
{
    const uint8_t *b = (const uint8_t *)seen.p;
    size_t len = seen.len < FRAME_HEAD_BYTES ? seen.len : FRAME_HEAD_BYTES;
    if (b[0] != 0) return false;
    if (len >= 3 && (b[1] * 256u + b[2]) % 6 != 0) return false;
    if (len >= 4 && b[3] != SETTINGS) return false;
    for (size_t i = 4; i < len; i++)
        if (b[i] != 0) return false;
    return true;
}

enum detect_answer detect_answer(struct span seen, bool ended)
{
    if (seen.len == 0) return ended ? DETECT_NOTHING : DETECT_MORE;
    if (begins_alike(seen, SPAN_LIT("HTTP/1."))) {
        if (seen.len >= DETECT_BYTES_MAX) return response(seen);
        return ended ? DETECT_BYTES : DETECT_MORE;
    }
    if (begins_as_settings(seen)) {
        if (seen.len >= FRAME_HEAD_BYTES) return DETECT_H2;
        return ended ? DETECT_BYTES : DETECT_MORE;
    }
    return DETECT_BYTES;
}

enum detect_verdict detect_judge(enum detect_answer h2, enum detect_answer h1,
                                 enum service_protocol *out)
{
    bool is_h1 = h2 == DETECT_HTTP1 || h2 == DETECT_REFUSED;
    if (!is_h1 && h1 == DETECT_MORE) return DETECT_ASK_ON;
    /* Who reads HTTP/1.1 is called in it: it may know no WebSockets in HTTP/2 (RFC 8441). */
    if (is_h1 || h1 == DETECT_HTTP1 || (h1 == DETECT_REFUSED && h2 != DETECT_H2))
        *out = PROTOCOL_HTTP;
    else if (h2 == DETECT_H2)
        *out = PROTOCOL_H2;
    else if (h2 == DETECT_BYTES && h1 == DETECT_BYTES)
        *out = PROTOCOL_TCP;
    else
        return DETECT_UNKNOWN;
    return DETECT_KNOWN;
}
