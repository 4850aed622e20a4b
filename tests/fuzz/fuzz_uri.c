/* Any bytes as target, absolute target and authority. What is accepted is a fixed point, stays in
 * its bounds and holds none of the bytes that uri.h refuses. */
#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/wire/uri.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(struct span path)
{
    CHECK(path.len > 0 && path.p[0] == '/');
    for (size_t i = 0; i < path.len; i++) {
        char c = path.p[i];
        CHECK(c > 0x20 && c < 0x7f && c != '#' && c != '\\' && c != '?');
        CHECK(c != '/' || i + 1 == path.len || path.p[i + 1] != '/');
    }
}

static void try_target(struct span in)
{
    char *out = malloc(in.len + 1), *again = malloc(in.len + 1);
    struct uri_target t, u;
    CHECK(out != NULL && again != NULL);
    if (uri_canonical(in, false, out, in.len, &t) == ERR_OK) {
        struct span whole = span_of(out, t.path.len + t.query.len);
        check_path(t.path);
        CHECK(t.path.p + t.path.len == t.query.p);
        CHECK(uri_canonical(whole, false, again, whole.len, &u) == ERR_OK);
        CHECK(span_eq(u.path, t.path) && span_eq(u.query, t.query));
    }
    free(again);
    free(out);
}

static void try_authority(struct span in)
{
    char out[TARGET_BYTES_MAX], again[TARGET_BYTES_MAX];
    struct span host, same;
    uint16_t port, none;
    if (uri_authority(in, out, sizeof(out), &host, &port) != ERR_OK) return;
    CHECK(host.len > 0 && host.len <= 255);
    CHECK(uri_authority(host, again, sizeof(again), &same, &none) == ERR_OK);
    CHECK(span_eq(host, same) && none == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size), authority, rest;
    try_target(in);
    try_authority(in);
    if (uri_absolute(in, &authority, &rest) == ERR_OK) {
        CHECK(authority.len > 0 && rest.len > 0 && rest.p[0] == '/');
        try_authority(authority);
        try_target(rest);
    }
    return 0;
}
