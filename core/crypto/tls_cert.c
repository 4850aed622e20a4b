#include "core/crypto/tls_cert.h"

#include "core/base/check.h"
#include "core/crypto/bear.h"
#include "core/crypto/p256.h"
#include "core/crypto/secret.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

#define CERT_MAGIC 0x74636572u
/* DER is three quarters of its base64. */
#define OBJECT_BYTES_MAX (TLS_CERT_PEM_MAX / 4 * 3 + 3)

struct tls_cert {
    unsigned magic;
    atomic_uint refs; /* pairs: release on every drop, acquire on the last */
    size_t count;
    uint8_t *der[TLS_CERT_CHAIN_MAX]; /* owned */
    size_t der_len[TLS_CERT_CHAIN_MAX];
    uint8_t *secret; /* owned, locked */
};

/* The objects of one text, one after the other. */
struct pem {
    br_pem_decoder_context ctx;
    struct span left;
    uint8_t *bytes; /* locked: some are keys */
    size_t len;
    bool wanted; /* the object is one of those asked for */
};

static void pem_take(void *owner, const void *p, size_t len)
{
    struct pem *pem = owner;
    /* An object is shorter than the text it was in. */
    CHECK(len <= OBJECT_BYTES_MAX - pem->len);
    memcpy(pem->bytes + pem->len, p, len);
    pem->len += len;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(name, *names) == 0) return true;
    return false;
}

/* The next object of one of these names. ERR_EOF: none; ERR_INVALID: no PEM. */
static enum err pem_next(struct pem *pem, const char *const *names)
{
    while (pem->left.len > 0) {
        size_t used = br_pem_decoder_push(&pem->ctx, pem->left.p, pem->left.len);
        pem->left = span_skip(pem->left, used);
        switch (br_pem_decoder_event(&pem->ctx)) {
        case BR_PEM_BEGIN_OBJ:
            pem->wanted = is_one_of(br_pem_decoder_name(&pem->ctx), names);
            pem->len = 0;
            br_pem_decoder_setdest(&pem->ctx, pem->wanted ? pem_take : NULL, pem);
            break;
        case BR_PEM_END_OBJ:
            if (pem->wanted) return ERR_OK;
            break;
        case BR_PEM_ERROR:
            return ERR_INVALID;
        default:
            break;
        }
    }
    return ERR_EOF;
}

static enum err pem_start(struct pem *pem, struct span text)
{
    if (text.len > TLS_CERT_PEM_MAX) return ERR_TOO_LARGE;
    br_pem_decoder_init(&pem->ctx);
    pem->left = text;
    return ERR_OK;
}

static enum err read_chain(struct tls_cert *c, struct pem *pem, struct span text)
{
    static const char *const names[] = {"CERTIFICATE", "X509 CERTIFICATE", NULL};
    enum err err = pem_start(pem, text);
    while (err == ERR_OK && (err = pem_next(pem, names)) == ERR_OK) {
        if (c->count == TLS_CERT_CHAIN_MAX) return ERR_TOO_LARGE;
        uint8_t *copy = malloc(pem->len + 1);
        if (copy == NULL) return ERR_NOMEM;
        memcpy(copy, pem->bytes, pem->len);
        c->der[c->count] = copy;
        c->der_len[c->count++] = pem->len;
    }
    if (err != ERR_EOF) return err;
    return c->count > 0 ? ERR_OK : ERR_INVALID;
}

/* Big-endian, without zeros in front or with more of them than needed. */
static bool fill_secret(uint8_t *secret, const unsigned char *x, size_t len)
{
    while (len > 0 && x[0] == 0) {
        x++;
        len--;
    }
    if (len > P256_SECRET_BYTES) return false;
    memset(secret, 0, P256_SECRET_BYTES - len);
    memcpy(secret + P256_SECRET_BYTES - len, x, len);
    return true;
}

static enum err read_key(struct tls_cert *c, struct pem *pem, struct span text)
{
    static const char *const names[] = {"EC PRIVATE KEY", "PRIVATE KEY", NULL};
    br_skey_decoder_context ctx;
    enum err err = pem_start(pem, text);
    if (err == ERR_OK) err = pem_next(pem, names);
    if (err != ERR_OK) return err == ERR_TOO_LARGE ? err : ERR_CORRUPT;
    br_skey_decoder_init(&ctx);
    br_skey_decoder_push(&ctx, pem->bytes, pem->len);
    const br_ec_private_key *key = br_skey_decoder_get_ec(&ctx);
    bool good =
        key != NULL && key->curve == BR_EC_secp256r1 && fill_secret(c->secret, key->x, key->xlen);
    sodium_memzero(&ctx, sizeof ctx);
    return good ? ERR_OK : ERR_CORRUPT;
}

static enum err check_pair(const struct tls_cert *c)
{
    uint8_t public_key[P256_PUBLIC_BYTES];
    br_x509_decoder_context ctx;
    br_x509_decoder_init(&ctx, NULL, NULL);
    br_x509_decoder_push(&ctx, c->der[0], c->der_len[0]);
    const br_x509_pkey *leaf = br_x509_decoder_get_pkey(&ctx);
    if (leaf == NULL) return ERR_INVALID;
    if (leaf->key_type != BR_KEYTYPE_EC || leaf->key.ec.curve != BR_EC_secp256r1 ||
        leaf->key.ec.qlen != sizeof public_key)
        return ERR_UNTRUSTED;
    if (p256_public(c->secret, public_key) != ERR_OK) return ERR_CORRUPT;
    return memcmp(public_key, leaf->key.ec.q, sizeof public_key) == 0 ? ERR_OK : ERR_MISMATCH;
}

enum err tls_cert_new(struct span chain, struct span key, struct tls_cert **out)
{
    struct tls_cert *c = calloc(1, sizeof *c);
    if (c == NULL) return ERR_NOMEM;
    enum err err = ERR_NOMEM;
    struct pem pem = {.bytes = secret_new(OBJECT_BYTES_MAX)};
    c->magic = CERT_MAGIC;
    atomic_init(&c->refs, 1);
    c->secret = secret_new(P256_SECRET_BYTES);
    if (pem.bytes != NULL && c->secret != NULL) err = read_chain(c, &pem, chain);
    if (err == ERR_OK) err = read_key(c, &pem, key);
    if (err == ERR_OK) err = check_pair(c);
    secret_free(pem.bytes);
    sodium_memzero(&pem.ctx, sizeof pem.ctx);
    if (err != ERR_OK) {
        tls_cert_unref(c);
        return err;
    }
    secret_seal(c->secret);
    *out = c;
    return ERR_OK;
}

struct tls_cert *tls_cert_ref(struct tls_cert *c)
{
    CHECK_OBJ(c, CERT_MAGIC);
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void tls_cert_unref(struct tls_cert *c)
{
    if (c == NULL) return;
    CHECK_OBJ(c, CERT_MAGIC);
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < c->count; i++)
        free(c->der[i]);
    secret_free(c->secret);
    c->magic = MAGIC_POISON;
    free(c);
}

struct span tls_cert_der(const struct tls_cert *c, size_t i)
{
    CHECK_OBJ(c, CERT_MAGIC);
    return i < c->count ? span_of(c->der[i], c->der_len[i]) : span_of(NULL, 0);
}

const uint8_t *tls_cert_secret(const struct tls_cert *c)
{
    CHECK_OBJ(c, CERT_MAGIC);
    return c->secret;
}
