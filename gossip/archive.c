#include "gossip/archive.h"

#include "core/base/check.h"
#include "core/base/map.h"

#include <stdlib.h>

struct archive {
    uint64_t refs;
    struct hash_key key;
    struct map heads, admissions, bodies;
};

struct kept_head {
    uint64_t refs;
    uint32_t id_hash;
    struct head head;
};

enum err archive_new(const struct hash_key *key, struct archive **out)
{
    struct archive *a = calloc(1, sizeof(*a));
    if (a == NULL) return ERR_NOMEM;
    a->refs = 1;
    a->key = *key;
    map_init(&a->heads, key, SIZE_MAX);
    map_init(&a->admissions, key, SIZE_MAX);
    map_init(&a->bodies, key, SIZE_MAX);
    *out = a;
    return ERR_OK;
}

struct archive *archive_ref(struct archive *a)
{
    a->refs++;
    return a;
}

void archive_unref(struct archive *a)
{
    if (a == NULL || --a->refs > 0) return;
    CHECK(a->heads.count == 0 && a->admissions.count == 0 && a->bodies.count == 0);
    map_fini(&a->heads);
    map_fini(&a->admissions);
    map_fini(&a->bodies);
    free(a);
}

uint32_t archive_hash(const struct archive *a, const void *p, size_t len)
{
    return (uint32_t)hash_bytes(&a->key, p, len);
}

/* Holders see parts as const; the count in them is the archive's own. */
static struct kept_head *kept(const struct head *h)
{
    return (struct kept_head *)((uintptr_t)h - offsetof(struct kept_head, head));
}

static uint64_t *refs_of(const uint64_t *refs)
{
    return (uint64_t *)(uintptr_t)refs;
}

uint32_t archive_id_hash(const struct head *h)
{
    return kept(h)->id_hash;
}

static bool same(const struct head *a, const struct head *b)
{
    uint8_t x[HEAD_BYTES], y[HEAD_BYTES];
    head_encode(a, x);
    head_encode(b, y);
    return memcmp(x, y, sizeof(x)) == 0;
}

static struct span head_key(const struct head *h)
{
    return span_of(h->sig, sizeof(h->sig));
}

const struct head *archive_head(struct archive *a, const struct head *h)
{
    struct kept_head *k = map_get(&a->heads, head_key(h));
    bool known = k != NULL;
    if (known && same(&k->head, h)) {
        k->refs++;
        return &k->head;
    }
    k = malloc(sizeof(*k));
    if (k == NULL) return NULL;
    *k = (struct kept_head){.refs = 1, .head = *h};
    k->id_hash = archive_hash(a, h->owner.byte, NODE_ID_SHORT_BYTES);
    /* Two heads of one signature are not both genuine: such a one is kept apart. */
    if (known || map_put(&a->heads, head_key(&k->head), k) == ERR_OK) return &k->head;
    free(k);
    return NULL;
}

const struct archive_admission *archive_admission(struct archive *a,
                                                  const uint8_t hash[CRYPTO_OPS_HASH_BYTES],
                                                  struct span bytes,
                                                  const struct sign_admission *says)
{
    struct archive_admission *p = map_get(&a->admissions, span_of(hash, CRYPTO_OPS_HASH_BYTES));
    if (p != NULL) {
        p->refs++;
        return p;
    }
    p = malloc(sizeof(*p) + bytes.len);
    if (p == NULL) return NULL;
    *p = (struct archive_admission){.refs = 1,
                                    .name_hash =
                                        archive_hash(a, says->name.text, strlen(says->name.text)),
                                    .name = says->name,
                                    .roles = says->roles,
                                    .not_after_s = says->not_after_s,
                                    .len = bytes.len};
    memcpy(p->hash, hash, sizeof(p->hash));
    memcpy(p->public_key, says->public_key, sizeof(p->public_key));
    memcpy(p->spki_sha256, says->spki_sha256, sizeof(p->spki_sha256));
    memcpy(p->bytes, bytes.p, bytes.len);
    if (map_put(&a->admissions, span_of(p->hash, sizeof(p->hash)), p) == ERR_OK) return p;
    free(p);
    return NULL;
}

const struct archive_body *
archive_body(struct archive *a, const uint8_t hash[CRYPTO_OPS_HASH_BYTES], struct span bytes)
{
    struct archive_body *p = map_get(&a->bodies, span_of(hash, CRYPTO_OPS_HASH_BYTES));
    if (p != NULL) {
        p->refs++;
        return p;
    }
    p = malloc(sizeof(*p) + bytes.len);
    if (p == NULL) return NULL;
    *p = (struct archive_body){.refs = 1, .len = bytes.len};
    memcpy(p->hash, hash, sizeof(p->hash));
    if (bytes.len > 0) memcpy(p->bytes, bytes.p, bytes.len);
    if (map_put(&a->bodies, span_of(p->hash, sizeof(p->hash)), p) == ERR_OK) return p;
    free(p);
    return NULL;
}

void archive_keep_head(const struct head *h, uint64_t refs)
{
    if (h != NULL) kept(h)->refs += refs;
}

void archive_keep_admission(const struct archive_admission *p, uint64_t refs)
{
    if (p != NULL) *refs_of(&p->refs) += refs;
}

void archive_keep_body(const struct archive_body *p, uint64_t refs)
{
    if (p != NULL) *refs_of(&p->refs) += refs;
}

/* Whether those were the last. */
static bool drop(uint64_t *held, uint64_t refs)
{
    CHECK(*held >= refs);
    *held -= refs;
    return *held == 0;
}

void archive_drop_head(struct archive *a, const struct head *h, uint64_t refs)
{
    if (h == NULL || !drop(&kept(h)->refs, refs)) return;
    if (map_get(&a->heads, head_key(h)) == kept(h)) (void)map_del(&a->heads, head_key(h));
    free(kept(h));
}

void archive_drop_admission(struct archive *a, const struct archive_admission *p, uint64_t refs)
{
    if (p == NULL || !drop(refs_of(&p->refs), refs)) return;
    free(map_del(&a->admissions, span_of(p->hash, sizeof(p->hash))));
}

void archive_drop_body(struct archive *a, const struct archive_body *p, uint64_t refs)
{
    if (p == NULL || !drop(refs_of(&p->refs), refs)) return;
    free(map_del(&a->bodies, span_of(p->hash, sizeof(p->hash))));
}
