#include "proxy/snapshot/snapshot.h"

#include "core/base/check.h"

#include <assert.h>
#include <stdlib.h>

static_assert(offsetof(struct snapshot_service, name) == 0, "by_name reads the name first");
static_assert(offsetof(struct snapshot_upstream, name) == 0, "by_name reads the name first");

static int by_name(const void *key, const void *entry)
{
    const struct span *name = key;
    const struct name *other = entry;
    return span_cmp(*name, span_str(other->text));
}

const struct snapshot_service *snapshot_service(const struct snapshot *s, struct span name)
{
    if (s->service_count == 0) return NULL;
    return bsearch(&name, s->service, s->service_count, sizeof(*s->service), by_name);
}

const struct snapshot_upstream *snapshot_upstream(const struct snapshot *s, struct span name)
{
    if (s->upstream_count == 0) return NULL;
    return bsearch(&name, s->upstream, s->upstream_count, sizeof(*s->upstream), by_name);
}

static bool sni_fits(struct span name, struct span sni)
{
    if (name.p[0] != '*') return span_eq(name, sni);
    struct span end = span_skip(name, 1);
    return sni.len > end.len && span_eq(span_skip(sni, sni.len - end.len), end);
}

const struct snapshot_upstream *snapshot_sni(const struct snapshot *s,
                                             const struct snapshot_listener *l, struct span sni)
{
    for (size_t i = 0; i < l->sni_count; i++)
        if (sni_fits(l->sni[i].name, sni)) return &s->upstream[l->sni[i].upstream];
    return NULL;
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
    CHECK_OBJ(s, SNAPSHOT_MAGIC);
    CHECK(s->refs < UINT32_MAX);
    s->refs++;
    return s;
}

void snapshot_unref(struct snapshot *s)
{
    if (s == NULL) return;
    CHECK_OBJ(s, SNAPSHOT_MAGIC);
    CHECK(s->refs > 0);
    if (--s->refs == 0) snapshot_free(s);
}

void snapshot_free(struct snapshot *s)
{
    if (s == NULL) return;
    CHECK_OBJ(s, SNAPSHOT_MAGIC);
    for (size_t i = 0; i < s->service_count; i++)
        identity_unref(s->service[i].identity);
    for (size_t i = 0; i < s->upstream_count; i++)
        identity_unref(s->upstream[i].identity);
    for (size_t i = 0; i < s->listener_count; i++)
        tls_cert_unref(s->listener[i].tls);
    identity_unref(s->node_identity);
    identity_trust_unref(s->trust);
    arena_fini(&s->arena);
    s->magic = MAGIC_POISON;
    free(s);
}
