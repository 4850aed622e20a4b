/* Any bytes as a stream of requests, of responses, or of responses to HEAD (by the first byte).
 * What comes out does not depend on how the bytes were cut; a head that is accepted holds no
 * control bytes, and written again and read again it is the same. */
#include "core/base/check.h"
#include "core/wire/h1.h"
#include "core/wire/h1_emit.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGES_MAX 64u

struct result {
    unsigned messages;
    enum reason fault;
    uint64_t content; /* running hash of all content */
    uint64_t content_bytes;
    bool in_body;
};

struct reader {
    enum h1_kind kind;
    bool to_head;
    struct arena arena;
    struct h1_scan scan;
    struct h1 h1;
    char *head;
    size_t head_len;
    struct result r;
};

static void on_data(void *owner, struct span data)
{
    struct result *r = owner;
    for (size_t i = 0; i < data.len; i++)
        r->content = r->content * 1099511628211u ^ (unsigned char)data.p[i];
    r->content_bytes += data.len;
}

static void check_fields(const struct headers *h)
{
    for (size_t i = 0; i < h->count; i++) {
        CHECK(headers_token_valid(h->field[i].name));
        CHECK(headers_value_valid(h->field[i].value));
    }
}

/* The accepted head, written and read again. */
static void check_again(struct reader *r, const struct h1_head *head)
{
    struct headers *again = arena_alloc(&r->arena, sizeof *again);
    size_t cap = h1_emit_head_bytes(head->headers, head->method.len + head->target.len);
    char *text = arena_alloc(&r->arena, cap);
    struct h1_head second = {.headers = again};
    struct strbuf out;
    struct h1 h1;
    struct h1_scan scan = {.bytes = 0};
    size_t used;
    if (again == NULL || text == NULL) return;
    strbuf_init_fixed(&out, text, cap);
    if (r->kind == H1_REQUEST)
        h1_emit_request_line(&out, head->method, head->target, SPAN_LIT(""));
    else
        h1_emit_status_line(&out, head->status);
    h1_emit_headers(&out, head->headers);
    h1_emit_end(&out);
    CHECK(strbuf_ok(&out));
    /* A limit may be met that the first spelling just missed; HTTP/1.0 became 1.1. */
    if (h1_scan(&scan, r->kind, strbuf_view(&out), &used) != ERR_OK) return;
    CHECK(used == out.len);
    enum err err = r->kind == H1_REQUEST ? h1_request(&h1, text, out.len, &second)
                                         : h1_response(&h1, text, out.len, r->to_head, &second);
    if (head->version == H1_1_0) return;
    CHECK(err == ERR_OK);
    CHECK(span_eq(head->method, second.method) && span_eq(head->target, second.target));
    CHECK(head->status == second.status && head->body_length == second.body_length);
    CHECK(again->count == head->headers->count);
    for (size_t i = 0; i < again->count; i++) {
        CHECK(span_eq(again->field[i].name, head->headers->field[i].name));
        CHECK(span_eq(again->field[i].value, head->headers->field[i].value));
    }
}

static void head_done(struct reader *r)
{
    struct headers *h = arena_alloc(&r->arena, sizeof *h);
    struct h1_head head = {.headers = h};
    size_t len = r->head_len - r->scan.skipped;
    char *text = arena_dup(&r->arena, r->head + r->scan.skipped, len);
    CHECK(h != NULL && text != NULL);
    enum err err = r->kind == H1_REQUEST ? h1_request(&r->h1, text, len, &head)
                                         : h1_response(&r->h1, text, len, r->to_head, &head);
    if (err != ERR_OK) {
        r->r.fault = r->h1.fault;
        CHECK(r->r.fault != REASON_NONE);
        return;
    }
    check_fields(h);
    check_again(r, &head);
    r->r.in_body = !r->h1.done;
    r->r.messages += r->h1.done;
    r->head_len = 0;
    r->scan = (struct h1_scan){.bytes = 0};
}

static size_t feed(struct reader *r, struct span in)
{
    struct h1_sink sink = {on_data, &r->r};
    size_t used = 0;
    if (!r->r.in_body) {
        enum err err = h1_scan(&r->scan, r->kind, in, &used);
        if (err == ERR_INVALID) {
            r->r.fault = r->scan.fault;
            return in.len;
        }
        CHECK(r->head_len + used <= HEADER_BYTES_MAX);
        memcpy(r->head + r->head_len, in.p, used);
        r->head_len += used;
        if (err == ERR_OK) head_done(r);
        return used;
    }
    if (h1_body(&r->h1, &r->arena, in, &sink, &used) != ERR_OK) {
        r->r.fault = r->h1.fault;
        return in.len;
    }
    CHECK(used <= in.len && (r->h1.done || used == in.len));
    if (r->h1.done) {
        if (r->h1.trailers != NULL) check_fields(r->h1.trailers);
        r->r.in_body = false;
        r->r.messages++;
    }
    return used;
}

static struct result read_all(enum h1_kind kind, bool to_head, struct span in, size_t step)
{
    struct reader *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    r->kind = kind;
    r->to_head = to_head;
    r->head = malloc(HEADER_BYTES_MAX);
    CHECK(r->head != NULL);
    arena_init(&r->arena, 65536, (size_t)64 << 20);
    for (size_t at = 0; at < in.len && r->r.fault == REASON_NONE && r->r.messages < MESSAGES_MAX;) {
        struct span piece = span_skip(in, at);
        if (piece.len > step) piece.len = step;
        at += feed(r, piece);
    }
    struct result result = r->r;
    arena_fini(&r->arena);
    free(r->head);
    free(r);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    enum h1_kind kind = data[0] % 3 == 0 ? H1_REQUEST : H1_RESPONSE;
    bool to_head = data[0] % 3 == 2;
    struct span in = span_of(data + 1, size - 1);
    struct result whole = read_all(kind, to_head, in, SIZE_MAX);
    struct result cut = read_all(kind, to_head, in, 1 + data[0] / 3 % 7);
    CHECK(whole.messages == cut.messages);
    CHECK((whole.fault == REASON_NONE) == (cut.fault == REASON_NONE));
    if (whole.fault == REASON_NONE) {
        CHECK(whole.content == cut.content && whole.content_bytes == cut.content_bytes);
        CHECK(whole.in_body == cut.in_body);
    }
    return 0;
}
