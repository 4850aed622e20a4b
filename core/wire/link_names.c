#include "core/wire/link_names.h"

#include <assert.h>

#include "core/base/check.h"

/* In the order of their numbers, from 1. */
/* clang-format off */
#define LINK_NAMES(X)                                                                              \
    X(":authority") X(":path") X(":protocol") X("accept") X("accept-encoding")                     \
    X("accept-language") X("accept-ranges") X("access-control-allow-origin") X("age")              \
    X("authorization") X("baggage") X("cache-control") X("content-disposition")                    \
    X("content-encoding") X("content-language") X("content-range") X("content-type")               \
    X("cookie") X("date") X("etag") X("expect") X("expires") X("forwarded")                        \
    X("grpc-accept-encoding") X("grpc-encoding") X("grpc-message") X("grpc-status")                \
    X("grpc-timeout") X("if-modified-since") X("if-none-match") X("last-modified") X("link")       \
    X("location") X("origin") X("parley-attempt") X("parley-client") X("parley-deadline-ms")       \
    X("parley-hops") X("parley-load") X("parley-reason") X("parley-request-id")                    \
    X("parley-retry") X("parley-upgrade") X("pragma") X("priority") X("range") X("referer")        \
    X("retry-after") X("server") X("set-cookie") X("strict-transport-security")                    \
    X("traceparent") X("tracestate") X("user-agent") X("vary") X("via")                            \
    X("x-content-type-options") X("x-forwarded-for") X("x-forwarded-host")                         \
    X("x-forwarded-proto") X("x-frame-options") X("x-powered-by") X("x-request-id")
/* clang-format on */

#define SPAN_OF(name) {name, sizeof(name) - 1},
static const struct span text[] = {LINK_NAMES(SPAN_OF)};
#undef SPAN_OF

static_assert(ARRAY_LEN(text) == LINK_NAMES_MAX, "as many as six bits can tell");

/* A hash without collisions among the names: the multiplier was found by trying. */
#define MULTIPLIER UINT32_C(0x38a96dff)
static const unsigned char number_of[256] = {
    0, 0,  0,  19, 8,  0,  0,  56, 0,  15, 0,  0,  0,  0,  39, 33, 0,  0,  0,  0,  0,  0,  23, 40,
    0, 0,  0,  0,  54, 0,  0,  17, 0,  0,  0,  0,  37, 0,  0,  0,  1,  43, 0,  0,  0,  0,  0,  0,
    0, 0,  51, 0,  0,  0,  0,  0,  0,  0,  57, 0,  0,  29, 0,  0,  0,  28, 0,  0,  0,  0,  0,  58,
    0, 50, 0,  0,  0,  0,  0,  7,  0,  0,  0,  0,  3,  0,  0,  16, 0,  0,  0,  0,  0,  0,  0,  0,
    0, 5,  0,  0,  0,  22, 24, 11, 0,  59, 12, 0,  0,  0,  0,  0,  45, 0,  0,  0,  0,  41, 0,  0,
    0, 0,  0,  0,  60, 0,  6,  38, 0,  0,  0,  0,  0,  46, 55, 0,  0,  0,  0,  0,  0,  0,  0,  0,
    0, 27, 0,  0,  13, 0,  47, 0,  42, 0,  0,  20, 52, 0,  21, 62, 0,  0,  0,  0,  0,  0,  63, 34,
    0, 30, 0,  36, 0,  0,  0,  35, 48, 0,  0,  0,  0,  0,  0,  0,  0,  0,  44, 0,  0,  0,  0,  0,
    0, 0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  2,  0,  0,  0,  0,  0,  0,  26, 18, 0,  0,  0,
    0, 0,  0,  9,  0,  0,  0,  25, 0,  0,  0,  31, 0,  0,  0,  0,  32, 0,  0,  0,  14, 10, 0,  53,
    0, 0,  0,  0,  0,  49, 0,  0,  0,  4,  61, 0,  0,  0,  0,  0};

unsigned link_names_find(struct span name)
{
    const unsigned char *p = (const unsigned char *)name.p;
    uint32_t key = (uint32_t)(name.len & 0xff) | (uint32_t)p[0] << 8 |
                   (uint32_t)p[name.len - 1] << 16 | (uint32_t)p[name.len / 2] << 24;
    unsigned number = number_of[(key * MULTIPLIER) >> 24];
    return number != 0 && span_eq(text[number - 1], name) ? number : LINK_NAME_NONE;
}

struct span link_names_text(unsigned number)
{
    CHECK(number >= 1 && number <= LINK_NAMES_MAX);
    return text[number - 1];
}
