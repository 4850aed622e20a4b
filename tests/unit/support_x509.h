/* Certificates for tests: a CA, good leaves, and leaves wrong in exactly one way.
 *
 * One thread. Everything is written into caller's storage; identities and trusts are owned by the
 * caller. All good certificates are valid from SUPPORT_X509_NOW - 1 hour to + 24 hours.
 */
#ifndef TESTS_UNIT_SUPPORT_X509_H
#define TESTS_UNIT_SUPPORT_X509_H

#include "core/crypto/x509_check.h"
#include "core/crypto/x509_mint.h"

#define SUPPORT_X509_NOW    INT64_C(1767225600) /* 2026-01-01 */
#define SUPPORT_X509_DER    12288u
#define SUPPORT_X509_URIS   3u
#define SUPPORT_X509_ABSENT 0xffu

struct support_x509_ca {
    struct name mesh;
    uint8_t secret[P256_SECRET_BYTES];
    struct x509_der der;
};

/* How a leaf is written. support_x509_good fills in what a good one has. */
struct support_x509_leaf {
    struct span uri[SUPPORT_X509_URIS];
    unsigned uri_count;
    bool dns_san;        /* a dNSName beside, or alone */
    bool drop_san;       /* no subjectAltName at all */
    bool san_critical;   /* */
    const char *subject; /* common name; NULL: empty subject */
    bool ca;
    uint8_t key_usage; /* first byte of the bit string; SUPPORT_X509_ABSENT: no extension */
    bool key_usage_not_critical;
    bool eku, eku_server, eku_client, eku_critical;
    bool unknown_critical;
    bool name_constraints;
    bool twice;          /* keyUsage twice */
    unsigned version;    /* 2 means v3 */
    bool wrong_key_type; /* an RSA key */
    bool wrong_sig_alg;  /* says ECDSA with SHA-384 */
    size_t padding;      /* bytes of a non-critical private extension */
    int64_t not_before_s, not_after_s;
};

struct support_x509_pair {
    uint8_t secret[P256_SECRET_BYTES];
    uint8_t public_key[P256_PUBLIC_BYTES];
    uint8_t der[SUPPORT_X509_DER];
    size_t len;
};

void support_x509_ca_new(const char *mesh, struct support_x509_ca *out);
/* A good leaf for `uri` as an identity with one reference. */
struct identity *support_x509_identity(const struct support_x509_ca *ca, const char *uri);
struct trust *support_x509_trust(const struct support_x509_ca *ca);
/* The description of a good leaf. */
struct support_x509_leaf support_x509_good(const char *uri);
/* Writes and signs what `leaf` says with a fresh key. */
void support_x509_write(const struct support_x509_ca *ca, const struct support_x509_leaf *leaf,
                        struct support_x509_pair *out);

#endif
