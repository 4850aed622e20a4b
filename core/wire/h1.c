#include "core/wire/h1.h"

#include <assert.h>

#include "core/base/check.h"

#include <llhttp/llhttp.h>

static_assert(sizeof(llhttp_t) <= H1_PARSER_BYTES, "struct h1 holds an llhttp_t");
static_assert(_Alignof(llhttp_t) <= 8, "struct h1 aligns an llhttp_t");

/* 15 digits hold every length below 2^60; no sum with one can wrap (A23, A24). */
#define CHUNK_DIGITS_MAX 15u

enum chunk_state {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER_START,
    CHUNK_TRAILER,
    CHUNK_TRAILER_LF,
    CHUNK_END_LF,
    CHUNK_END
};

struct h1_trailers {
    char text[TRAILER_BYTES_MAX]; /* lines without their ends, one behind the other */
    uint32_t len, line_at;
};

/* What the callbacks of one llhttp_execute work on; on the caller's stack. */
struct h1_call {
    struct h1 *p;
    struct h1_head *head;
    char *base; /* the head's bytes, writable */
    struct span name, value;
    bool to_head;
    bool length_seen, coding_seen, host_seen, upgrade_seen, upgrade_asked, close, keep;
    const struct h1_sink *sink;
    const char *checked; /* framing before this has been looked at */
};

static llhttp_t *parser_of(struct h1 *p)
{
    return (llhttp_t *)(void *)p->parser;
}

static int refuse(struct h1_call *call, enum reason reason)
{
    call->p->fault = reason;
    return -1;
}

/* --- fields of a head --- */

static int note_length(struct h1_call *call, struct span value)
{
    uint64_t length;
    /* RFC 9112 6.3: digits, once; a list of equal values is refused too (A05). */
    if (call->length_seen || !span_u64(value, &length) || length > INT64_MAX)
        return refuse(call, REASON_BAD_REQUEST);
    call->length_seen = true;
    call->head->content_length = (int64_t)length;
    return 0;
}

static int note_coding(struct h1_call *call, struct span value)
{
    /* RFC 9112 6.1: chunked is the one coding we know, and it may be applied once (A13-A18). */
    if (call->coding_seen || !span_eq_nocase(value, SPAN_LIT("chunked")))
        return refuse(call, REASON_BAD_REQUEST);
    call->coding_seen = true;
    return 0;
}

static int note_host(struct h1_call *call, struct span value)
{
    if (call->host_seen) return refuse(call, REASON_BAD_REQUEST);
    call->host_seen = true;
    call->head->host = value;
    return 0;
}

static int note_expect(struct h1_call *call, struct span value)
{
    if (call->p->kind != H1_REQUEST) return 0;
    if (!span_eq_nocase(value, SPAN_LIT("100-continue")))
        return refuse(call, REASON_EXPECTATION_FAILED);
    call->head->expect_continue = true;
    return 0;
}

static int note_field(struct h1_call *call, struct span name, struct span value)
{
    if (memchr(name.p, '_', name.len) != NULL &&
        (headers_alias(name, "content-length") || headers_alias(name, "transfer-encoding") ||
         headers_alias(name, "host")))
        return refuse(call, REASON_BAD_REQUEST);
    switch (name.len) {
    case 4:
        if (span_eq(name, SPAN_LIT("host"))) return note_host(call, value);
        return 0;
    case 6:
        if (span_eq(name, SPAN_LIT("expect"))) return note_expect(call, value);
        return 0;
    case 7:
        if (!span_eq(name, SPAN_LIT("upgrade"))) return 0;
        call->head->upgrade = call->upgrade_seen ? (struct span){NULL, 0} : value;
        call->upgrade_seen = true;
        return 0;
    case 10:
        if (!span_eq(name, SPAN_LIT("connection"))) return 0;
        call->close |= headers_list_has(value, "close");
        call->keep |= headers_list_has(value, "keep-alive");
        call->upgrade_asked |= headers_list_has(value, "upgrade");
        return 0;
    case 14:
        if (span_eq(name, SPAN_LIT("content-length"))) return note_length(call, value);
        return 0;
    case 17:
        if (span_eq(name, SPAN_LIT("transfer-encoding"))) return note_coding(call, value);
        return 0;
    default:
        return 0;
    }
}

/* llhttp may give a name or value in several pieces; in one buffer they are neighbours. */
static void extend(struct span *s, const char *at, size_t len)
{
    if (s->p != NULL && s->p + s->len == at)
        s->len += len;
    else
        *s = span_of(at, len);
}

static int head_field_end(struct h1_call *call)
{
    struct span name = call->name, value = span_trim(call->value);
    call->name = call->value = (struct span){NULL, 0};
    if (name.len == 0 || !headers_value_valid(value) ||
        !headers_name_lower(call->base + (name.p - call->base), name.len))
        return refuse(call, REASON_BAD_REQUEST);
    if (headers_add(call->head->headers, name, value) != ERR_OK)
        return refuse(call, REASON_HEADERS_TOO_LARGE);
    return note_field(call, name, value);
}

/* --- our own look at chunk framing: what stands between the pieces of content --- */

static enum chunk_state chunk_size_byte(struct h1 *p, unsigned char c, bool *bad)
{
    bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (digit) {
        p->chunk_last &= c == '0';
        *bad = ++p->chunk_digits > CHUNK_DIGITS_MAX;
        return CHUNK_SIZE;
    }
    *bad = p->chunk_digits == 0 || (c != ';' && c != '\r');
    return c == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
}

static enum chunk_state chunk_byte(struct h1 *p, unsigned char c, bool *bad)
{
    switch ((enum chunk_state)p->chunk_state) {
    case CHUNK_SIZE:
        return chunk_size_byte(p, c, bad);
    case CHUNK_EXTENSION:
        if (c == '\r') return CHUNK_SIZE_LF;
        /* Visible characters only: no space, no bare line end to disagree about (A22, A26). */
        *bad = c <= 0x20 || c >= 0x7f || ++p->chunk_excess_bytes > CHUNK_EXT_BYTES_MAX;
        return CHUNK_EXTENSION;
    case CHUNK_SIZE_LF:
        *bad = c != '\n';
        return p->chunk_last ? CHUNK_TRAILER_START : CHUNK_DATA_CR;
    case CHUNK_DATA_CR:
        *bad = c != '\r';
        return CHUNK_DATA_LF;
    case CHUNK_DATA_LF:
        *bad = c != '\n';
        p->chunk_last = true;
        p->chunk_digits = 0;
        return CHUNK_SIZE;
    case CHUNK_TRAILER_START:
        *bad = c == ' ' || c == '\t' || c == '\n';
        return c == '\r' ? CHUNK_END_LF : CHUNK_TRAILER;
    case CHUNK_TRAILER:
        *bad = c == '\n';
        return c == '\r' ? CHUNK_TRAILER_LF : CHUNK_TRAILER;
    case CHUNK_TRAILER_LF:
        *bad = c != '\n';
        return CHUNK_TRAILER_START;
    case CHUNK_END_LF:
        *bad = c != '\n';
        return CHUNK_END;
    case CHUNK_END:
        break;
    }
    *bad = true;
    return CHUNK_SIZE;
}

/* Looks at the framing up to `end`. */
static int chunk_check(struct h1_call *call, const char *end)
{
    struct h1 *p = call->p;
    if (!p->chunked) return 0;
    for (; call->checked < end; call->checked++) {
        bool bad = false;
        p->chunk_state = (uint8_t)chunk_byte(p, (unsigned char)*call->checked, &bad);
        if (bad) return refuse(call, REASON_BAD_REQUEST);
    }
    return 0;
}

/* --- trailers: ours alone, since llhttp takes a length in them for the message's --- */

static enum err trailer_line(struct h1 *p)
{
    struct h1_trailers *t = p->text;
    struct span line = span_of(t->text + t->line_at, t->len - t->line_at), value;
    struct span name = span_cut(line, ':', &value);
    value = span_trim(value);
    if (value.p == NULL || !headers_name_lower(t->text + t->line_at, name.len) ||
        !headers_value_valid(value))
        return ERR_INVALID;
    t->line_at = t->len;
    if (!headers_trailer_allowed(name)) return ERR_OK;
    return headers_add(p->trailers, name, value) == ERR_OK ? ERR_OK : ERR_TOO_LARGE;
}

static enum err trailer_byte(struct h1 *p, struct arena *arena, char c)
{
    enum chunk_state before = (enum chunk_state)p->chunk_state;
    bool bad = false;
    p->chunk_state = (uint8_t)chunk_byte(p, (unsigned char)c, &bad);
    if (bad) return ERR_INVALID;
    if (before == CHUNK_TRAILER_LF) return trailer_line(p);
    if (p->chunk_state != CHUNK_TRAILER) return ERR_OK;
    if (p->text == NULL) {
        p->text = arena_alloc(arena, sizeof *p->text);
        p->trailers = arena_alloc(arena, sizeof *p->trailers);
        if (p->text == NULL || p->trailers == NULL) return ERR_NOMEM;
    }
    if (p->text->len == TRAILER_BYTES_MAX) return ERR_TOO_LARGE;
    p->text->text[p->text->len++] = c;
    return ERR_OK;
}

static enum err trailers(struct h1 *p, struct arena *arena, struct span in, size_t *used)
{
    for (size_t i = 0; i < in.len; i++) {
        enum err err = trailer_byte(p, arena, in.p[i]);
        if (err == ERR_TOO_LARGE) p->fault = REASON_HEADERS_TOO_LARGE;
        if (err == ERR_NOMEM) p->fault = REASON_INTERNAL;
        if (err == ERR_INVALID) p->fault = REASON_BAD_REQUEST;
        if (err != ERR_OK) return ERR_INVALID;
        if (p->chunk_state != CHUNK_END) continue;
        p->done = true;
        *used = i + 1;
        return ERR_OK;
    }
    *used = in.len;
    return ERR_OK;
}

/* --- llhttp callbacks --- */

static int on_method(llhttp_t *l, const char *at, size_t len)
{
    struct h1_call *call = l->data;
    extend(&call->head->method, at, len);
    return 0;
}

static int on_url(llhttp_t *l, const char *at, size_t len)
{
    struct h1_call *call = l->data;
    extend(&call->head->target, at, len);
    return 0;
}

static int on_status(llhttp_t *l, const char *at, size_t len)
{
    struct h1_call *call = l->data;
    extend(&call->head->phrase, at, len);
    return 0;
}

static int on_header_field(llhttp_t *l, const char *at, size_t len)
{
    struct h1_call *call = l->data;
    extend(&call->name, at, len);
    return 0;
}

static int on_header_value(llhttp_t *l, const char *at, size_t len)
{
    struct h1_call *call = l->data;
    extend(&call->value, at, len);
    return 0;
}

static int on_header_value_complete(llhttp_t *l)
{
    return head_field_end(l->data);
}

static bool response_without_body(const struct h1_call *call, unsigned status)
{
    /* RFC 9112 6.3 items 1 and 2. */
    return call->to_head || status < 200 || status == 204 || status == 304;
}

static int on_headers_complete(llhttp_t *l)
{
    struct h1_call *call = l->data;
    /* Whether a tunnel follows is the exchange's decision, from the whole message. */
    l->upgrade = 0;
    bool no_body = l->type == HTTP_RESPONSE && response_without_body(call, l->status_code);
    return no_body ? 1 : 0;
}

static int on_body(llhttp_t *l, const char *at, size_t len)
{
    struct h1_call *call = l->data;
    int failed = chunk_check(call, at);
    if (failed != 0) return failed;
    call->checked = at + len;
    call->sink->on_data(call->sink->owner, span_of(at, len));
    return 0;
}

static int on_chunk_header(llhttp_t *l)
{
    /* The last chunk: what follows are trailers. */
    return l->content_length == 0 ? HPE_PAUSED : 0;
}

static int on_message_complete(llhttp_t *l)
{
    struct h1_call *call = l->data;
    call->p->done = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_method = on_method,
    .on_url = on_url,
    .on_status = on_status,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_header = on_chunk_header,
    .on_message_complete = on_message_complete,
};

/* --- heads --- */

static enum err fail(struct h1 *p, enum reason reason)
{
    if (p->fault == REASON_NONE) p->fault = reason;
    return ERR_INVALID;
}

static void head_begin(struct h1 *p, enum h1_kind kind, struct h1_call *call, struct h1_head *out)
{
    struct headers *headers = out->headers;
    memset(p, 0, sizeof *p);
    p->kind = kind;
    p->chunk_last = true;
    headers->count = headers->bytes = 0;
    *out = (struct h1_head){.headers = headers, .content_length = -1};
    call->p = p;
    call->head = out;
    llhttp_init(parser_of(p), kind == H1_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
    parser_of(p)->data = call;
}

/* Runs llhttp over the head and checks what both kinds share. */
static enum err head_run(struct h1 *p, struct h1_call *call, char *head, size_t len)
{
    llhttp_t *l = parser_of(p);
    call->base = head;
    llhttp_errno_t code = llhttp_execute(l, head, len);
    l->data = NULL;
    if (code != HPE_OK && !(code == HPE_PAUSED && p->done)) return fail(p, REASON_BAD_REQUEST);
    if (code == HPE_PAUSED && llhttp_get_error_pos(l) != head + len)
        return fail(p, REASON_BAD_REQUEST);
    struct h1_head *out = call->head;
    if (l->http_major != 1 || l->http_minor > 1)
        return fail(p, l->http_major == 0 ? REASON_BAD_REQUEST : REASON_VERSION_NOT_SUPPORTED);
    out->version = l->http_minor == 1 ? H1_1_1 : H1_1_0;
    /* RFC 9112 6.3 item 3: both lengths present, refuse rather than guess. 6.1: no transfer coding
     * below HTTP/1.1. */
    if (call->coding_seen && (call->length_seen || out->version == H1_1_0))
        return fail(p, REASON_BAD_REQUEST);
    p->chunked = call->coding_seen && !p->done;
    out->keep_alive = !call->close && (out->version == H1_1_1 || call->keep);
    if (!call->upgrade_asked || out->version == H1_1_0) out->upgrade = (struct span){NULL, 0};
    return ERR_OK;
}

enum err h1_request(struct h1 *p, char *head, size_t len, struct h1_head *out)
{
    struct h1_call call = {.to_head = false};
    head_begin(p, H1_REQUEST, &call, out);
    enum err err = head_run(p, &call, head, len);
    if (err != ERR_OK) return err;
    if (out->target.len > TARGET_BYTES_MAX) return fail(p, REASON_TARGET_TOO_LONG);
    /* RFC 9112 3.2.3: the authority form and no other. */
    if (span_eq(out->method, SPAN_LIT("CONNECT")) && out->target.p[0] == '/')
        return fail(p, REASON_BAD_REQUEST);
    /* RFC 9112 3.2. */
    if (!call.host_seen && out->version == H1_1_1) return fail(p, REASON_BAD_REQUEST);
    /* RFC 9110 10.1.1: an HTTP/1.0 client cannot wait for an interim response. */
    if (out->version == H1_1_0) out->expect_continue = false;
    if (call.coding_seen)
        out->body_length = H1_LENGTH_UNKNOWN;
    else
        out->body_length = call.length_seen ? out->content_length : H1_LENGTH_NONE;
    return ERR_OK;
}

enum err h1_response(struct h1 *p, char *head, size_t len, bool to_head, struct h1_head *out)
{
    struct h1_call call = {.to_head = to_head};
    head_begin(p, H1_RESPONSE, &call, out);
    enum err err = head_run(p, &call, head, len);
    if (err != ERR_OK) return err;
    /* llhttp reads any three digits or fewer. */
    out->status = parser_of(p)->status_code;
    if (out->status < 100 || out->status > 599) return fail(p, REASON_BAD_REQUEST);
    if (response_without_body(&call, out->status)) {
        out->body_length = H1_LENGTH_NONE;
    } else if (call.length_seen) {
        out->body_length = out->content_length;
    } else {
        out->body_length = H1_LENGTH_UNKNOWN;
        p->until_close = !call.coding_seen;
    }
    if (p->until_close) out->keep_alive = false;
    return ERR_OK;
}

/* --- bodies --- */

enum err h1_body(struct h1 *p, struct arena *arena, struct span in, const struct h1_sink *sink,
                 size_t *used)
{
    CHECK(!p->done && p->fault == REASON_NONE);
    if (p->in_trailers) return trailers(p, arena, in, used);
    llhttp_t *l = parser_of(p);
    struct h1_call call = {.p = p, .sink = sink, .checked = in.p};
    l->data = &call;
    llhttp_errno_t code = llhttp_execute(l, in.p, in.len);
    l->data = NULL;
    if (code != HPE_OK && code != HPE_PAUSED) return fail(p, REASON_BAD_REQUEST);
    const char *end = code == HPE_PAUSED ? llhttp_get_error_pos(l) : in.p + in.len;
    if (chunk_check(&call, end) != 0) return ERR_INVALID;
    size_t taken = (size_t)(end - in.p), more = 0;
    if (code == HPE_PAUSED && !p->done) {
        if (p->chunk_state != CHUNK_TRAILER_START) return fail(p, REASON_BAD_REQUEST);
        p->in_trailers = true;
        enum err err = trailers(p, arena, span_skip(in, taken), &more);
        if (err != ERR_OK) return err;
    }
    *used = taken + more;
    return ERR_OK;
}

enum err h1_finish(struct h1 *p)
{
    if (!p->until_close || p->fault != REASON_NONE) return fail(p, REASON_BAD_REQUEST);
    p->done = true;
    return ERR_OK;
}
