/* Cheap stand-ins for the gossip crypto: same shapes and sizes, keyed hashes that anyone could
 * forge, a hundred times faster. What must be refused for a wrong key, mesh, receiver or life of it
 * still is.
 *
 * Any thread. `struct sign_key *` is a `struct fake_key *` here, `struct seal_ring *` a `struct
 * fake_ring *`. What two nodes share follows from their ids, so nothing is agreed on.
 */
#ifndef TESTS_SIM_FAKE_CRYPTO_H
#define TESTS_SIM_FAKE_CRYPTO_H

#include "gossip/crypto_ops.h"

#define FAKE_ADMISSION_BYTES_MAX (SIGN_PUBLIC_BYTES + 8u + NAME_BYTES_MAX)

struct fake_key {
    uint8_t public_key[SIGN_PUBLIC_BYTES];
};

/* Stands for a key ring; the first key seals. The machine gets it as a `struct seal_ring *`; none
 * at all is a ring of one key that has no id. */
struct fake_ring {
    uint32_t count;
    uint8_t key[SEAL_KEYS_MAX][SEAL_KEY_BYTES];
};

const struct gossip_crypto *fake_crypto_ops(void);
/* As seal_ring_add, _use and _remove; false where they fail. */
bool fake_crypto_ring_add(struct fake_ring *r, const uint8_t key[SEAL_KEY_BYTES]);
bool fake_crypto_ring_use(struct fake_ring *r, uint32_t key_id);
bool fake_crypto_ring_remove(struct fake_ring *r, uint32_t key_id);
uint32_t fake_crypto_key_id(const uint8_t key[SEAL_KEY_BYTES]);
/* What a packet sealed with it says, whoever it is for; borrowed from it. */
struct span fake_crypto_plain(struct span packet);
/* The key of node number `i` in a world of that seed. */
void fake_crypto_key(uint64_t seed, uint32_t i, struct fake_key *out);
struct node_id fake_crypto_node_id(const struct fake_key *k);
/* The number of the node; of ids made here only. */
uint32_t fake_crypto_index(const struct node_id *id);
/* SHA-256 of the TLS key that goes with it. */
void fake_crypto_spki(const struct fake_key *k, uint8_t out[32]);
/* pk32 || issuer's mark 8 || name; its length. */
size_t fake_crypto_admission(const struct fake_key *k, const struct name *name,
                             const uint8_t issuer_pk[SIGN_PUBLIC_BYTES],
                             uint8_t out[FAKE_ADMISSION_BYTES_MAX]);
static inline const struct seal_ring *fake_crypto_ring(const struct fake_ring *r)
{
    return r->count > 0 ? (const struct seal_ring *)(const void *)r : NULL;
}
static inline const struct sign_key *fake_crypto_sign_key(const struct fake_key *k)
{
    return (const struct sign_key *)(const void *)k;
}

#endif
