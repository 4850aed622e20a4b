/* Store, keys and certificates: node and service leaves, trust anchors, the gossip key, a signer's
 * keys.
 *
 * Control thread and offline verbs. Secrets pass through memory that is wiped before return; what a
 * load gives out is owned by the caller. Errors as in store.h: ERR_NOT_FOUND silent, ERR_CORRUPT,
 * ERR_PERM and ERR_IO said in `d`.
 */
#ifndef CMD_DAEMON_STORE_IDENTITY_H
#define CMD_DAEMON_STORE_IDENTITY_H

#include "cmd/daemon/store.h"
#include "core/crypto/identity.h"
#include "core/crypto/sign.h"
#include "core/crypto/x509_mint.h"

/* The node's leaf and key as one identity; the caller unrefs it. Expiry is not judged here. */
enum err store_identity_node(const struct store *s, struct diag *d, struct identity **out) MUST_USE;
/* The same of a service of this host. */
enum err store_identity_service(const struct store *s, const struct name *service, struct diag *d,
                                struct identity **out) MUST_USE;
/* Writes key, then certificate. `service` NULL: the node's. */
enum err store_identity_save(const struct store *s, const struct name *service,
                             const uint8_t secret[P256_SECRET_BYTES], struct span leaf_der,
                             struct diag *d) MUST_USE;

/* All trust anchors of ca.crt. */
enum err store_identity_trust(const struct store *s, const struct name *mesh, struct diag *d,
                              struct trust **out) MUST_USE;
/* The first CA certificate, DER: the one that signs. */
enum err store_identity_ca_der(const struct store *s, struct diag *d,
                               struct x509_der *out) MUST_USE;
enum err store_identity_ca_save(const struct store *s, const struct span *ca_der, size_t count,
                                struct diag *d) MUST_USE;

/* gossip.key, or a signer's ca/issuer.key: Ed25519. */
enum err store_identity_sign_key(const struct store *s, enum store_file f, struct diag *d,
                                 struct sign_key **out) MUST_USE;
enum err store_identity_sign_save(const struct store *s, enum store_file f,
                                  const struct sign_key *k, struct diag *d) MUST_USE;

/* A signer's ca/ca.key. The caller wipes `secret`. ERR_NOT_FOUND: this host signs nothing. */
enum err store_identity_ca_key(const struct store *s, struct diag *d,
                               uint8_t secret[P256_SECRET_BYTES]) MUST_USE;
enum err store_identity_ca_key_save(const struct store *s, const uint8_t secret[P256_SECRET_BYTES],
                                    struct diag *d) MUST_USE;

#endif
