/* Any bytes as the beginning of a connection. A hello that was read stays the same hello however
 * many bytes follow it, and what it holds is text. */
#include "core/base/check.h"
#include "core/wire/tls_peek.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct tls_peek *a, const struct tls_peek *b)
{
    if (strcmp(a->sni, b->sni) != 0 || a->alpn_count != b->alpn_count) return false;
    for (unsigned i = 0; i < a->alpn_count; i++)
        if (!tls_peek_offers(b, a->alpn[i])) return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tls_peek p, q;
    enum err err = tls_peek_hello(span_of(data, size), &p);
    if (err != ERR_OK) {
        CHECK(err == ERR_MORE || err == ERR_PROTOCOL || err == ERR_TOO_LARGE);
        CHECK(err != ERR_MORE || size < TLS_PEEK_BYTES_MAX);
        return 0;
    }
    CHECK(p.alpn_count <= TLS_PEEK_ALPN_MAX);
    for (const char *c = p.sni; *c != '\0'; c++)
        CHECK(*c > 0x20 && *c < 0x7f && !(*c >= 'A' && *c <= 'Z'));
    uint8_t *longer = calloc(1, size + 64);
    CHECK(longer != NULL);
    memcpy(longer, data, size);
    CHECK(tls_peek_hello(span_of(longer, size + 64), &q) == ERR_OK);
    CHECK(same(&p, &q));
    free(longer);
    return 0;
}
