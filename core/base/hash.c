#include "core/base/hash.h"

#include <assert.h>
#include <string.h>

#include <sodium.h>

static_assert(sizeof(struct hash_key) == crypto_shorthash_KEYBYTES, "the key is SipHash's");
static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "the value is SipHash's");

uint64_t hash_bytes(const struct hash_key *key, const void *p, size_t len)
{
    static const uint8_t none[1] = {0};
    uint8_t out[crypto_shorthash_BYTES];
    uint64_t value = 0;
    crypto_shorthash(out, len > 0 ? p : none, len, key->byte);
    /* SipHash is defined little-endian; so is the value, on every machine. */
    for (size_t i = sizeof(out); i > 0; i--)
        value = value << 8 | out[i - 1];
    return value;
}

uint64_t hash_mix(uint64_t v)
{
    v ^= v >> 30;
    v *= UINT64_C(0xbf58476d1ce4e5b9);
    v ^= v >> 27;
    v *= UINT64_C(0x94d049bb133111eb);
    v ^= v >> 31;
    return v;
}
