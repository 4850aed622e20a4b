/* What every TLS connection of ours is made of, chosen once (performance.md 9: each CPUID exit
 * costs microseconds on a virtual machine, so br_*_init_full per connection is out).
 *
 * Immutable after tls_profile_init, shared by threads. Suites: ECDHE-ECDSA with AES-128-GCM or
 * ChaCha20-Poly1305; key exchange X25519 (libsodium) or P-256; SHA-256 everywhere.
 */
#ifndef CORE_CRYPTO_TLS_PROFILE_H
#define CORE_CRYPTO_TLS_PROFILE_H

#include "core/crypto/bear.h"

#include <stdbool.h>

#define TLS_PROFILE_SUITES 2u

struct tls_profile {
    const br_block_ctr_class *aes_ctr; /* borrowed, static */
    br_ghash ghash;
    br_chacha20_run chacha;
    br_poly1305_run poly;
    const br_ec_impl *ec; /* borrowed, static */
    br_ecdsa_vrfy verify;
    br_ecdsa_sign sign;
    uint16_t suite[TLS_PROFILE_SUITES]; /* in our order of preference */
    bool aes_fast;                      /* AES and carry-less multiplication in hardware */
};

/* Asks the CPU what it has. */
void tls_profile_init(struct tls_profile *p);
/* Sets versions, suites, hashes, ciphers and curves of a zeroed engine, and seeds its generator
 * from libsodium. */
void tls_profile_apply(const struct tls_profile *p, br_ssl_engine_context *eng);

#endif
