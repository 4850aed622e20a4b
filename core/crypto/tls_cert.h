/* TLS certificates: what an operator gives a listener to show to clients that are not of the mesh:
 * a chain of any issuer, leaf first, and the leaf's key.
 *
 * Made on the control thread, immutable; tls_cert_ref/unref from any thread (atomic count, acq_rel
 * on the last drop). The key lies in locked memory and is wiped by the last unref. Keys are ECDSA
 * P-256, as everywhere in core/crypto. Never made of a mesh identity: who is led from a mesh port
 * to such a listener must not find there what it expects.
 */
#ifndef CORE_CRYPTO_TLS_CERT_H
#define CORE_CRYPTO_TLS_CERT_H

#include "core/base/err.h"
#include "core/base/span.h"

#define TLS_CERT_CHAIN_MAX 4u
#define TLS_CERT_PEM_MAX   65536u /* bytes of either text */

struct tls_cert; /* opaque */

/* `chain` and `key` are PEM (RFC 7468): CERTIFICATE; EC PRIVATE KEY or PRIVATE KEY, unencrypted.
 * Other objects are skipped. ERR_INVALID: the chain has no certificate or one that cannot be read;
 * ERR_UNTRUSTED: the leaf's key is no ECDSA P-256 key; ERR_CORRUPT: the same of `key`;
 * ERR_MISMATCH: it is not the leaf's; ERR_TOO_LARGE; ERR_NOMEM. One reference. */
enum err tls_cert_new(struct span chain, struct span key, struct tls_cert **out) MUST_USE;
struct tls_cert *tls_cert_ref(struct tls_cert *c);
void tls_cert_unref(struct tls_cert *c);

/* Borrowed. Certificate `i`, DER; empty past the end. */
struct span tls_cert_der(const struct tls_cert *c, size_t i);
/* 32 bytes, big-endian. */
const uint8_t *tls_cert_secret(const struct tls_cert *c);

#endif
