/* Reads one certificate's DER into named parts (RFC 5280 4.1), strictly, judging only its form.
 *
 *   Certificate  { tbs { [0] v3, serial, alg, issuer, validity, subject, spki, [3] extensions },
 *                  alg, signature }
 *
 * Any thread, pure. Spans borrow the input. Only what a mesh certificate can be is well formed:
 * version 3, P-256 key, ECDSA with SHA-256, no unique ids, no extension twice, at most
 * X509_EXTENSIONS_MAX of them. What the parts mean is for crypto/x509_check to decide.
 */
#ifndef CORE_CRYPTO_X509_PARSE_H
#define CORE_CRYPTO_X509_PARSE_H

#include "core/crypto/x509_check.h"

#define X509_EXTENSIONS_MAX 24u

/* KeyUsage bits (RFC 5280 4.2.1.3), bit 0 is the first one named there. */
#define X509_USE_DIGITAL_SIGNATURE (1u << 0)
#define X509_USE_CERT_SIGN         (1u << 5)
#define X509_USE_CRL_SIGN          (1u << 6)

struct x509_cert {
    struct span tbs;             /* with its header: what the signature covers */
    struct span issuer, subject; /* with their headers */
    struct span spki;            /* with its header */
    struct span public_key;      /* P256_PUBLIC_BYTES of it */
    struct span sig;             /* DER ECDSA-Sig-Value */
    int64_t not_before_s, not_after_s;
    struct span subject_key_id, authority_key_id; /* empty when absent */
    bool has_key_usage, key_usage_critical;
    unsigned key_usage; /* X509_USE_ bits */
    bool has_basic, basic_critical, is_ca;
    bool has_eku, eku_server, eku_client;
    bool unknown_critical; /* an extension we would have to honour and cannot */
    unsigned uri_count;    /* URI names in the subjectAltName */
    struct span uri;       /* the first */
    unsigned seen;         /* kinds of extension met, a bit each */
};

/* X509_OK, X509_MALFORMED, X509_KEY_TYPE (no P-256 key) or X509_BAD_SIGNATURE (signed by another
 * algorithm than ECDSA with SHA-256). `*out` filled on X509_OK. */
enum x509_fault x509_parse_cert(struct span der, struct x509_cert *out);

#endif
