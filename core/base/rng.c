#include "core/base/rng.h"

#include "core/base/check.h"
#include "core/base/hash.h"

void rng_seed(struct rng *r, uint64_t seed)
{
    /* splitmix64: the golden-ratio step and its finaliser. Four outputs of it are never all zero.
     */
    for (size_t i = 0; i < ARRAY_LEN(r->s); i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        r->s[i] = hash_mix(seed);
    }
}

static uint64_t rotl(uint64_t v, unsigned by)
{
    return v << by | v >> (64 - by);
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t result = rotl(r->s[1] * 5, 7) * 9;
    uint64_t t = r->s[1] << 17;
    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rotl(r->s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *r, uint64_t bound)
{
    CHECK(bound > 0);
    for (;;) {
        __extension__ unsigned __int128 product = rng_u64(r);
        product *= bound;
        uint64_t low = (uint64_t)product;
        /* Of the 2^64 inputs, 2^64 mod bound are one too many for some results: those are drawn
         * again. */
        if (low >= bound || low >= (0 - bound) % bound) return (uint64_t)(product >> 64);
    }
}

double rng_unit(struct rng *r)
{
    /* 53 bits: what a double's fraction holds. */
    return (double)(rng_u64(r) >> 11) * 0x1.0p-53;
}

void rng_bytes(struct rng *r, void *p, size_t len)
{
    uint8_t *byte = p;
    uint64_t v = 0;
    for (size_t i = 0; i < len; i++) {
        if (i % 8 == 0) v = rng_u64(r);
        byte[i] = (uint8_t)v;
        v >>= 8;
    }
}
