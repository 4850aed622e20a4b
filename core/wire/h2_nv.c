#include "core/wire/h2_nv.h"

#include "core/base/check.h"

/* nghttp2 copies both; its structure is not const-correct. */
static nghttp2_nv nv_of(struct span name, struct span value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name.p, (uint8_t *)(uintptr_t)value.p, name.len,
                        value.len, NGHTTP2_NV_FLAG_NONE};
}

static void begin(struct h2_nv *l, uint32_t *indexed)
{
    l->count = 0;
    l->indexed = indexed;
}

static void add(struct h2_nv *l, struct span name, struct span value)
{
    CHECK(l->count < H2_NV_MAX);
    l->nv[l->count++] = nv_of(name, value);
}

static void add_status(struct h2_nv *l, unsigned status)
{
    l->status[0] = (char)('0' + status / 100 % 10);
    l->status[1] = (char)('0' + status / 10 % 10);
    l->status[2] = (char)('0' + status % 10);
    add(l, SPAN_LIT(":status"), span_of(l->status, sizeof(l->status)));
}

/* A bit for each name whose value is another one in every message; 0: it is none of them. */
static uint32_t changing(struct span name)
{
    switch (name.len) {
    case 11:
        if (span_eq(name, SPAN_LIT("parley-load"))) return 1u << 0;
        return span_eq(name, SPAN_LIT("traceparent")) ? 1u << 1 : 0;
    case 12:
        if (span_eq(name, SPAN_LIT("grpc-timeout"))) return 1u << 2;
        return span_eq(name, SPAN_LIT("x-request-id")) ? 1u << 3 : 0;
    case 17:
        return span_eq(name, SPAN_LIT("parley-request-id")) ? 1u << 4 : 0;
    default:
        return 0;
    }
}

static void add_length(struct h2_nv *l, uint64_t length)
{
    size_t at = sizeof(l->number);
    do {
        l->number[--at] = (char)('0' + length % 10);
        length /= 10;
    } while (length > 0);
    add(l, SPAN_LIT("content-length"), span_of(l->number + at, sizeof(l->number) - at));
}

static void add_fields(struct h2_nv *l, const struct mux_head *head)
{
    if (head->content_length >= 0) add_length(l, (uint64_t)head->content_length);
    for (size_t i = 0; head->headers != NULL && i < head->headers->count; i++) {
        const struct header *f = &head->headers->field[i];
        uint32_t bit = changing(f->name);
        add(l, f->name, f->value);
        if ((*l->indexed & bit) != 0) l->nv[l->count - 1].flags = NGHTTP2_NV_FLAG_NO_INDEX;
        *l->indexed |= bit;
    }
}

void h2_nv_request(struct h2_nv *l, const struct mux_head *head, uint32_t *indexed)
{
    begin(l, indexed);
    add(l, SPAN_LIT(":method"), head->method);
    if (head->scheme.len > 0) add(l, SPAN_LIT(":scheme"), head->scheme);
    if (head->authority.len > 0) add(l, SPAN_LIT(":authority"), head->authority);
    if (head->path.len > 0) add(l, SPAN_LIT(":path"), head->path);
    if (head->protocol.len > 0) add(l, SPAN_LIT(":protocol"), head->protocol);
    add_fields(l, head);
}

void h2_nv_response(struct h2_nv *l, const struct mux_head *head, uint32_t *indexed)
{
    begin(l, indexed);
    add_status(l, head->status);
    add_fields(l, head);
}

enum err h2_nv_trailers(nghttp2_session *session, int32_t id, const struct headers *trailers)
{
    nghttp2_nv nv[HEADER_FIELDS_MAX];
    for (size_t i = 0; i < trailers->count; i++)
        nv[i] = nv_of(trailers->field[i].name, trailers->field[i].value);
    return nghttp2_submit_trailer(session, id, nv, trailers->count) == 0 ? ERR_OK : ERR_NOMEM;
}
