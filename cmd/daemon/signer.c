#include "cmd/daemon/signer.h"

#include "cmd/daemon/store_identity.h"
#include "core/base/check.h"
#include "core/crypto/x509_check.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct signer {
    struct x509_der ca;
    int64_t ca_not_after_s;
    uint8_t *ca_secret; /* owned, sodium_malloc */
    struct sign_key *issuer;
};

enum err signer_new(const struct store *s, const struct name *mesh, struct diag *d,
                    struct signer **out)
{
    struct signer *sg = calloc(1, sizeof *sg);
    struct x509_leaf ca;
    struct name ca_mesh;
    if (!sg) return ERR_NOMEM;
    enum err err = ERR_NOMEM;
    sg->ca_secret = sodium_malloc(P256_SECRET_BYTES);
    if (!sg->ca_secret) goto fail;
    err = store_identity_ca_key(s, d, sg->ca_secret);
    if (err != ERR_OK) goto fail;
    err = store_identity_sign_key(s, STORE_ISSUER_KEY, d, &sg->issuer);
    if (err != ERR_OK) goto fail;
    err = store_identity_ca_der(s, d, &sg->ca);
    if (err != ERR_OK) goto fail;
    uint8_t public_key[P256_PUBLIC_BYTES];
    err = x509_mint_public(sg->ca_secret, public_key);
    if (err == ERR_OK &&
        (x509_check_ca(span_of(sg->ca.data, sg->ca.len), &ca_mesh, &ca) != X509_OK ||
         !name_eq(&ca_mesh, mesh) || memcmp(ca.public_key, public_key, sizeof public_key) != 0)) {
        diag_error(d, NULL,
                   "ca/ca.key and the first certificate of ca.crt are not a pair of mesh %s; "
                   "restore both from the backup",
                   mesh->text);
        err = ERR_CORRUPT;
    }
    if (err != ERR_OK) goto fail;
    sg->ca_not_after_s = ca.not_after_s;
    *out = sg;
    return ERR_OK;
fail:
    signer_free(sg);
    return err;
}

void signer_free(struct signer *sg)
{
    if (!sg) return;
    sodium_free(sg->ca_secret);
    sign_key_free(sg->issuer);
    free(sg);
}

/* Nothing outlives the CA: its last leaves are shorter. */
static int64_t end_of(const struct signer *sg, int64_t now_s)
{
    int64_t end = now_s + SIGNER_LEAF_TTL_S;
    return end < sg->ca_not_after_s ? end : sg->ca_not_after_s;
}

struct span signer_ca_der(const struct signer *sg)
{
    return span_of(sg->ca.data, sg->ca.len);
}

const uint8_t *signer_issuer_public(const struct signer *sg)
{
    return sign_key_public(sg->issuer);
}

const uint8_t *signer_ca_secret(const struct signer *sg)
{
    return sg->ca_secret;
}

const uint8_t *signer_issuer_seed(const struct signer *sg)
{
    return sign_key_seed(sg->issuer);
}

enum err signer_leaf(const struct signer *sg, const struct spiffe_id *id,
                     const uint8_t public_key[P256_PUBLIC_BYTES], int64_t now_s,
                     struct x509_der *out)
{
    struct x509_leaf_request r = {.ca_der = signer_ca_der(sg),
                                  .ca_secret = sg->ca_secret,
                                  .id = *id,
                                  .public_key = public_key,
                                  .not_before_s = now_s - SIGNER_BACKDATE_S,
                                  .not_after_s = end_of(sg, now_s)};
    return x509_mint_leaf(&r, out);
}

enum err signer_admission(const struct signer *sg, struct sign_admission *a, struct span leaf_der,
                          int64_t now_s, uint8_t out[ADMISSION_BYTES_MAX], size_t *len)
{
    struct x509_leaf leaf;
    if (x509_check_leaf(leaf_der, NULL, X509_CLIENT, &leaf) != X509_OK) return ERR_INVALID;
    memcpy(a->spki_sha256, leaf.spki_sha256, sizeof a->spki_sha256);
    a->node = sign_node_id(a->public_key);
    a->not_before_s = now_s - SIGNER_BACKDATE_S;
    a->not_after_s = end_of(sg, now_s);
    return sign_admission_make(sg->issuer, a, out, len);
}
