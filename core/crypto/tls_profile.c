#include "core/crypto/tls_profile.h"

#include "core/base/check.h"

#include <sodium.h>
#include <string.h>

#define X25519_BYTES 32u
#define SEED_BYTES   48u

/* BearSSL's scalars are big-endian, libsodium's little-endian (performance.md 9). Both clamp alike
 * (RFC 7748 5). */
static bool reversed(uint8_t out[X25519_BYTES], const unsigned char *scalar, size_t len)
{
    if (len > X25519_BYTES) return false;
    memset(out, 0, X25519_BYTES);
    for (size_t i = 0; i < len; i++)
        out[i] = scalar[len - 1 - i];
    return true;
}

static const unsigned char *ec_generator(int curve, size_t *len)
{
    return curve == BR_EC_curve25519 ? br_ec_c25519_m31.generator(curve, len)
                                     : br_ec_p256_m31.generator(curve, len);
}

static const unsigned char *ec_order(int curve, size_t *len)
{
    return curve == BR_EC_curve25519 ? br_ec_c25519_m31.order(curve, len)
                                     : br_ec_p256_m31.order(curve, len);
}

static size_t ec_xoff(int curve, size_t *len)
{
    return curve == BR_EC_curve25519 ? br_ec_c25519_m31.xoff(curve, len)
                                     : br_ec_p256_m31.xoff(curve, len);
}

static uint32_t ec_mul(unsigned char *point, size_t point_len, const unsigned char *scalar,
                       size_t scalar_len, int curve)
{
    uint8_t key[X25519_BYTES], shared[X25519_BYTES];
    if (curve != BR_EC_curve25519)
        return br_ec_p256_m31.mul(point, point_len, scalar, scalar_len, curve);
    if (point_len != X25519_BYTES || !reversed(key, scalar, scalar_len)) return 0;
    /* RFC 7748 6.1: an all-zero result comes from a point of small order; libsodium says so. */
    int bad = crypto_scalarmult(shared, key, point);
    if (bad == 0) memcpy(point, shared, sizeof(shared));
    sodium_memzero(key, sizeof(key));
    sodium_memzero(shared, sizeof(shared));
    return bad == 0;
}

static size_t ec_mulgen(unsigned char *out, const unsigned char *scalar, size_t scalar_len,
                        int curve)
{
    uint8_t key[X25519_BYTES];
    if (curve != BR_EC_curve25519) return br_ec_p256_m31.mulgen(out, scalar, scalar_len, curve);
    if (!reversed(key, scalar, scalar_len)) return 0;
    int bad = crypto_scalarmult_base(out, key);
    sodium_memzero(key, sizeof(key));
    return bad == 0 ? X25519_BYTES : 0;
}

/* Only signatures ask for this, and those are P-256. */
static uint32_t ec_muladd(unsigned char *a, const unsigned char *b, size_t len,
                          const unsigned char *x, size_t x_len, const unsigned char *y,
                          size_t y_len, int curve)
{
    if (curve != BR_EC_secp256r1) return 0;
    return br_ec_p256_m31.muladd(a, b, len, x, x_len, y, y_len, curve);
}

static const br_ec_impl x25519_and_p256 = {
    .supported_curves = (uint32_t)1 << BR_EC_curve25519 | (uint32_t)1 << BR_EC_secp256r1,
    .generator = ec_generator,
    .order = ec_order,
    .xoff = ec_xoff,
    .mul = ec_mul,
    .mulgen = ec_mulgen,
    .muladd = ec_muladd,
};

void tls_profile_init(struct tls_profile *p)
{
    const uint16_t gcm = BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    const uint16_t chacha = BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256;
    CHECK(sodium_init() >= 0);
    *p = (struct tls_profile){.aes_ctr = br_aes_x86ni_ctr_get_vtable(),
                              .ghash = br_ghash_pclmul_get(),
                              .chacha = br_chacha20_sse2_get(),
                              .poly = br_poly1305_ctmulq_get(),
                              .ec = &x25519_and_p256,
                              .verify = br_ecdsa_i31_vrfy_asn1,
                              .sign = br_ecdsa_i31_sign_asn1};
    p->aes_fast = p->aes_ctr != NULL && p->ghash != 0;
    if (p->aes_ctr == NULL) p->aes_ctr = &br_aes_ct64_ctr_vtable;
    if (p->ghash == 0) p->ghash = br_ghash_ctmul64;
    if (p->chacha == 0) p->chacha = br_chacha20_ct_run;
    if (p->poly == 0) p->poly = br_poly1305_ctmul_run;
    /* Without AES in hardware the constant-time code is several times slower than ChaCha20. */
    p->suite[0] = p->aes_fast ? gcm : chacha;
    p->suite[1] = p->aes_fast ? chacha : gcm;
}

static void seed(br_ssl_engine_context *eng)
{
    uint8_t bytes[SEED_BYTES];
    randombytes_buf(bytes, sizeof(bytes));
    br_ssl_engine_inject_entropy(eng, bytes, sizeof(bytes));
    sodium_memzero(bytes, sizeof(bytes));
    /* The field is BearSSL's own, but there is no setter: as if its system seeder had run, which
     * would open /dev/urandom or ask the CPU for RDRAND at each connection. */
    eng->rng_os_rand_done = 1;
}

void tls_profile_apply(const struct tls_profile *p, br_ssl_engine_context *eng)
{
    br_ssl_engine_set_versions(eng, BR_TLS12, BR_TLS12);
    br_ssl_engine_set_suites(eng, p->suite, TLS_PROFILE_SUITES);
    /* One hash: both suites use it, and each further one would run over every handshake byte. */
    br_ssl_engine_set_hash(eng, br_sha256_ID, &br_sha256_vtable);
    br_ssl_engine_set_prf_sha256(eng, &br_tls12_sha256_prf);
    br_ssl_engine_set_aes_ctr(eng, p->aes_ctr);
    br_ssl_engine_set_ghash(eng, p->ghash);
    br_ssl_engine_set_gcm(eng, &br_sslrec_in_gcm_vtable, &br_sslrec_out_gcm_vtable);
    br_ssl_engine_set_chacha20(eng, p->chacha);
    br_ssl_engine_set_poly1305(eng, p->poly);
    br_ssl_engine_set_chapol(eng, &br_sslrec_in_chapol_vtable, &br_sslrec_out_chapol_vtable);
    br_ssl_engine_set_ec(eng, p->ec);
    br_ssl_engine_set_ecdsa(eng, p->verify);
    uint32_t flags = BR_OPT_NO_RENEGOTIATION | BR_OPT_FAIL_ON_ALPN_MISMATCH;
    /* A server with AES follows the client, which knows what it lacks; one without decides. */
    if (!p->aes_fast) flags |= BR_OPT_ENFORCE_SERVER_PREFERENCES;
    br_ssl_engine_set_all_flags(eng, flags);
    seed(eng);
}
