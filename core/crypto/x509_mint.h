/* Minting: P-256 key pairs, the mesh's CA certificate and X.509 SVID leaves (RFC 5280, X509-SVID),
 * written with crypto/der.
 *
 * Any thread. Keys come from libsodium's randombytes; signatures from BearSSL's i31 ECDSA
 * (deterministic nonces, RFC 6979). CA:   self-signed, CN = "parley CA" O = mesh, basicConstraints
 * critical CA pathlen 0, keyUsage critical keyCertSign|cRLSign, SKI, URI SAN spiffe://MESH. Leaf:
 * empty-safe subject CN = name, one critical-free URI SAN, keyUsage critical digitalSignature, EKU
 * (not critical, T08) serverAuth + clientAuth, basicConstraints critical CA:FALSE, AKI.
 */
#ifndef CORE_CRYPTO_X509_MINT_H
#define CORE_CRYPTO_X509_MINT_H

#include "core/base/strbuf.h"
#include "core/crypto/identity.h"

#define X509_DER_MAX 1024u /* any certificate we make */

/* A fresh P-256 key pair. */
void x509_mint_key(uint8_t secret[P256_SECRET_BYTES], uint8_t public_key[P256_PUBLIC_BYTES]);
/* The public key of a secret. ERR_RANGE: not a valid scalar. */
enum err x509_mint_public(const uint8_t secret[P256_SECRET_BYTES],
                          uint8_t public_key[P256_PUBLIC_BYTES]) MUST_USE;

struct x509_der {
    uint8_t data[X509_DER_MAX];
    size_t len;
};

/* ERR_RANGE: a bad secret, not_before after not_after, or a date out of range. */
enum err x509_mint_ca(const struct name *mesh, const uint8_t secret[P256_SECRET_BYTES],
                      int64_t not_before_s, int64_t not_after_s, struct x509_der *out) MUST_USE;

struct x509_leaf_request {
    struct span ca_der;
    const uint8_t *ca_secret; /* 32 bytes */
    struct spiffe_id id;
    const uint8_t *public_key; /* 65 bytes; ERR_INVALID when it is not a point on the curve */
    int64_t not_before_s, not_after_s;
};
/* ERR_INVALID: the CA certificate or the public key is no good; ERR_MISMATCH: `ca_secret` is not
 * the CA's; ERR_RANGE: the dates are no good, or the leaf would outlive the CA. */
enum err x509_mint_leaf(const struct x509_leaf_request *r, struct x509_der *out) MUST_USE;

/* Proof of possession: ECDSA-SHA256 over domain || 0 || msg, raw r||s of 64 bytes. */
void x509_mint_prove(const uint8_t secret[P256_SECRET_BYTES], const char *domain, struct span msg,
                     uint8_t sig[64]);
bool x509_mint_prove_verify(const uint8_t public_key[P256_PUBLIC_BYTES], const char *domain,
                            struct span msg, const uint8_t sig[64]);

/* PEM armour (RFC 7468) of `der` under `label`, appended to `out`. */
void x509_mint_pem(const char *label, struct span der, struct strbuf *out);
/* The first block of `pem` with that label, decoded into `out`. ERR_NOT_FOUND: no such block;
 * ERR_TOO_LARGE: more than `cap`; ERR_INVALID: not base64, or no end. `out` may be written to on
 * failure. */
enum err x509_mint_unpem(struct span pem, const char *label, uint8_t *out, size_t cap,
                         size_t *len) MUST_USE;

#endif
