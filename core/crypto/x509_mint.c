#include "core/crypto/x509_mint.h"

#include "core/base/check.h"
#include "core/crypto/der.h"
#include "core/crypto/p256.h"
#include "core/crypto/x509_parse.h"
#include "core/crypto/x509_time.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>

#define SERIAL_BYTES      16u
#define KEY_ID_BYTES      20u
#define PEM_LINE_BYTES    48u /* 64 characters (RFC 7468 2) */
#define PEM_BOUNDARY_MAX  80u
#define GENERAL_NAME_URI  (DER_CONTEXT | 6u)
#define EXTENSIONS_FIELD  (DER_CONTEXT_CONS | 3u)
#define CA_COMMON_NAME    "parley CA"
#define CRITICAL          true
#define NOT_CRITICAL      false
#define PUT_OID(w, bytes) der_put((w), DER_OID, (bytes), sizeof(bytes) - 1)

/* What differs between the two kinds of certificate. */
struct parts {
    struct span issuer;      /* a whole Name; empty: the subject's own */
    struct span authority;   /* key id of the issuer; empty: none */
    const struct name *mesh; /* CA: organisation */
    const char *common_name;
    const char *uri;
    const uint8_t *public_key;
    int64_t not_before_s, not_after_s;
    bool ca;
};

void x509_mint_key(uint8_t secret[P256_SECRET_BYTES], uint8_t public_key[P256_PUBLIC_BYTES])
{
    p256_generate(secret, public_key);
}

enum err x509_mint_public(const uint8_t secret[P256_SECRET_BYTES],
                          uint8_t public_key[P256_PUBLIC_BYTES])
{
    return p256_public(secret, public_key);
}

static void put_algorithm(struct der_writer *w)
{
    der_open(w, DER_SEQUENCE);
    PUT_OID(w, "\x2a\x86\x48\xce\x3d\x04\x03\x02"); /* ecdsa-with-SHA256 */
    der_close(w);
}

static void put_spki(struct der_writer *w, const uint8_t public_key[P256_PUBLIC_BYTES])
{
    der_open(w, DER_SEQUENCE);
    der_open(w, DER_SEQUENCE);
    PUT_OID(w, "\x2a\x86\x48\xce\x3d\x02\x01");     /* id-ecPublicKey */
    PUT_OID(w, "\x2a\x86\x48\xce\x3d\x03\x01\x07"); /* secp256r1 */
    der_close(w);
    der_put_bits(w, 0, public_key, P256_PUBLIC_BYTES);
    der_close(w);
}

/* One attribute of a Name: id-at 2.5.4.`type`. */
static void put_attribute(struct der_writer *w, unsigned char type, const char *value)
{
    const unsigned char oid[3] = {0x55, 0x04, type};
    der_open(w, DER_SET);
    der_open(w, DER_SEQUENCE);
    der_put(w, DER_OID, oid, sizeof(oid));
    der_put(w, DER_UTF8_STRING, value, strlen(value));
    der_close(w);
    der_close(w);
}

static void put_subject(struct der_writer *w, const struct parts *p)
{
    const unsigned char organization = 10, common_name = 3;
    der_open(w, DER_SEQUENCE);
    if (p->mesh != NULL) put_attribute(w, organization, p->mesh->text);
    put_attribute(w, common_name, p->common_name);
    der_close(w);
}

/* Opens an extension id-ce 2.5.29.`id` up to the value inside its OCTET STRING. */
static void open_extension(struct der_writer *w, unsigned char id, bool critical)
{
    const unsigned char oid[3] = {0x55, 0x1d, id};
    der_open(w, DER_SEQUENCE);
    der_put(w, DER_OID, oid, sizeof(oid));
    if (critical) der_put_bool(w, true);
    der_open(w, DER_OCTET_STRING);
}

static void close_extension(struct der_writer *w)
{
    der_close(w);
    der_close(w);
}

/* RFC 7093 2 method 1: the first 160 bits of SHA-256 of the key. */
static void key_id(const uint8_t public_key[P256_PUBLIC_BYTES], uint8_t id[KEY_ID_BYTES])
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, public_key, P256_PUBLIC_BYTES);
    memcpy(id, hash, KEY_ID_BYTES);
}

static void put_constraints(struct der_writer *w, bool ca)
{
    const unsigned char no_path = 0;
    open_extension(w, 19, CRITICAL); /* basicConstraints */
    der_open(w, DER_SEQUENCE);
    if (ca) {
        der_put_bool(w, true);
        der_put_uint(w, &no_path, 1);
    }
    der_close(w);
    close_extension(w);
}

static void put_usages(struct der_writer *w, bool ca)
{
    open_extension(w, 15, CRITICAL); /* keyUsage */
    if (ca)
        der_put_bits(w, 1, "\x06", 1); /* keyCertSign, cRLSign */
    else
        der_put_bits(w, 7, "\x80", 1); /* digitalSignature */
    close_extension(w);
    if (ca) return;
    open_extension(w, 37, NOT_CRITICAL); /* extKeyUsage; T08: BearSSL refuses a critical one */
    der_open(w, DER_SEQUENCE);
    PUT_OID(w, "\x2b\x06\x01\x05\x05\x07\x03\x01"); /* serverAuth */
    PUT_OID(w, "\x2b\x06\x01\x05\x05\x07\x03\x02"); /* clientAuth */
    der_close(w);
    close_extension(w);
}

static void put_extensions(struct der_writer *w, const struct parts *p)
{
    uint8_t id[KEY_ID_BYTES];
    key_id(p->public_key, id);
    der_open(w, EXTENSIONS_FIELD);
    der_open(w, DER_SEQUENCE);
    put_constraints(w, p->ca);
    put_usages(w, p->ca);
    open_extension(w, 17, NOT_CRITICAL); /* subjectAltName */
    der_open(w, DER_SEQUENCE);
    der_put(w, GENERAL_NAME_URI, p->uri, strlen(p->uri));
    der_close(w);
    close_extension(w);
    open_extension(w, 14, NOT_CRITICAL); /* subjectKeyIdentifier */
    der_put(w, DER_OCTET_STRING, id, sizeof(id));
    close_extension(w);
    if (p->authority.len > 0) {
        open_extension(w, 35, NOT_CRITICAL); /* authorityKeyIdentifier */
        der_open(w, DER_SEQUENCE);
        der_put(w, DER_CONTEXT | 0u, p->authority.p, p->authority.len);
        der_close(w);
        close_extension(w);
    }
    der_close(w);
    der_close(w);
}

static enum err put_tbs(struct der_writer *w, const struct parts *p)
{
    const unsigned char version_3 = 2;
    uint8_t serial[SERIAL_BYTES];
    /* 127 random bits: unique without a counter to keep (CA/B BR 7.1 asks for 64). */
    randombytes_buf(serial, sizeof(serial));
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40);
    der_open(w, DER_SEQUENCE);
    der_open(w, DER_CONTEXT_CONS | 0u);
    der_put_uint(w, &version_3, 1);
    der_close(w);
    der_put_uint(w, serial, sizeof(serial));
    put_algorithm(w);
    if (p->issuer.len > 0)
        der_raw(w, p->issuer);
    else
        put_subject(w, p);
    der_open(w, DER_SEQUENCE);
    if (x509_time_put(w, p->not_before_s) != ERR_OK) return ERR_RANGE;
    if (x509_time_put(w, p->not_after_s) != ERR_OK) return ERR_RANGE;
    der_close(w);
    put_subject(w, p);
    put_spki(w, p->public_key);
    put_extensions(w, p);
    der_close(w);
    return ERR_OK;
}

static enum err mint(const struct parts *p, const uint8_t secret[P256_SECRET_BYTES],
                     struct x509_der *out)
{
    uint8_t tbs[X509_DER_MAX], hash[P256_HASH_BYTES], sig[P256_ASN1_SIG_BYTES];
    struct der_writer w;
    size_t tbs_len;
    if (p->not_before_s > p->not_after_s) return ERR_RANGE;
    der_init(&w, tbs, sizeof(tbs));
    enum err err = put_tbs(&w, p);
    if (err != ERR_OK) return err;
    err = der_finish(&w, &tbs_len);
    if (err != ERR_OK) return err;
    crypto_hash_sha256(hash, tbs, tbs_len);
    size_t sig_len = p256_sign_asn1(secret, hash, sig);

    struct x509_der der;
    der_init(&w, der.data, sizeof(der.data));
    der_open(&w, DER_SEQUENCE);
    der_raw(&w, span_of(tbs, tbs_len));
    put_algorithm(&w);
    der_put_bits(&w, 0, sig, sig_len);
    der_close(&w);
    err = der_finish(&w, &der.len);
    if (err == ERR_OK) *out = der;
    return err;
}

enum err x509_mint_ca(const struct name *mesh, const uint8_t secret[P256_SECRET_BYTES],
                      int64_t not_before_s, int64_t not_after_s, struct x509_der *out)
{
    uint8_t public_key[P256_PUBLIC_BYTES];
    char uri[SPIFFE_ID_BYTES_MAX + 1];
    enum err err = p256_public(secret, public_key);
    if (err != ERR_OK) return err;
    snprintf(uri, sizeof(uri), "spiffe://%s", mesh->text);
    struct parts parts = {.mesh = mesh,
                          .common_name = CA_COMMON_NAME,
                          .uri = uri,
                          .public_key = public_key,
                          .not_before_s = not_before_s,
                          .not_after_s = not_after_s,
                          .ca = true};
    return mint(&parts, secret, out);
}

enum err x509_mint_leaf(const struct x509_leaf_request *r, struct x509_der *out)
{
    uint8_t ca_public[P256_PUBLIC_BYTES];
    char uri[SPIFFE_ID_BYTES_MAX + 1];
    struct x509_cert ca;
    if (x509_parse_cert(r->ca_der, &ca) != X509_OK || !ca.is_ca) return ERR_INVALID;
    if (p256_public(r->ca_secret, ca_public) != ERR_OK) return ERR_INVALID;
    if (memcmp(ca_public, ca.public_key.p, sizeof(ca_public)) != 0) return ERR_MISMATCH;
    if (r->public_key[0] != 0x04 || !p256_on_curve(r->public_key)) return ERR_INVALID;
    /* A leaf that outlives its issuer would be refused in its last days for a reason nobody sees.
     */
    if (r->not_after_s > ca.not_after_s) return ERR_RANGE;
    name_spiffe_format(&r->id, uri);
    struct parts parts = {.issuer = ca.subject,
                          .authority = ca.subject_key_id,
                          .common_name = r->id.name.text,
                          .uri = uri,
                          .public_key = r->public_key,
                          .not_before_s = r->not_before_s,
                          .not_after_s = r->not_after_s};
    return mint(&parts, r->ca_secret, out);
}

/* SHA-256 of domain || 0 || msg. */
static void prove_hash(const char *domain, struct span msg, uint8_t hash[P256_HASH_BYTES])
{
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const unsigned char *)domain, strlen(domain) + 1);
    if (msg.len > 0) crypto_hash_sha256_update(&state, (const unsigned char *)msg.p, msg.len);
    crypto_hash_sha256_final(&state, hash);
}

void x509_mint_prove(const uint8_t secret[P256_SECRET_BYTES], const char *domain, struct span msg,
                     uint8_t sig[64])
{
    uint8_t hash[P256_HASH_BYTES];
    prove_hash(domain, msg, hash);
    p256_sign_raw(secret, hash, sig);
}

bool x509_mint_prove_verify(const uint8_t public_key[P256_PUBLIC_BYTES], const char *domain,
                            struct span msg, const uint8_t sig[64])
{
    uint8_t hash[P256_HASH_BYTES];
    prove_hash(domain, msg, hash);
    return p256_verify_raw(public_key, hash, sig);
}

void x509_mint_pem(const char *label, struct span der, struct strbuf *out)
{
    char line[sodium_base64_ENCODED_LEN(PEM_LINE_BYTES, sodium_base64_VARIANT_ORIGINAL)];
    strbuf_fmt(out, "-----BEGIN %s-----\n", label);
    for (size_t at = 0; at < der.len; at += PEM_LINE_BYTES) {
        size_t len = der.len - at < PEM_LINE_BYTES ? der.len - at : PEM_LINE_BYTES;
        sodium_bin2base64(line, sizeof(line), (const unsigned char *)der.p + at, len,
                          sodium_base64_VARIANT_ORIGINAL);
        strbuf_str(out, line);
        strbuf_char(out, '\n');
    }
    strbuf_fmt(out, "-----END %s-----\n", label);
    sodium_memzero(line, sizeof(line)); /* the label may be that of a private key */
}

/* The offset of `needle` in `s`; s.len when it is not there. */
static size_t find(struct span s, struct span needle)
{
    for (size_t at = 0; needle.len <= s.len - at; at++)
        if (memcmp(s.p + at, needle.p, needle.len) == 0) return at;
    return s.len;
}

enum err x509_mint_unpem(struct span pem, const char *label, uint8_t *out, size_t cap, size_t *len)
{
    char begin[PEM_BOUNDARY_MAX], end[PEM_BOUNDARY_MAX];
    int written = snprintf(begin, sizeof(begin), "-----BEGIN %s-----", label);
    CHECK(written > 0 && (size_t)written < sizeof(begin));
    snprintf(end, sizeof(end), "-----END %s-----", label);

    size_t at = find(pem, span_str(begin));
    if (at == pem.len) return ERR_NOT_FOUND;
    struct span body = span_skip(pem, at + strlen(begin));
    at = find(body, span_str(end));
    if (at == body.len) return ERR_INVALID;
    body.len = at;
    const char *stop = NULL;
    errno = 0;
    if (sodium_base642bin(out, cap, body.p, body.len, "\r\n\t ", len, &stop,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return errno == ERANGE ? ERR_TOO_LARGE : ERR_INVALID;
    return stop == body.p + body.len ? ERR_OK : ERR_INVALID;
}
