#include "core/crypto/x509_parse.h"

#include "core/base/check.h"
#include "core/crypto/der.h"
#include "core/crypto/x509_time.h"

#define SERIAL_BYTES_MAX   20u /* RFC 5280 4.1.2.2 */
#define GENERAL_NAME_URI   (DER_CONTEXT | 6u)
#define GENERAL_NAME_TAGS  9u /* [0] to [8] */
#define GENERAL_NAMES_MAX  64u
#define EKU_PURPOSES_MAX   32u
#define KEY_USAGE_BITS_MAX 9u

#define OID(literal) SPAN_LIT(literal)

/* What extensions mean to us. */
enum extension {
    EXT_SUBJECT_KEY_ID,
    EXT_KEY_USAGE,
    EXT_SUBJECT_ALT_NAME,
    EXT_BASIC_CONSTRAINTS,
    EXT_NAME_CONSTRAINTS,
    EXT_AUTHORITY_KEY_ID,
    EXT_EXTENDED_KEY_USAGE,
    EXT_OTHER
};

/* id-ce, 2.5.29.n */
static const struct {
    unsigned char last;
    enum extension extension;
} extensions[] = {{14, EXT_SUBJECT_KEY_ID},    {15, EXT_KEY_USAGE},
                  {17, EXT_SUBJECT_ALT_NAME},  {19, EXT_BASIC_CONSTRAINTS},
                  {30, EXT_NAME_CONSTRAINTS},  {35, EXT_AUTHORITY_KEY_ID},
                  {37, EXT_EXTENDED_KEY_USAGE}};

static enum extension extension_of(struct span oid)
{
    if (oid.len != 3 || memcmp(oid.p, "\x55\x1d", 2) != 0) return EXT_OTHER;
    for (size_t i = 0; i < ARRAY_LEN(extensions); i++)
        if ((unsigned char)oid.p[2] == extensions[i].last) return extensions[i].extension;
    return EXT_OTHER;
}

static bool read_key_usage(struct span in, struct x509_cert *c)
{
    struct span bits;
    unsigned unused;
    if (!der_take_bits(&in, &bits, &unused) || in.len != 0) return false;
    /* RFC 5280 4.2.1.3: at least one bit is set when the extension appears. */
    if (bits.len < 1 || bits.len > 2) return false;
    for (unsigned i = 0; i < KEY_USAGE_BITS_MAX && i / 8 < bits.len; i++)
        if (((unsigned char)bits.p[i / 8] & (0x80u >> (i % 8))) != 0) c->key_usage |= 1u << i;
    c->has_key_usage = true;
    return c->key_usage != 0;
}

/* GeneralNames (RFC 5280 4.2.1.6): other kinds of name are allowed beside the URI and ignored. */
static bool read_alt_names(struct span in, struct x509_cert *c)
{
    struct span names, whole, body;
    unsigned tag, count = 0;
    if (!der_take(&in, DER_SEQUENCE, &names) || in.len != 0 || names.len == 0) return false;
    while (names.len > 0) {
        if (++count > GENERAL_NAMES_MAX || !der_take_whole(&names, &tag, &whole, &body))
            return false;
        if ((tag & 0xc0) != DER_CONTEXT || (tag & 0x1f) >= GENERAL_NAME_TAGS) return false;
        if (tag == GENERAL_NAME_URI && c->uri_count++ == 0) c->uri = body;
        /* A constructed form of the URI is not DER, and must not hide a second one. */
        if (tag == (DER_CONTEXT_CONS | 6u)) return false;
    }
    return true;
}

static bool read_basic_constraints(struct span in, struct x509_cert *c)
{
    struct span body, path;
    if (!der_take(&in, DER_SEQUENCE, &body) || in.len != 0) return false;
    /* X.690 11.5: a value that is the default is left out, so a FALSE here is not DER, but old
     * issuers write it and it says nothing else. */
    if (der_peek(body) == DER_BOOLEAN && !der_take_bool(&body, &c->is_ca)) return false;
    if (body.len > 0 && (!c->is_ca || !der_take_uint(&body, 1, &path))) return false;
    c->has_basic = true;
    return body.len == 0;
}

static bool read_extended_key_usage(struct span in, struct x509_cert *c)
{
    /* id-kp, 1.3.6.1.5.5.7.3: serverAuth 1, clientAuth 2. anyExtendedKeyUsage is not taken for
     * either (RFC 5280 4.2.1.12 leaves that to us). */
    struct span purposes, oid;
    unsigned count = 0;
    if (!der_take(&in, DER_SEQUENCE, &purposes) || in.len != 0 || purposes.len == 0) return false;
    while (purposes.len > 0) {
        if (++count > EKU_PURPOSES_MAX || !der_take(&purposes, DER_OID, &oid)) return false;
        if (span_eq(oid, OID("\x2b\x06\x01\x05\x05\x07\x03\x01"))) c->eku_server = true;
        if (span_eq(oid, OID("\x2b\x06\x01\x05\x05\x07\x03\x02"))) c->eku_client = true;
    }
    c->has_eku = true;
    return true;
}

static bool read_authority_key_id(struct span in, struct x509_cert *c)
{
    struct span body;
    if (!der_take(&in, DER_SEQUENCE, &body) || in.len != 0) return false;
    if (der_peek(body) == (DER_CONTEXT | 0u))
        return der_take(&body, DER_CONTEXT | 0u, &c->authority_key_id);
    return true;
}

static bool read_known(enum extension ext, struct span value, bool critical, struct x509_cert *c)
{
    switch (ext) {
    case EXT_SUBJECT_KEY_ID:
        return der_take(&value, DER_OCTET_STRING, &c->subject_key_id) && value.len == 0;
    case EXT_KEY_USAGE:
        c->key_usage_critical = critical;
        return read_key_usage(value, c);
    case EXT_SUBJECT_ALT_NAME:
        return read_alt_names(value, c);
    case EXT_BASIC_CONSTRAINTS:
        c->basic_critical = critical;
        return read_basic_constraints(value, c);
    case EXT_NAME_CONSTRAINTS:
        /* T10: they bind even when not critical, and the chain check does not know them. */
        c->unknown_critical = true;
        return true;
    case EXT_AUTHORITY_KEY_ID:
        return read_authority_key_id(value, c);
    case EXT_EXTENDED_KEY_USAGE:
        /* T08: the chain check refuses a critical one, so it is refused here by name. */
        if (critical) c->unknown_critical = true;
        return read_extended_key_usage(value, c);
    case EXT_OTHER:
        if (critical) c->unknown_critical = true;
        return true;
    }
    return false;
}

static bool read_extensions(struct span in, struct x509_cert *c)
{
    struct span list, one, oid, value;
    unsigned count = 0;
    if (!der_take(&in, DER_SEQUENCE, &list) || in.len != 0 || list.len == 0) return false;
    while (list.len > 0) {
        bool critical = false;
        if (++count > X509_EXTENSIONS_MAX || !der_take(&list, DER_SEQUENCE, &one)) return false;
        if (!der_take(&one, DER_OID, &oid)) return false;
        if (der_peek(one) == DER_BOOLEAN && !der_take_bool(&one, &critical)) return false;
        if (!der_take(&one, DER_OCTET_STRING, &value) || one.len != 0) return false;
        enum extension ext = extension_of(oid);
        /* RFC 5280 4.2: no extension twice. */
        if (ext != EXT_OTHER && (c->seen & 1u << ext) != 0) return false;
        c->seen |= 1u << ext;
        if (!read_known(ext, value, critical, c)) return false;
    }
    return true;
}

/* AlgorithmIdentifier of ECDSA with SHA-256: no parameters (RFC 5758 3.2). */
static bool is_ecdsa_sha256(struct span alg)
{
    return span_eq(alg, OID("\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"));
}

/* id-ecPublicKey with secp256r1 (RFC 5480 2.1.1), an uncompressed point. */
static bool read_key(struct span spki, struct x509_cert *c)
{
    struct span alg, bits;
    unsigned unused;
    if (!der_take(&spki, DER_SEQUENCE, &alg)) return false;
    if (!span_eq(alg, OID("\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
                          "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07")))
        return false;
    if (!der_take_bits(&spki, &bits, &unused) || unused != 0 || spki.len != 0) return false;
    if (bits.len != P256_PUBLIC_BYTES || bits.p[0] != 0x04) return false;
    c->public_key = bits;
    return true;
}

static bool read_validity(struct span *tbs, struct x509_cert *c)
{
    struct span validity;
    if (!der_take(tbs, DER_SEQUENCE, &validity)) return false;
    if (!x509_time_take(&validity, &c->not_before_s)) return false;
    if (!x509_time_take(&validity, &c->not_after_s) || validity.len != 0) return false;
    return c->not_before_s <= c->not_after_s;
}

static bool take_name(struct span *in, struct span *whole)
{
    unsigned tag;
    struct span body;
    return der_peek(*in) == DER_SEQUENCE && der_take_whole(in, &tag, whole, &body);
}

static enum x509_fault read_tbs(struct span tbs, struct x509_cert *c, struct span *alg)
{
    struct span version, number, serial, key, extensions_field;
    unsigned tag;
    if (!der_take(&tbs, DER_CONTEXT_CONS | 0u, &version)) return X509_MALFORMED;
    if (!der_take_uint(&version, 1, &number) || version.len != 0) return X509_MALFORMED;
    if (number.p[0] != 2) return X509_MALFORMED;
    if (!der_take_uint(&tbs, SERIAL_BYTES_MAX, &serial)) return X509_MALFORMED;
    if (!der_take(&tbs, DER_SEQUENCE, alg)) return X509_MALFORMED;
    if (!take_name(&tbs, &c->issuer) || !read_validity(&tbs, c) || !take_name(&tbs, &c->subject))
        return X509_MALFORMED;
    if (der_peek(tbs) != DER_SEQUENCE || !der_take_whole(&tbs, &tag, &c->spki, &key))
        return X509_MALFORMED;
    bool known_key = read_key(key, c);
    if (!der_take(&tbs, DER_CONTEXT_CONS | 3u, &extensions_field) || tbs.len != 0)
        return known_key ? X509_MALFORMED : X509_KEY_TYPE;
    if (!known_key) return X509_KEY_TYPE;
    return read_extensions(extensions_field, c) ? X509_OK : X509_MALFORMED;
}

enum x509_fault x509_parse_cert(struct span der, struct x509_cert *out)
{
    struct x509_cert c = {0};
    struct span cert, tbs, inner_alg, outer_alg;
    unsigned tag, unused;
    if (!der_take(&der, DER_SEQUENCE, &cert) || der.len != 0) return X509_MALFORMED;
    if (der_peek(cert) != DER_SEQUENCE || !der_take_whole(&cert, &tag, &c.tbs, &tbs))
        return X509_MALFORMED;
    if (!der_take(&cert, DER_SEQUENCE, &outer_alg)) return X509_MALFORMED;
    if (!der_take_bits(&cert, &c.sig, &unused) || unused != 0 || cert.len != 0)
        return X509_MALFORMED;
    enum x509_fault fault = read_tbs(tbs, &c, &inner_alg);
    if (fault != X509_OK) return fault;
    /* RFC 5280 4.1.1.2: both say the same, or one of them was not signed. */
    if (!span_eq(inner_alg, outer_alg)) return X509_MALFORMED;
    if (!is_ecdsa_sha256(outer_alg)) return X509_BAD_SIGNATURE;
    *out = c;
    return X509_OK;
}
