#include "core/crypto/identity.h"

#include "core/base/check.h"
#include "core/crypto/p256.h"
#include "core/crypto/secret.h"
#include "core/crypto/x509_parse.h"

#include <stdatomic.h>
#include <stdlib.h>

#define IDENTITY_MAGIC 0x1de27173u
#define TRUST_MAGIC    0x72a57000u

struct identity {
    unsigned magic;
    atomic_uint refs; /* pairs: release on every drop, acquire on the last */
    uint8_t *leaf;    /* owned */
    size_t leaf_len;
    uint8_t *secret; /* owned, locked */
    struct x509_leaf parsed;
    char uri[SPIFFE_ID_BYTES_MAX + 1];
};

struct trust {
    unsigned magic;
    atomic_uint refs;
    struct name mesh;
    size_t count;
    struct identity_anchor anchor[TRUST_ANCHORS_MAX];
    uint8_t *der[TRUST_ANCHORS_MAX]; /* owned; the anchors point into them */
};

static uint8_t *copy_bytes(struct span s)
{
    uint8_t *p = malloc(s.len > 0 ? s.len : 1);
    if (p != NULL && s.len > 0) memcpy(p, s.p, s.len);
    return p;
}

enum err identity_new(struct span leaf_der, const uint8_t secret[P256_SECRET_BYTES],
                      struct identity **out)
{
    struct x509_leaf parsed;
    uint8_t public_key[P256_PUBLIC_BYTES];
    /* One identity serves both ends of links. */
    if (x509_check_leaf(leaf_der, NULL, X509_SERVER, &parsed) != X509_OK) return ERR_INVALID;
    if (x509_check_leaf(leaf_der, NULL, X509_CLIENT, &parsed) != X509_OK) return ERR_INVALID;
    if (p256_public(secret, public_key) != ERR_OK) return ERR_INVALID;
    if (memcmp(public_key, parsed.public_key, sizeof(public_key)) != 0) return ERR_INVALID;

    struct identity *id = calloc(1, sizeof(*id));
    if (id == NULL) return ERR_NOMEM;
    id->leaf = copy_bytes(leaf_der);
    if (id->leaf == NULL) goto fail_leaf;
    id->secret = secret_new(P256_SECRET_BYTES);
    if (id->secret == NULL) goto fail_secret;
    memcpy(id->secret, secret, P256_SECRET_BYTES);
    secret_seal(id->secret);
    id->magic = IDENTITY_MAGIC;
    id->leaf_len = leaf_der.len;
    id->parsed = parsed;
    atomic_init(&id->refs, 1);
    name_spiffe_format(&parsed.id, id->uri);
    *out = id;
    return ERR_OK;

fail_secret:
    free(id->leaf);
fail_leaf:
    free(id);
    return ERR_NOMEM;
}

struct identity *identity_ref(struct identity *id)
{
    CHECK_OBJ(id, IDENTITY_MAGIC);
    atomic_fetch_add_explicit(&id->refs, 1, memory_order_relaxed);
    return id;
}

void identity_unref(struct identity *id)
{
    if (id == NULL) return;
    CHECK_OBJ(id, IDENTITY_MAGIC);
    if (atomic_fetch_sub_explicit(&id->refs, 1, memory_order_acq_rel) != 1) return;
    id->magic = MAGIC_POISON;
    secret_free(id->secret);
    free(id->leaf);
    free(id);
}

const struct spiffe_id *identity_spiffe(const struct identity *id)
{
    CHECK_OBJ(id, IDENTITY_MAGIC);
    return &id->parsed.id;
}

const char *identity_uri(const struct identity *id)
{
    CHECK_OBJ(id, IDENTITY_MAGIC);
    return id->uri;
}

struct span identity_leaf(const struct identity *id)
{
    CHECK_OBJ(id, IDENTITY_MAGIC);
    return span_of(id->leaf, id->leaf_len);
}

int64_t identity_not_before_s(const struct identity *id)
{
    CHECK_OBJ(id, IDENTITY_MAGIC);
    return id->parsed.not_before_s;
}

int64_t identity_not_after_s(const struct identity *id)
{
    CHECK_OBJ(id, IDENTITY_MAGIC);
    return id->parsed.not_after_s;
}

const uint8_t *identity_secret(const struct identity *id)
{
    CHECK_OBJ(id, IDENTITY_MAGIC);
    return id->secret;
}

static enum err add_anchor(struct trust *t, struct span der)
{
    struct x509_leaf parsed;
    struct x509_cert cert;
    struct name mesh;
    if (x509_check_ca(der, &mesh, &parsed) != X509_OK) return ERR_INVALID;
    if (!name_eq(&mesh, &t->mesh)) return ERR_MISMATCH;
    uint8_t *copy = copy_bytes(der);
    if (copy == NULL) return ERR_NOMEM;
    /* Once more over our own copy, which the anchor's spans are to borrow. */
    enum x509_fault fault = x509_parse_cert(span_of(copy, der.len), &cert);
    CHECK(fault == X509_OK);
    t->der[t->count] = copy;
    t->anchor[t->count++] = (struct identity_anchor){.der = span_of(copy, der.len),
                                                     .subject = cert.subject,
                                                     .public_key = cert.public_key,
                                                     .key_id = cert.subject_key_id,
                                                     .not_after_s = cert.not_after_s};
    return ERR_OK;
}

enum err identity_trust_new(const struct span *ca_der, size_t count, const struct name *mesh,
                            struct trust **out)
{
    if (count == 0) return ERR_INVALID;
    if (count > TRUST_ANCHORS_MAX) return ERR_TOO_LARGE;
    struct trust *t = calloc(1, sizeof(*t));
    if (t == NULL) return ERR_NOMEM;
    t->magic = TRUST_MAGIC;
    t->mesh = *mesh;
    atomic_init(&t->refs, 1);
    for (size_t i = 0; i < count; i++) {
        enum err err = add_anchor(t, ca_der[i]);
        if (err == ERR_OK) continue;
        identity_trust_unref(t);
        return err;
    }
    *out = t;
    return ERR_OK;
}

struct trust *identity_trust_ref(struct trust *t)
{
    CHECK_OBJ(t, TRUST_MAGIC);
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void identity_trust_unref(struct trust *t)
{
    if (t == NULL) return;
    CHECK_OBJ(t, TRUST_MAGIC);
    if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1) return;
    t->magic = MAGIC_POISON;
    for (size_t i = 0; i < t->count; i++)
        free(t->der[i]);
    free(t);
}

const struct name *identity_trust_mesh(const struct trust *t)
{
    CHECK_OBJ(t, TRUST_MAGIC);
    return &t->mesh;
}

size_t identity_trust_count(const struct trust *t)
{
    CHECK_OBJ(t, TRUST_MAGIC);
    return t->count;
}

const struct identity_anchor *identity_trust_anchor(const struct trust *t, size_t i)
{
    CHECK_OBJ(t, TRUST_MAGIC);
    return i < t->count ? &t->anchor[i] : NULL;
}
