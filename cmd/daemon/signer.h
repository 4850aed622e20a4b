/* Signer: the mesh's CA and issuer keys on a host that has them, and what they sign.
 *
 * Control thread and the verb init. Owns both secrets (sodium_malloc) until signer_free. What a
 * requester wants inside a certificate is never copied: the signer writes it from the name it has
 * checked (security.md X08).
 */
#ifndef CMD_DAEMON_SIGNER_H
#define CMD_DAEMON_SIGNER_H

#include "cmd/daemon/store.h"
#include "core/crypto/sign.h"
#include "core/crypto/x509_mint.h"

#define SIGNER_LEAF_TTL_S (24 * 3600)
/* Certificates start this long before now, for clocks that are behind. */
#define SIGNER_BACKDATE_S 600

struct signer;

/* Loads from the store. ERR_NOT_FOUND: this host signs nothing; ERR_CORRUPT, ERR_PERM said in `d`.
 */
enum err signer_new(const struct store *s, const struct name *mesh, struct diag *d,
                    struct signer **out) MUST_USE;
void signer_free(struct signer *sg);
struct span signer_ca_der(const struct signer *sg);
const uint8_t *signer_issuer_public(const struct signer *sg);
/* The secrets, borrowed, to hand to a joiner with the role signer. */
const uint8_t *signer_ca_secret(const struct signer *sg);
const uint8_t *signer_issuer_seed(const struct signer *sg);

/* A leaf for `id`, valid SIGNER_LEAF_TTL_S from now, or until the CA ends. ERR_INVALID: not a point
 * on the curve. */
enum err signer_leaf(const struct signer *sg, const struct spiffe_id *id,
                     const uint8_t public_key[P256_PUBLIC_BYTES], int64_t now_s,
                     struct x509_der *out) MUST_USE;
/* An admission certificate for the same time; fills node, times and spki in `a` (mesh, public_key,
 * name, roles and services are the caller's). */
enum err signer_admission(const struct signer *sg, struct sign_admission *a, struct span leaf_der,
                          int64_t now_s, uint8_t out[ADMISSION_BYTES_MAX], size_t *len) MUST_USE;

#endif
