/* The peer check BearSSL does not do: is this leaf a valid SVID of this mesh (X509-SVID 2, 4, 5;
 * security.md T01-T10)?
 *
 * Any thread, pure. Reads the leaf's DER itself: exactly one URI SAN and it a valid SPIFFE ID of
 * this mesh, not a CA, keyUsage present with digitalSignature and without keyCertSign or cRLSign,
 * EKU (when present) covers the role, P-256 key, X.509 v3, validity well formed. Each refusal has
 * its own fault.
 */
#ifndef CORE_CRYPTO_X509_CHECK_H
#define CORE_CRYPTO_X509_CHECK_H

#include "core/crypto/identity.h"

/* constant, word for logs and metrics, reason the caller shows */
#define X509_FAULT_LIST(X)                                                                         \
    X(X509_OK, "ok")                                                                               \
    X(X509_NO_CERTIFICATE, "no_certificate")                                                       \
    X(X509_MALFORMED, "malformed")                                                                 \
    X(X509_TOO_LARGE, "too_large")                                                                 \
    X(X509_CHAIN_TOO_LONG, "chain_too_long")                                                       \
    X(X509_UNKNOWN_CA, "unknown_ca")                                                               \
    X(X509_BAD_SIGNATURE, "bad_signature")                                                         \
    X(X509_EXPIRED, "expired")                                                                     \
    X(X509_NOT_YET_VALID, "not_yet_valid")                                                         \
    X(X509_IS_CA, "is_ca")                                                                         \
    X(X509_NOT_CA, "not_ca")                                                                       \
    X(X509_KEY_USAGE, "key_usage")                                                                 \
    X(X509_EXTENDED_KEY_USAGE, "extended_key_usage")                                               \
    X(X509_NO_URI_SAN, "no_uri_san")                                                               \
    X(X509_MANY_URI_SANS, "many_uri_sans")                                                         \
    X(X509_BAD_SPIFFE_ID, "bad_spiffe_id")                                                         \
    X(X509_OTHER_MESH, "other_mesh")                                                               \
    X(X509_OTHER_IDENTITY, "other_identity")                                                       \
    X(X509_UNKNOWN_CRITICAL, "unknown_critical")                                                   \
    X(X509_KEY_TYPE, "key_type")                                                                   \
    X(X509_PIN_MISMATCH, "pin_mismatch")                                                           \
    X(X509_OTHER, "other")
#define X509_FAULT_ENUM(code, word) code,
enum x509_fault { X509_FAULT_LIST(X509_FAULT_ENUM) X509_FAULT_COUNT };
#undef X509_FAULT_ENUM

const char *x509_check_word(enum x509_fault f);

enum x509_role { X509_CLIENT, X509_SERVER };

struct x509_leaf {
    struct spiffe_id id;
    int64_t not_before_s, not_after_s;
    uint8_t public_key[P256_PUBLIC_BYTES];
    uint8_t spki_sha256[32];
};

/* Structure and identity only; signature and time are the chain check's. `mesh` NULL: any mesh.
 * `*out` filled on X509_OK. */
enum x509_fault x509_check_leaf(struct span der, const struct name *mesh, enum x509_role role,
                                struct x509_leaf *out);
/* A CA certificate of ours: CA:TRUE, keyCertSign, P-256, URI SAN spiffe://MESH, signed by itself.
 * Fills mesh and validity. */
enum x509_fault x509_check_ca(struct span der, struct name *mesh, struct x509_leaf *out);

#endif
