#include "core/wire/h1_emit.h"

#include "core/base/check.h"

/* The bytes of `s` at `at`; where the next go. */
static inline char *put(char *at, struct span s)
{
    if (s.len > 0) memcpy(at, s.p, s.len);
    return at + s.len;
}

size_t h1_emit_head_bytes(const struct headers *h, size_t extra)
{
    /* ": " and CRLF a field; the longest name we add has fewer than 32 bytes. Heads are bounded, so
     * the sum cannot wrap. */
    return h->bytes + 4 * h->count + extra + H1_EMIT_ADDED_MAX * 36 + 64;
}

void h1_emit_request_line(struct strbuf *out, struct span method, struct span path,
                          struct span query)
{
    static const char version[] = " HTTP/1.1\r\n";
    char *at = strbuf_room(out, method.len + 1 + path.len + query.len + sizeof version - 1);
    if (at == NULL) return;
    at = put(at, method);
    *at++ = ' ';
    at = put(at, path);
    at = put(at, query);
    memcpy(at, version, sizeof version - 1);
}

void h1_emit_status_line(struct strbuf *out, unsigned status)
{
    struct span phrase = span_str(h1_emit_phrase(status));
    char *at = strbuf_room(out, 13 + phrase.len + 2);
    if (at == NULL) return;
    at = put(at, SPAN_LIT("HTTP/1.1 "));
    *at++ = (char)('0' + status / 100 % 10);
    *at++ = (char)('0' + status / 10 % 10);
    *at++ = (char)('0' + status % 10);
    *at++ = ' ';
    at = put(at, phrase);
    memcpy(at, "\r\n", 2);
}

void h1_emit_field(struct strbuf *out, struct span name, struct span value)
{
    char *at = strbuf_room(out, name.len + value.len + 4);
    if (at == NULL) return;
    at = put(at, name);
    memcpy(at, ": ", 2);
    at = put(at + 2, value);
    memcpy(at, "\r\n", 2);
}

void h1_emit_headers(struct strbuf *out, const struct headers *h)
{
    for (size_t i = 0; i < h->count; i++)
        h1_emit_field(out, h->field[i].name, h->field[i].value);
}

void h1_emit_length(struct strbuf *out, uint64_t content_length)
{
    strbuf_str(out, "content-length: ");
    strbuf_u64(out, content_length);
    strbuf_add(out, "\r\n", 2);
}

void h1_emit_chunked(struct strbuf *out)
{
    strbuf_str(out, "transfer-encoding: chunked\r\n");
}

void h1_emit_end(struct strbuf *out)
{
    strbuf_add(out, "\r\n", 2);
}

size_t h1_emit_chunk_line(char dst[H1_EMIT_CHUNK_BYTES], size_t len)
{
    static const char hex[] = "0123456789abcdef";
    char digits[16];
    size_t count = 0, at = 0;
    CHECK(len > 0);
    for (; len > 0; len >>= 4)
        digits[count++] = hex[len & 15];
    while (count > 0)
        dst[at++] = digits[--count];
    dst[at++] = '\r';
    dst[at++] = '\n';
    return at;
}

void h1_emit_last_chunk(struct strbuf *out, const struct headers *trailers)
{
    strbuf_add(out, "0\r\n", 3);
    if (trailers != NULL) h1_emit_headers(out, trailers);
    strbuf_add(out, "\r\n", 2);
}

const char *h1_emit_phrase(unsigned status)
{
    static const struct {
        unsigned status;
        const char *phrase;
    } table[] = {
        {200, "OK"},
        {100, "Continue"},
        {101, "Switching Protocols"},
        {102, "Processing"},
        {103, "Early Hints"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {300, "Multiple Choices"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {425, "Too Early"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {508, "Loop Detected"},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].status == status) return table[i].phrase;
    return "";
}
