#include "core/crypto/x509_check.h"

#include "core/base/check.h"
#include "core/crypto/p256.h"
#include "core/crypto/x509_parse.h"

#include <sodium.h>

#define X509_FAULT_WORD(code, word) [code] = word,
static const char *const words[X509_FAULT_COUNT] = {X509_FAULT_LIST(X509_FAULT_WORD)};

const char *x509_check_word(enum x509_fault f)
{
    size_t i = (size_t)f;
    return i < X509_FAULT_COUNT ? words[i] : "unknown";
}

static void fill_leaf(const struct x509_cert *c, struct x509_leaf *out)
{
    out->not_before_s = c->not_before_s;
    out->not_after_s = c->not_after_s;
    memcpy(out->public_key, c->public_key.p, P256_PUBLIC_BYTES);
    crypto_hash_sha256(out->spki_sha256, (const unsigned char *)c->spki.p, c->spki.len);
}

static bool eku_covers(const struct x509_cert *c, enum x509_role role)
{
    if (!c->has_eku) return true;
    return role == X509_CLIENT ? c->eku_client : c->eku_server;
}

enum x509_fault x509_check_leaf(struct span der, const struct name *mesh, enum x509_role role,
                                struct x509_leaf *out)
{
    struct x509_cert c;
    struct x509_leaf leaf = {0};
    const unsigned signs_certificates = X509_USE_CERT_SIGN | X509_USE_CRL_SIGN;
    enum x509_fault fault = x509_parse_cert(der, &c);
    if (fault != X509_OK) return fault;
    if (c.unknown_critical) return X509_UNKNOWN_CRITICAL;
    /* X509-SVID 4.1, 4.3, 5.2: a leaf is no CA; keyUsage is there, critical, with
     * digitalSignature. */
    if (c.is_ca) return X509_IS_CA;
    if (!c.has_key_usage || !c.key_usage_critical) return X509_KEY_USAGE;
    if ((c.key_usage & X509_USE_DIGITAL_SIGNATURE) == 0) return X509_KEY_USAGE;
    if ((c.key_usage & signs_certificates) != 0) return X509_KEY_USAGE;
    if (!eku_covers(&c, role)) return X509_EXTENDED_KEY_USAGE;
    if (c.uri_count == 0) return X509_NO_URI_SAN;
    if (c.uri_count > 1) return X509_MANY_URI_SANS;
    if (name_spiffe_parse(c.uri, &leaf.id) != ERR_OK) return X509_BAD_SPIFFE_ID;
    if (mesh != NULL && !name_eq(mesh, &leaf.id.mesh)) return X509_OTHER_MESH;
    fill_leaf(&c, &leaf);
    *out = leaf;
    return X509_OK;
}

/* "spiffe://MESH": a trust domain without a path (X509-SVID 3.1). */
static enum err parse_trust_domain(struct span uri, struct name *mesh)
{
    const struct span scheme = SPAN_LIT("spiffe://");
    if (!span_starts(uri, scheme)) return ERR_INVALID;
    return name_set(mesh, span_skip(uri, scheme.len));
}

enum x509_fault x509_check_ca(struct span der, struct name *mesh, struct x509_leaf *out)
{
    struct x509_cert c;
    struct x509_leaf ca = {0};
    uint8_t hash[P256_HASH_BYTES];
    enum x509_fault fault = x509_parse_cert(der, &c);
    if (fault != X509_OK) return fault;
    if (c.unknown_critical) return X509_UNKNOWN_CRITICAL;
    if (!c.is_ca || !c.basic_critical) return X509_NOT_CA;
    if (!c.has_key_usage || (c.key_usage & X509_USE_CERT_SIGN) == 0) return X509_KEY_USAGE;
    if (c.uri_count == 0) return X509_NO_URI_SAN;
    if (c.uri_count > 1) return X509_MANY_URI_SANS;
    if (parse_trust_domain(c.uri, &ca.id.mesh) != ERR_OK) return X509_BAD_SPIFFE_ID;
    crypto_hash_sha256(hash, (const unsigned char *)c.tbs.p, c.tbs.len);
    if (!span_eq(c.issuer, c.subject)) return X509_BAD_SIGNATURE;
    if (!p256_verify_asn1((const uint8_t *)c.public_key.p, hash, c.sig)) return X509_BAD_SIGNATURE;
    fill_leaf(&c, &ca);
    *mesh = ca.id.mesh;
    *out = ca;
    return X509_OK;
}
