#include "core/crypto/p256.h"

#include <sodium.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

/* RFC 6979 A.2.5: the key, and the signature of "sample" with SHA-256. */
#define SECRET   "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
#define PUBLIC_X "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
#define PUBLIC_Y "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
#define SIG_R    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
#define SIG_S    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"

static void unhex(const char *text, uint8_t *out, size_t len)
{
    size_t got;
    assert_int_equal(sodium_hex2bin(out, len, text, strlen(text), NULL, &got, NULL), 0);
    assert_int_equal(got, len);
}

static void hash_text(const char *text, uint8_t hash[P256_HASH_BYTES])
{
    crypto_hash_sha256(hash, (const unsigned char *)text, strlen(text));
}

static void test_keys_and_signatures_are_those_of_rfc_6979(void **state)
{
    (void)state;
    uint8_t secret[32], public_key[P256_PUBLIC_BYTES], want[P256_PUBLIC_BYTES] = {4};
    uint8_t hash[P256_HASH_BYTES], sig[P256_RAW_SIG_BYTES], want_sig[P256_RAW_SIG_BYTES];
    unhex(SECRET, secret, 32);
    unhex(PUBLIC_X PUBLIC_Y, want + 1, 64);
    unhex(SIG_R SIG_S, want_sig, 64);
    assert_int_equal(p256_public(secret, public_key), ERR_OK);
    assert_memory_equal(public_key, want, sizeof(want));
    hash_text("sample", hash);
    p256_sign_raw(secret, hash, sig);
    assert_memory_equal(sig, want_sig, sizeof(sig));
    assert_true(p256_verify_raw(public_key, hash, sig));
}

static void test_both_encodings_hold_the_same_signature(void **state)
{
    (void)state;
    uint8_t secret[32], public_key[P256_PUBLIC_BYTES], hash[P256_HASH_BYTES];
    uint8_t sig[P256_ASN1_SIG_BYTES];
    for (int i = 0; i < 20; i++) {
        p256_generate(secret, public_key);
        hash_text("message", hash);
        size_t len = p256_sign_asn1(secret, hash, sig);
        assert_in_range(len, 64, P256_ASN1_SIG_BYTES);
        assert_true(p256_verify_asn1(public_key, hash, span_of(sig, len)));
        assert_false(p256_verify_asn1(public_key, hash, span_of(sig, len - 1)));
        hash[0] ^= 1;
        assert_false(p256_verify_asn1(public_key, hash, span_of(sig, len)));
    }
    assert_false(p256_verify_asn1(public_key, hash, span_of(NULL, 0)));
}

static void test_points_off_the_curve_are_told(void **state)
{
    (void)state;
    uint8_t secret[32], public_key[P256_PUBLIC_BYTES];
    p256_generate(secret, public_key);
    assert_true(p256_on_curve(public_key));
    for (size_t at = 0; at < sizeof(public_key); at++) {
        public_key[at] ^= 1;
        assert_false(p256_on_curve(public_key));
        public_key[at] ^= 1;
    }
    memset(public_key, 0, sizeof(public_key));
    assert_false(p256_on_curve(public_key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_and_signatures_are_those_of_rfc_6979),
        cmocka_unit_test(test_both_encodings_hold_the_same_signature),
        cmocka_unit_test(test_points_off_the_curve_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
