/* The crypto that the gossip machine uses, as a table: the real one, or in the simulator a cheap
 * stand-in of the same shapes, so that a thousand nodes fit one core.
 *
 * Any thread. The machine never looks behind `struct sign_key` or `struct seal_ring`; a table that
 * brings its own meaning of them is complete.
 */
#ifndef GOSSIP_CRYPTO_OPS_H
#define GOSSIP_CRYPTO_OPS_H

#include "core/crypto/seal.h"
#include "core/crypto/sign.h"

#define CRYPTO_OPS_HASH_BYTES 16u

struct gossip_crypto {
    /* As seal_packet and seal_open (core/crypto/seal.h). */
    enum err (*seal)(const struct seal_scope *scope, const struct seal_header *h, struct span plain,
                     uint8_t *out, size_t cap, size_t *len);
    enum err (*open)(const struct seal_scope *scope, struct span packet, uint8_t *out, size_t cap,
                     size_t *len);
    /* As seal_ring_key. */
    const uint8_t *(*ring_key)(const struct seal_ring *r, size_t i, uint32_t *key_id);
    /* As sign_agree; NULL: seal and open look at no shared secret. */
    enum err (*agree)(const struct sign_key *k, const uint8_t pk[SIGN_PUBLIC_BYTES],
                      uint8_t shared[SIGN_SHARED_BYTES]);
    /* As sign_make, sign_verify, sign_admission_open (core/crypto/sign.h). */
    void (*sign)(const struct sign_key *k, const char *domain, struct span msg,
                 uint8_t sig[SIGN_BYTES]);
    bool (*verify)(const uint8_t pk[SIGN_PUBLIC_BYTES], const char *domain, struct span msg,
                   const uint8_t sig[SIGN_BYTES]);
    enum err (*admission_open)(struct span cert, const uint8_t issuer_pk[SIGN_PUBLIC_BYTES],
                               const struct mesh_id *mesh, int64_t now_s,
                               struct sign_admission *out);
    /* A collision-resistant hash of any bytes. */
    void (*hash)(struct span bytes, uint8_t out[CRYPTO_OPS_HASH_BYTES]);
};

/* libsodium's, through core/crypto. Static. */
const struct gossip_crypto *crypto_ops_real(void);

#endif
