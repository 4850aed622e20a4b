#include "proxy/http/affinity.h"

#include "core/base/hash.h"

/* The first cookie of that name. HTTP/2 may bring them in several fields (RFC 9113 8.2.3). */
static struct span cookie(const struct headers *h, const char *name)
{
    for (size_t i = 0; i < h->count; i++) {
        struct span rest = h->field[i].value;
        if (!span_eq_str(h->field[i].name, "cookie")) continue;
        while (rest.p != NULL) {
            struct span value, pair = span_trim(span_cut(rest, ';', &rest));
            struct span key = span_cut(pair, '=', &value);
            if (value.p != NULL && span_eq_str(key, name)) return value;
        }
    }
    return (struct span){NULL, 0};
}

static struct span header(const struct headers *h, const char *name)
{
    const struct header *f = headers_find(h, name);
    return f != NULL ? f->value : (struct span){NULL, 0};
}

static struct span source(const struct exchange *ex)
{
    if (ex->client.family == ADDR_NONE) return (struct span){NULL, 0};
    return span_of(ex->client.ip, sizeof ex->client.ip);
}

bool affinity_hash(const struct exchange *ex, uint64_t *hash)
{
    static const struct hash_key key = {{0}};
    const struct config_affinity *by = &ex->upstream->affinity;
    struct span what = {NULL, 0};
    switch (by->kind) {
    case AFFINITY_NONE:
        return false;
    case AFFINITY_HEADER:
        what = header(ex->req.headers, by->name);
        break;
    case AFFINITY_COOKIE:
        what = cookie(ex->req.headers, by->name);
        break;
    case AFFINITY_SOURCE:
        what = source(ex);
        break;
    }
    if (what.len == 0) return false;
    *hash = hash_bytes(&key, what.p, what.len);
    return true;
}
