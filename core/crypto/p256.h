/* ECDSA over P-256 with SHA-256 (FIPS 186-4, RFC 6979 nonces), BearSSL's constant-time i31 code.
 *
 * Any thread, pure but for p256_generate, which draws from libsodium's randombytes. Secrets are 32
 * bytes big-endian in [1, n-1]; public keys are 04 || X || Y. The caller keeps secrets in locked
 * memory.
 */
#ifndef CORE_CRYPTO_P256_H
#define CORE_CRYPTO_P256_H

#include "core/crypto/identity.h"

#define P256_HASH_BYTES     32u
#define P256_RAW_SIG_BYTES  64u /* r || s */
#define P256_ASN1_SIG_BYTES 72u /* SEQUENCE { r, s }, the longest */

/* A fresh secret and its public key. */
void p256_generate(uint8_t secret[P256_SECRET_BYTES], uint8_t public_key[P256_PUBLIC_BYTES]);
/* ERR_RANGE: 0, or not below the group order. */
enum err p256_public(const uint8_t secret[P256_SECRET_BYTES],
                     uint8_t public_key[P256_PUBLIC_BYTES]) MUST_USE;
/* A point on the curve, uncompressed. */
bool p256_on_curve(const uint8_t public_key[P256_PUBLIC_BYTES]);
/* Signs a SHA-256 hash; the DER form's length is returned. `secret` must be in range. */
size_t p256_sign_asn1(const uint8_t secret[P256_SECRET_BYTES], const uint8_t hash[P256_HASH_BYTES],
                      uint8_t sig[P256_ASN1_SIG_BYTES]);
bool p256_verify_asn1(const uint8_t public_key[P256_PUBLIC_BYTES],
                      const uint8_t hash[P256_HASH_BYTES], struct span sig);
void p256_sign_raw(const uint8_t secret[P256_SECRET_BYTES], const uint8_t hash[P256_HASH_BYTES],
                   uint8_t sig[P256_RAW_SIG_BYTES]);
bool p256_verify_raw(const uint8_t public_key[P256_PUBLIC_BYTES],
                     const uint8_t hash[P256_HASH_BYTES], const uint8_t sig[P256_RAW_SIG_BYTES]);

#endif
