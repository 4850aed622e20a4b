#include "tests/unit/support_x509.h"

#include "core/base/check.h"
#include "core/crypto/der.h"
#include "core/crypto/p256.h"
#include "core/crypto/x509_parse.h"
#include "core/crypto/x509_time.h"

#include <sodium.h>
#include <stdlib.h>

#define HOUR_S                   3600
#define OID(w, bytes)            der_put((w), DER_OID, (bytes), sizeof(bytes) - 1)
#define OID_ECDSA_SHA256         "\x2a\x86\x48\xce\x3d\x04\x03\x02"
#define OID_ECDSA_SHA384         "\x2a\x86\x48\xce\x3d\x04\x03\x03"
#define NAME_CONSTRAINTS_FOO_COM "\x30\x0c\xa0\x0a\x30\x08\x82\x06\x66\x6f\x6f\x2e\x63\x6f"

void support_x509_ca_new(const char *mesh, struct support_x509_ca *out)
{
    uint8_t public_key[P256_PUBLIC_BYTES];
    CHECK(name_set(&out->mesh, span_str(mesh)) == ERR_OK);
    x509_mint_key(out->secret, public_key);
    CHECK(x509_mint_ca(&out->mesh, out->secret, SUPPORT_X509_NOW - HOUR_S,
                       SUPPORT_X509_NOW + INT64_C(87600) * HOUR_S, &out->der) == ERR_OK);
}

struct identity *support_x509_identity(const struct support_x509_ca *ca, const char *uri)
{
    uint8_t secret[P256_SECRET_BYTES], public_key[P256_PUBLIC_BYTES];
    struct identity *id;
    struct x509_der der;
    x509_mint_key(secret, public_key);
    struct x509_leaf_request r = {.ca_der = span_of(ca->der.data, ca->der.len),
                                  .ca_secret = ca->secret,
                                  .public_key = public_key,
                                  .not_before_s = SUPPORT_X509_NOW - HOUR_S,
                                  .not_after_s = SUPPORT_X509_NOW + 24 * HOUR_S};
    CHECK(name_spiffe_parse(span_str(uri), &r.id) == ERR_OK);
    CHECK(x509_mint_leaf(&r, &der) == ERR_OK);
    CHECK(identity_new(span_of(der.data, der.len), secret, &id) == ERR_OK);
    return id;
}

struct trust *support_x509_trust(const struct support_x509_ca *ca)
{
    struct trust *t;
    struct span der = span_of(ca->der.data, ca->der.len);
    CHECK(identity_trust_new(&der, 1, &ca->mesh, &t) == ERR_OK);
    return t;
}

struct support_x509_leaf support_x509_good(const char *uri)
{
    return (struct support_x509_leaf){.uri = {span_str(uri)},
                                      .uri_count = 1,
                                      .subject = "leaf",
                                      .key_usage = 0x80,
                                      .eku = true,
                                      .eku_server = true,
                                      .eku_client = true,
                                      .version = 2,
                                      .not_before_s = SUPPORT_X509_NOW - HOUR_S,
                                      .not_after_s = SUPPORT_X509_NOW + 24 * HOUR_S};
}

static void open_extension(struct der_writer *w, struct span oid, bool critical)
{
    der_open(w, DER_SEQUENCE);
    der_put(w, DER_OID, oid.p, oid.len);
    if (critical) der_put_bool(w, true);
    der_open(w, DER_OCTET_STRING);
}

static void close_extension(struct der_writer *w)
{
    der_close(w);
    der_close(w);
}

static void put_key_usage(struct der_writer *w, const struct support_x509_leaf *l)
{
    open_extension(w, SPAN_LIT("\x55\x1d\x0f"), !l->key_usage_not_critical);
    unsigned unused = 0;
    while (unused < 7 && (l->key_usage & (1u << unused)) == 0)
        unused++;
    der_put_bits(w, unused, &l->key_usage, 1);
    close_extension(w);
}

static void put_alt_name(struct der_writer *w, const struct support_x509_leaf *l)
{
    open_extension(w, SPAN_LIT("\x55\x1d\x11"), l->san_critical);
    der_open(w, DER_SEQUENCE);
    if (l->dns_san) der_put(w, DER_CONTEXT | 2u, "web.demo", 8);
    for (unsigned i = 0; i < l->uri_count; i++)
        der_put(w, DER_CONTEXT | 6u, l->uri[i].p, l->uri[i].len);
    der_close(w);
    close_extension(w);
}

static void put_eku(struct der_writer *w, const struct support_x509_leaf *l)
{
    open_extension(w, SPAN_LIT("\x55\x1d\x25"), l->eku_critical);
    der_open(w, DER_SEQUENCE);
    if (l->eku_server) OID(w, "\x2b\x06\x01\x05\x05\x07\x03\x01");
    if (l->eku_client) OID(w, "\x2b\x06\x01\x05\x05\x07\x03\x02");
    der_close(w);
    close_extension(w);
}

static void put_padding(struct der_writer *w, size_t len)
{
    uint8_t *zeroes = calloc(1, len);
    CHECK(zeroes != NULL);
    open_extension(w, SPAN_LIT("\x2b\x06\x01\x04\x01\x86\x8d\x1f\x01"), false);
    der_put(w, DER_OCTET_STRING, zeroes, len);
    close_extension(w);
    free(zeroes);
}

static void put_extensions(struct der_writer *w, const struct support_x509_leaf *l,
                           struct span authority)
{
    der_open(w, DER_CONTEXT_CONS | 3u);
    der_open(w, DER_SEQUENCE);
    open_extension(w, SPAN_LIT("\x55\x1d\x13"), true);
    der_open(w, DER_SEQUENCE);
    if (l->ca) der_put_bool(w, true);
    der_close(w);
    close_extension(w);
    if (l->key_usage != SUPPORT_X509_ABSENT) put_key_usage(w, l);
    if (l->twice) put_key_usage(w, l);
    if (!l->drop_san) put_alt_name(w, l);
    if (l->eku) put_eku(w, l);
    if (l->unknown_critical) {
        open_extension(w, SPAN_LIT("\x2b\x06\x01\x04\x01\x86\x8d\x1f\x02"), true);
        der_put_bool(w, true);
        close_extension(w);
    }
    if (l->name_constraints) {
        open_extension(w, SPAN_LIT("\x55\x1d\x1e"), false);
        der_raw(w, SPAN_LIT(NAME_CONSTRAINTS_FOO_COM));
        close_extension(w);
    }
    if (l->padding > 0) put_padding(w, l->padding);
    open_extension(w, SPAN_LIT("\x55\x1d\x23"), false);
    der_open(w, DER_SEQUENCE);
    der_put(w, DER_CONTEXT | 0u, authority.p, authority.len);
    der_close(w);
    close_extension(w);
    der_close(w);
    der_close(w);
}

static void put_key(struct der_writer *w, bool rsa, const uint8_t *public_key)
{
    static const uint8_t rsa_key[2048] = {0x30, 0x82, 0x07, 0xfc};
    der_open(w, DER_SEQUENCE);
    der_open(w, DER_SEQUENCE);
    if (rsa) {
        OID(w, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01");
    } else {
        OID(w, "\x2a\x86\x48\xce\x3d\x02\x01");
        OID(w, "\x2a\x86\x48\xce\x3d\x03\x01\x07");
    }
    der_close(w);
    if (rsa)
        der_put_bits(w, 0, rsa_key, sizeof(rsa_key));
    else
        der_put_bits(w, 0, public_key, P256_PUBLIC_BYTES);
    der_close(w);
}

static void put_algorithm(struct der_writer *w, const struct support_x509_leaf *l)
{
    der_open(w, DER_SEQUENCE);
    if (l->wrong_sig_alg)
        OID(w, OID_ECDSA_SHA384);
    else
        OID(w, OID_ECDSA_SHA256);
    der_close(w);
}

static void put_name(struct der_writer *w, const char *common_name)
{
    der_open(w, DER_SEQUENCE);
    if (common_name != NULL) {
        der_open(w, DER_SET);
        der_open(w, DER_SEQUENCE);
        OID(w, "\x55\x04\x03");
        der_put(w, DER_UTF8_STRING, common_name, strlen(common_name));
        der_close(w);
        der_close(w);
    }
    der_close(w);
}

static void put_tbs(struct der_writer *w, const struct support_x509_ca *ca,
                    const struct support_x509_leaf *l, const uint8_t *public_key)
{
    const uint8_t version = (uint8_t)l->version, serial = 7;
    struct x509_cert issuer;
    CHECK(x509_parse_cert(span_of(ca->der.data, ca->der.len), &issuer) == X509_OK);
    der_open(w, DER_SEQUENCE);
    der_open(w, DER_CONTEXT_CONS | 0u);
    der_put_uint(w, &version, 1);
    der_close(w);
    der_put_uint(w, &serial, 1);
    put_algorithm(w, l);
    der_raw(w, issuer.subject);
    der_open(w, DER_SEQUENCE);
    CHECK(x509_time_put(w, l->not_before_s) == ERR_OK);
    CHECK(x509_time_put(w, l->not_after_s) == ERR_OK);
    der_close(w);
    put_name(w, l->subject);
    put_key(w, l->wrong_key_type, public_key);
    put_extensions(w, l, issuer.subject_key_id);
    der_close(w);
}

void support_x509_write(const struct support_x509_ca *ca, const struct support_x509_leaf *leaf,
                        struct support_x509_pair *out)
{
    uint8_t tbs[SUPPORT_X509_DER], hash[P256_HASH_BYTES], sig[P256_ASN1_SIG_BYTES];
    struct der_writer w;
    size_t len;
    x509_mint_key(out->secret, out->public_key);
    der_init(&w, tbs, sizeof(tbs));
    put_tbs(&w, ca, leaf, out->public_key);
    CHECK(der_finish(&w, &len) == ERR_OK);
    crypto_hash_sha256(hash, tbs, len);
    size_t sig_len = p256_sign_asn1(ca->secret, hash, sig);
    der_init(&w, out->der, sizeof(out->der));
    der_open(&w, DER_SEQUENCE);
    der_raw(&w, span_of(tbs, len));
    put_algorithm(&w, leaf);
    der_put_bits(&w, 0, sig, sig_len);
    der_close(&w);
    CHECK(der_finish(&w, &out->len) == ERR_OK);
}
