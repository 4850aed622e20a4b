/* Random numbers that are injected: xoshiro256** (Blackman and Vigna 2018), seeded by the caller.
 *
 * One owner. For balancing, jitter and simulation; never for keys (crypto/ takes those from
 * libsodium's randombytes).
 */
#ifndef CORE_BASE_RNG_H
#define CORE_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

/* Any seed is good (expanded by splitmix64). */
void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_u64(struct rng *r);
/* Uniform in [0, bound); bound > 0. Without modulo bias (Lemire 2019). */
uint64_t rng_below(struct rng *r, uint64_t bound);
/* Uniform in [0, 1). */
double rng_unit(struct rng *r);
void rng_bytes(struct rng *r, void *p, size_t len);

#endif
