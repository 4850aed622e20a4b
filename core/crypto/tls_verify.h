/* The chain check of one handshake: BearSSL's X.509 class around br_x509_minimal.
 *
 *   Certificate message -> start_cert, append.. (leaf kept, rest counted) -> end_chain: verdict
 *
 * One thread, one handshake. A mesh chain is a leaf signed by a trust anchor itself: only the leaf
 * is judged, certificates behind it are counted and, for a join, the last one is held against the
 * pin (so no intermediate can bring constraints of its own: T10). Form is judged before signature,
 * identity after it: an unsigned name is never believed. Lengths are refused as soon as they are
 * announced (T11).
 */
#ifndef CORE_CRYPTO_TLS_VERIFY_H
#define CORE_CRYPTO_TLS_VERIFY_H

#include "core/crypto/tls_engine.h"
#include "core/crypto/tls_profile.h"

#define TLS_VERIFY_CERT_BYTES_MAX 8192u

enum tls_verify_expect {
    TLS_VERIFY_EXACT,  /* `expect` and nobody else */
    TLS_VERIFY_NODE,   /* any node of the mesh */
    TLS_VERIFY_MEMBER, /* any identity of the mesh */
};

struct tls_verify_options {
    const struct tls_profile *profile;
    const struct trust *trust; /* borrowed; NULL with `pin` */
    const uint8_t *pin;        /* TLS_CA_PIN_BYTES */
    enum x509_role peer_role;
    enum tls_verify_expect match;
    const struct spiffe_id *expect; /* copied */
    int64_t now_s;
};

struct tls_verify;

/* Borrows `o->trust` and `o->profile` for its life. ERR_NOMEM. */
enum err tls_verify_new(const struct tls_verify_options *o, struct tls_verify **out) MUST_USE;
void tls_verify_free(struct tls_verify *v);
/* For br_ssl_engine_set_x509; lives as long as `v`. */
const br_x509_class **tls_verify_class(struct tls_verify *v);
/* The anchors whose names a server sends, borrowed. */
const br_x509_trust_anchor *tls_verify_anchors(const struct tls_verify *v, size_t *count);
/* X509_OK until something is wrong; may be set before the chain has ended. */
enum x509_fault tls_verify_fault(const struct tls_verify *v);
/* The verified leaf; NULL before the chain has ended well. */
const struct x509_leaf *tls_verify_peer(const struct tls_verify *v);
/* Moves the pinned CA certificate out: malloc'd, owned by the caller; NULL when none matched. */
uint8_t *tls_verify_take_ca(struct tls_verify *v, size_t *len);

#endif
