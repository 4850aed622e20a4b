/* Any bytes as the beginning of a relayed connection. A header that was read is read the same
 * whatever follows it, was asked for in every shorter piece, and comes back from what is emitted
 * for its addresses. */
#include "core/base/check.h"
#include "core/wire/proxy_proto.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct proxy_proto *a, const struct proxy_proto *b)
{
    return addr_eq(&a->from, &b->from) && addr_eq(&a->to, &b->to);
}

static void check_pieces(const uint8_t *data, size_t bytes)
{
    struct proxy_proto p;
    for (size_t len = 0; len < bytes; len++) {
        char *piece = malloc(len + 1);
        CHECK(piece != NULL);
        memcpy(piece, data, len);
        CHECK(proxy_proto_parse(span_of(piece, len), &p) == ERR_MORE);
        free(piece);
    }
}

static void check_again(const struct proxy_proto *p)
{
    char text[PROXY_PROTO_EMIT_MAX];
    struct proxy_proto again;
    size_t len = proxy_proto_emit(p->version, &p->from, &p->to, text);
    CHECK(len <= sizeof text);
    CHECK(proxy_proto_parse(span_of(text, len), &again) == ERR_OK);
    CHECK(again.bytes == len && again.version == p->version && same(p, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_proto p, q;
    enum err err = proxy_proto_parse(span_of(data, size), &p);
    if (err != ERR_OK) {
        CHECK(err == ERR_MORE || err == ERR_PROTOCOL || err == ERR_TOO_LARGE);
        CHECK(err != ERR_MORE || size < PROXY_PROTO_V2_BYTES_MAX);
        return 0;
    }
    CHECK(p.bytes <= size && p.bytes <= PROXY_PROTO_V2_BYTES_MAX);
    CHECK(proxy_proto_parse(span_of(data, p.bytes), &q) == ERR_OK);
    CHECK(q.bytes == p.bytes && same(&p, &q));
    if (p.bytes <= 256) check_pieces(data, p.bytes);
    check_again(&p);
    return 0;
}
