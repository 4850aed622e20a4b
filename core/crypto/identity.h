/* Identities: a certificate chain with its private key, immutable and reference-counted, shared by
 * threads.
 *
 * Made on the control thread; identity_ref/unref from any thread (atomic count, acq_rel on the last
 * drop). The private key lies in sodium_malloc memory and is wiped by the last unref. Keys are
 * ECDSA P-256.
 */
#ifndef CORE_CRYPTO_IDENTITY_H
#define CORE_CRYPTO_IDENTITY_H

#include "core/base/err.h"
#include "core/model/name.h"

#define P256_SECRET_BYTES 32u
#define P256_PUBLIC_BYTES 65u /* 04 || X || Y */

struct identity; /* opaque */

/* `leaf_der` is copied; `secret` (32 bytes, big-endian) is copied into locked memory. Parses the
 * leaf (x509_check rules) to fill id and validity; ERR_INVALID when the certificate is not a valid
 * SVID or the key does not belong to it. One reference. */
enum err identity_new(struct span leaf_der, const uint8_t secret[P256_SECRET_BYTES],
                      struct identity **out) MUST_USE;
struct identity *identity_ref(struct identity *id);
void identity_unref(struct identity *id);

const struct spiffe_id *identity_spiffe(const struct identity *id);
/* "spiffe://..." text, NUL-terminated, lives as long as the identity. */
const char *identity_uri(const struct identity *id);
struct span identity_leaf(const struct identity *id);
int64_t identity_not_before_s(const struct identity *id);
int64_t identity_not_after_s(const struct identity *id);
/* P256_SECRET_BYTES, borrowed, read-only memory; for crypto/ and for storing. */
const uint8_t *identity_secret(const struct identity *id);

/* Trust anchors: the mesh's CA certificates, same life rules. At most TRUST_ANCHORS_MAX. */
#define TRUST_ANCHORS_MAX 4u
struct trust; /* opaque */
/* What a chain is checked against; borrowed from the trust. */
struct identity_anchor {
    struct span der;
    struct span subject;    /* the Name, with its header */
    struct span public_key; /* P256_PUBLIC_BYTES of it */
    struct span key_id;     /* subjectKeyIdentifier, empty when absent */
    int64_t not_after_s;
};
/* Copies 1 to TRUST_ANCHORS_MAX CA certificates. ERR_INVALID: none, or one is not a CA's
 * (x509_check_ca); ERR_MISMATCH: of another mesh; ERR_TOO_LARGE: too many; ERR_NOMEM. */
enum err identity_trust_new(const struct span *ca_der, size_t count, const struct name *mesh,
                            struct trust **out) MUST_USE;
struct trust *identity_trust_ref(struct trust *t);
void identity_trust_unref(struct trust *t);
const struct name *identity_trust_mesh(const struct trust *t);
size_t identity_trust_count(const struct trust *t);
/* NULL past the end. */
const struct identity_anchor *identity_trust_anchor(const struct trust *t, size_t i);

#endif
