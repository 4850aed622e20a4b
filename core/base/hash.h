/* Keyed hash: SipHash-2-4 (Aumasson and Bernstein 2012) by libsodium's crypto_shorthash.
 *
 * Any thread. With a secret key nobody outside can aim collisions at our tables; with a fixed key
 * the value is stable.
 */
#ifndef CORE_BASE_HASH_H
#define CORE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
    uint8_t byte[16];
};

uint64_t hash_bytes(const struct hash_key *key, const void *p, size_t len);
/* Mixes a 64-bit value well (splitmix64 finaliser); for stable ids, not against attackers. */
uint64_t hash_mix(uint64_t v);

#endif
