#include "core/wire/mux_head.h"

#define COOKIE_BYTES_MIN 1024u

void mux_head_begin(struct mux_stream *s)
{
    s->head = (struct mux_head){.headers = s->fields, .content_length = -1};
    s->fields->count = s->fields->bytes = 0;
    s->cookie_cap_bytes = 0;
}

/* In a buffer that doubles. */
bool mux_head_cookie(struct mux_stream *s, struct span value)
{
    struct headers *fields = s->fields;
    for (size_t i = 0; i < fields->count; i++) {
        struct header *f = &fields->field[i];
        if (!span_eq(f->name, SPAN_LIT("cookie"))) continue;
        size_t len = f->value.len + 2 + value.len;
        if (fields->bytes + 2 + value.len > HEADER_BYTES_MAX) return false;
        if (len > s->cookie_cap_bytes) {
            size_t cap = len < COOKIE_BYTES_MIN ? COOKIE_BYTES_MIN : 2 * len;
            char *grown = arena_alloc(s->arena, cap);
            if (grown == NULL) return false;
            memcpy(grown, f->value.p, f->value.len);
            f->value.p = grown;
            s->cookie_cap_bytes = cap;
        }
        /* The buffer is the arena's, ours to write behind the span. */
        char *end = (char *)(uintptr_t)f->value.p + f->value.len;
        memcpy(end, "; ", 2);
        memcpy(end + 2, value.p, value.len);
        f->value.len = len;
        fields->bytes += 2 + value.len;
        return true;
    }
    struct span first = arena_span(s->arena, value);
    return first.p != NULL && headers_add(fields, SPAN_LIT("cookie"), first) == ERR_OK;
}

static struct span *pseudo_field(struct mux_head *head, struct span name)
{
    if (span_eq(name, SPAN_LIT(":method"))) return &head->method;
    if (span_eq(name, SPAN_LIT(":scheme"))) return &head->scheme;
    if (span_eq(name, SPAN_LIT(":authority"))) return &head->authority;
    if (span_eq(name, SPAN_LIT(":path"))) return &head->path;
    if (span_eq(name, SPAN_LIT(":protocol"))) return &head->protocol;
    return NULL;
}

bool mux_head_field(struct mux_stream *s, struct span name, struct span value)
{
    if (span_eq(name, SPAN_LIT(":status"))) {
        uint64_t status = 0;
        bool number = span_u64(value, &status);
        s->head.status = number && status < 1000 ? (unsigned)status : 0;
        return true;
    }
    if (span_eq(name, SPAN_LIT("content-length"))) {
        uint64_t length;
        if (span_u64(value, &length) && length <= INT64_MAX)
            s->head.content_length = (int64_t)length;
        return true;
    }
    if (name.len + value.len > HEADER_LINE_BYTES_MAX) return false;
    if (span_eq(name, SPAN_LIT("cookie"))) return mux_head_cookie(s, value);
    char *text = arena_alloc(s->arena, name.len + value.len);
    if (text == NULL) return false;
    memcpy(text, name.p, name.len);
    memcpy(text + name.len, value.p, value.len);
    struct span kept = span_of(text + name.len, value.len);
    struct span *pseudo = name.p[0] == ':' ? pseudo_field(&s->head, name) : NULL;
    if (pseudo != NULL) {
        *pseudo = kept;
        return true;
    }
    return headers_add(s->fields, span_of(text, name.len), kept) == ERR_OK;
}
