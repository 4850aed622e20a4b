#include "core/crypto/p256.h"

#include "core/base/check.h"
#include "core/crypto/bear.h"

#include <sodium.h>

/* FIPS 186-4 D.1.2.3: the order n. */
static const uint8_t order[P256_SECRET_BYTES] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};

/* 0 < secret < n, in constant time: the borrow of secret - n tells. */
static bool in_range(const uint8_t secret[P256_SECRET_BYTES])
{
    unsigned borrow = 0, any = 0;
    for (size_t i = P256_SECRET_BYTES; i-- > 0;) {
        unsigned diff = 0x100u + secret[i] - order[i] - borrow;
        borrow = 1u - (diff >> 8);
        any |= secret[i];
    }
    return borrow == 1 && any != 0;
}

static br_ec_private_key private_key(const uint8_t secret[P256_SECRET_BYTES])
{
    return (br_ec_private_key){BR_EC_secp256r1, bear_bytes(secret), P256_SECRET_BYTES};
}

static br_ec_public_key public_point(const uint8_t public_key[P256_PUBLIC_BYTES])
{
    return (br_ec_public_key){BR_EC_secp256r1, bear_bytes(public_key), P256_PUBLIC_BYTES};
}

void p256_generate(uint8_t secret[P256_SECRET_BYTES], uint8_t public_key[P256_PUBLIC_BYTES])
{
    /* Rejection keeps it uniform (FIPS 186-4 B.4.2); a draw fails once in 2^32. */
    do
        randombytes_buf(secret, P256_SECRET_BYTES);
    while (!in_range(secret));
    enum err err = p256_public(secret, public_key);
    CHECK(err == ERR_OK);
}

enum err p256_public(const uint8_t secret[P256_SECRET_BYTES], uint8_t public_key[P256_PUBLIC_BYTES])
{
    if (!in_range(secret)) return ERR_RANGE;
    size_t len = br_ec_p256_m31.mulgen(public_key, secret, P256_SECRET_BYTES, BR_EC_secp256r1);
    CHECK(len == P256_PUBLIC_BYTES);
    return ERR_OK;
}

bool p256_on_curve(const uint8_t public_key[P256_PUBLIC_BYTES])
{
    uint8_t point[P256_PUBLIC_BYTES];
    const uint8_t one = 1;
    memcpy(point, public_key, sizeof(point));
    return br_ec_p256_m31.mul(point, sizeof(point), &one, 1, BR_EC_secp256r1) == 1;
}

size_t p256_sign_asn1(const uint8_t secret[P256_SECRET_BYTES], const uint8_t hash[P256_HASH_BYTES],
                      uint8_t sig[P256_ASN1_SIG_BYTES])
{
    br_ec_private_key sk = private_key(secret);
    size_t len = br_ecdsa_i31_sign_asn1(&br_ec_p256_m31, &br_sha256_vtable, hash, &sk, sig);
    CHECK(len > 0 && len <= P256_ASN1_SIG_BYTES);
    return len;
}

bool p256_verify_asn1(const uint8_t public_key[P256_PUBLIC_BYTES],
                      const uint8_t hash[P256_HASH_BYTES], struct span sig)
{
    br_ec_public_key pk = public_point(public_key);
    return br_ecdsa_i31_vrfy_asn1(&br_ec_p256_m31, hash, P256_HASH_BYTES, &pk, sig.p, sig.len) == 1;
}

void p256_sign_raw(const uint8_t secret[P256_SECRET_BYTES], const uint8_t hash[P256_HASH_BYTES],
                   uint8_t sig[P256_RAW_SIG_BYTES])
{
    br_ec_private_key sk = private_key(secret);
    size_t len = br_ecdsa_i31_sign_raw(&br_ec_p256_m31, &br_sha256_vtable, hash, &sk, sig);
    CHECK(len == P256_RAW_SIG_BYTES);
}

bool p256_verify_raw(const uint8_t public_key[P256_PUBLIC_BYTES],
                     const uint8_t hash[P256_HASH_BYTES], const uint8_t sig[P256_RAW_SIG_BYTES])
{
    br_ec_public_key pk = public_point(public_key);
    return br_ecdsa_i31_vrfy_raw(&br_ec_p256_m31, hash, P256_HASH_BYTES, &pk, sig,
                                 P256_RAW_SIG_BYTES) == 1;
}
