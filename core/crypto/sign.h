/* Ed25519 keys and signatures (RFC 8032 5.1, libsodium), and the admission certificate that ties a
 * node's keys to its name. Signatures are Ed25519ph, so that a domain and a message of any length
 * are hashed where they lie.
 *
 * Any thread. Secrets are in sodium_malloc memory owned by `struct sign_key`.
 *
 * Admission certificate (gossip.md 3.4), msgpack array, then 64 bytes of Ed25519 signature by the
 * mesh issuer over "parley-admission-1\0" || body: [1, mesh_id16, node_id16, ed25519_pk32,
 * sha256(P-256 SPKI)32, name, roles, not_before_s, not_after_s, [service, ...]]
 */
#ifndef CORE_CRYPTO_SIGN_H
#define CORE_CRYPTO_SIGN_H

#include "core/base/err.h"
#include "core/model/name.h"

#define SIGN_PUBLIC_BYTES      32u
#define SIGN_SEED_BYTES        32u
#define SIGN_BYTES             64u
#define ADMISSION_BYTES_MAX    2048u
#define ADMISSION_SERVICES_MAX 16u
#define ADMISSION_ROLE_SIGNER  1u /* may sign certificates for others */

struct sign_key; /* owned secret + public */

/* `seed` 32 bytes, copied; NULL: fresh from randombytes. ERR_NOMEM. */
enum err sign_key_new(const uint8_t *seed, struct sign_key **out) MUST_USE;
void sign_key_free(struct sign_key *k);
const uint8_t *sign_key_public(const struct sign_key *k);
/* The seed, borrowed, for storing. */
const uint8_t *sign_key_seed(const struct sign_key *k);
/* `domain` separates uses: it is hashed in front, with its NUL. */
void sign_make(const struct sign_key *k, const char *domain, struct span msg,
               uint8_t sig[SIGN_BYTES]);
bool sign_verify(const uint8_t pk[SIGN_PUBLIC_BYTES], const char *domain, struct span msg,
                 const uint8_t sig[SIGN_BYTES]);
/* The secret that only the holders of the two keys can compute: X25519 (RFC 7748 6.1) of both as
 * Montgomery keys. The same from either side. About 90 us. ERR_INVALID: `pk` is no point of the
 * prime-order group; nothing is written. */
#define SIGN_SHARED_BYTES 32u
enum err sign_agree(const struct sign_key *k, const uint8_t pk[SIGN_PUBLIC_BYTES],
                    uint8_t shared[SIGN_SHARED_BYTES]) MUST_USE;
/* BLAKE2b-256 of any bytes: what a signed head names its parts by. */
#define SIGN_DIGEST_BYTES 32u
void sign_digest(struct span bytes, uint8_t out[SIGN_DIGEST_BYTES]);
/* gossip.md 3.1. */
struct node_id sign_node_id(const uint8_t pk[SIGN_PUBLIC_BYTES]);

struct sign_admission {
    struct mesh_id mesh;
    struct node_id node;
    uint8_t public_key[SIGN_PUBLIC_BYTES];
    uint8_t spki_sha256[32];
    struct name name;
    uint32_t roles;
    int64_t not_before_s, not_after_s;
    uint32_t service_count; /* 0: may announce any */
    struct name service[ADMISSION_SERVICES_MAX];
};

/* Encodes and signs; `*len` bytes into out (cap ADMISSION_BYTES_MAX). ERR_MISMATCH: a->node is not
 * the id of a->public_key; ERR_RANGE: too many services, or the dates are the wrong way round. */
enum err sign_admission_make(const struct sign_key *issuer, const struct sign_admission *a,
                             uint8_t out[ADMISSION_BYTES_MAX], size_t *len) MUST_USE;
/* Decodes and verifies: signature, mesh, node_id = hash of the key, times. ERR_INVALID, ERR_AUTH,
 * ERR_MISMATCH, ERR_EXPIRED, ERR_NOT_YET_VALID (10 minutes of skew allowed before not_before). */
enum err sign_admission_open(struct span cert, const uint8_t issuer_pk[SIGN_PUBLIC_BYTES],
                             const struct mesh_id *mesh, int64_t now_s,
                             struct sign_admission *out) MUST_USE;
/* Decodes one that sign_admission_open has accepted before; checks no signature. ERR_INVALID. */
enum err sign_admission_read(struct span cert, struct sign_admission *out) MUST_USE;
/* Whether its holder may announce `service`, and have a leaf for it. */
bool sign_admission_grants(const struct sign_admission *a, const struct name *service);

#endif
