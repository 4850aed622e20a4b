/* Any target against a policy that allows everything but /admin and /debug/. What is forwarded is
 * read as servers are known to read it: parameters cut before or after decoding, or not at all,
 * slashes merged, dot segments resolved. Whichever reading arrives at a denied path, the verdict
 * was a denial. */
#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/wire/uri.h"
#include "proxy/filters/authz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum reading { DECODE_ONLY, CUT_THEN_DECODE, DECODE_THEN_CUT, READINGS };

static int hex(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static size_t decode(const char *in, size_t len, char *out)
{
    size_t to = 0;
    for (size_t i = 0; i < len; i++) {
        char c = in[i];
        if (c == '%' && len - i > 2) {
            c = (char)(hex(in[i + 1]) * 16 + hex(in[i + 2]));
            i += 2;
        }
        out[to++] = c;
    }
    return to;
}

static size_t cut(const char *in, size_t len, char *out)
{
    size_t to = 0;
    bool skipping = false;
    for (size_t i = 0; i < len; i++) {
        if (in[i] == '/') skipping = false;
        if (in[i] == ';') skipping = true;
        if (!skipping) out[to++] = in[i];
    }
    return to;
}

/* Merges slashes and resolves dot segments, a climb above the root ends at it; no slash at the end.
 */
static size_t resolve(const char *in, size_t len, char *out)
{
    size_t to = 0;
    for (size_t i = 0; i < len;) {
        while (i < len && in[i] == '/')
            i++;
        size_t end = i;
        while (end < len && in[end] != '/')
            end++;
        size_t n = end - i;
        if (n == 2 && in[i] == '.' && in[i + 1] == '.') {
            while (to > 0 && out[--to] != '/')
                continue;
        } else if (n > 0 && !(n == 1 && in[i] == '.')) {
            out[to++] = '/';
            memcpy(out + to, in + i, n);
            to += n;
        }
        i = end;
    }
    return to;
}

static bool reads_as_denied(struct span path, enum reading reading)
{
    char a[TARGET_BYTES_MAX], b[TARGET_BYTES_MAX], c[TARGET_BYTES_MAX + 1];
    size_t len;
    if (reading == CUT_THEN_DECODE)
        len = decode(a, cut(path.p, path.len, a), b);
    else if (reading == DECODE_THEN_CUT)
        len = cut(a, decode(path.p, path.len, a), b);
    else
        len = decode(path.p, path.len, b);
    struct span got = span_of(c, resolve(b, len, c));
    return span_eq_str(got, "/admin") || span_starts(got, SPAN_LIT("/debug/"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct policy_path denied[] = {{{"/admin", 6}, false}, {{"/debug/", 7}, true}};
    struct policy_path path[2] = {denied[0], denied[1]};
    struct policy_rule rule[] = {
        {.name = "all", .action = POLICY_ALLOW},
        {.name = "no", .action = POLICY_DENY, .path = path, .path_count = 2}};
    struct policy policy = {.rule = rule, .rule_count = 2};
    struct filter_config config = {.direction = DIRECTION_INBOUND, .policy = &policy};
    struct spiffe_id peer = {.kind = IDENTITY_SERVICE, .name = {"web"}};
    struct request req = {.method = SPAN_LIT("GET"), .peer = &peer};
    struct arena arena;
    char out[TARGET_BYTES_MAX];

    if (uri_canonical(span_of(data, size), false, out, sizeof(out), &req.target) != ERR_OK)
        return 0;
    arena_init(&arena, 4096, 65536);
    struct filter_ctx ctx = {.direction = DIRECTION_INBOUND, .arena = &arena};
    CHECK(authz_filter.compile(&config, &arena, &ctx.conf, NULL) == ERR_OK);
    enum filter_verdict verdict = authz_filter.request(&ctx, &req);
    for (unsigned r = 0; r < READINGS; r++)
        CHECK(!reads_as_denied(req.target.path, (enum reading)r) || verdict == FILTER_REPLY);
    arena_fini(&arena);
    return 0;
}
