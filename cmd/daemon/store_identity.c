#include "cmd/daemon/store_identity.h"

#include <stdio.h>
#include <unistd.h>

#include "core/crypto/secret.h"

#define KEY_FILE_BYTES  2048u
#define CERT_FILE_BYTES (16u * 1024)
#define KEY_DER_MAX     160u
#define KEY_LABEL       "PRIVATE KEY"
#define CERT_LABEL      "CERTIFICATE"
#define CERT_END        "-----END CERTIFICATE-----"
#define LEAF_ADVICE     "get a new identity with parley join"
#define CA_ADVICE       "restore it from a backup, or copy it from another host of the mesh"

/* PKCS #8 (RFC 5958) of the only two kinds of key we store; everything but the key is constant, so
 * it is compared, not parsed.
 *   P-256:   prefix || secret32 || a1 44 03 42 00 || public65      Ed25519: prefix || seed32 */
static const uint8_t p256_prefix[] = {0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06,
                                      0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                      0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
                                      0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20};
static const uint8_t p256_middle[] = {0xa1, 0x44, 0x03, 0x42, 0x00};
static const uint8_t ed25519_prefix[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                         0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};
#define P256_DER_BYTES                                                                             \
    (sizeof p256_prefix + P256_SECRET_BYTES + sizeof p256_middle + P256_PUBLIC_BYTES)
#define ED25519_DER_BYTES (sizeof ed25519_prefix + SIGN_SEED_BYTES)

struct key_buffer { /* in locked memory */
    char text[KEY_FILE_BYTES];
    uint8_t der[KEY_DER_MAX];
    uint8_t secret[P256_SECRET_BYTES];
};

static enum err damaged(const char *path, const char *advice, struct diag *d)
{
    diag_error(d, NULL, "%s is damaged: %s", path, advice);
    return ERR_CORRUPT;
}

/* The DER of the key in `path`: `want` bytes that begin with `prefix`. */
static enum err key_read(const char *path, struct span prefix, size_t want, struct diag *d,
                         struct key_buffer *kb)
{
    struct strbuf sb;
    size_t len = 0;
    strbuf_init_fixed(&sb, kb->text, sizeof kb->text);
    enum err err = store_read_path(path, true, d, &sb);
    if (err != ERR_OK) return err;
    err = x509_mint_unpem(strbuf_view(&sb), KEY_LABEL, kb->der, sizeof kb->der, &len);
    bool whole = err == ERR_OK && len == want && memcmp(kb->der, prefix.p, prefix.len) == 0;
    return whole ? ERR_OK : ERR_CORRUPT;
}

static enum err key_write(const char *path, struct span der, struct diag *d, struct key_buffer *kb)
{
    struct strbuf sb;
    strbuf_init_fixed(&sb, kb->text, sizeof kb->text);
    x509_mint_pem(KEY_LABEL, der, &sb);
    return strbuf_ok(&sb) ? store_write_path(path, 0600, strbuf_view(&sb), d) : ERR_TOO_LARGE;
}

static enum err p256_read(const char *path, struct diag *d, struct key_buffer *kb)
{
    enum err err = key_read(path, span_of(p256_prefix, sizeof p256_prefix), P256_DER_BYTES, d, kb);
    if (err == ERR_OK) memcpy(kb->secret, kb->der + sizeof p256_prefix, P256_SECRET_BYTES);
    return err;
}

static enum err p256_write(const char *path, const uint8_t secret[P256_SECRET_BYTES],
                           struct diag *d, struct key_buffer *kb)
{
    uint8_t *at = kb->der;
    memcpy(at, p256_prefix, sizeof p256_prefix);
    at += sizeof p256_prefix;
    memcpy(at, secret, P256_SECRET_BYTES);
    at += P256_SECRET_BYTES;
    memcpy(at, p256_middle, sizeof p256_middle);
    at += sizeof p256_middle;
    enum err err = x509_mint_public(secret, at);
    return err == ERR_OK ? key_write(path, span_of(kb->der, P256_DER_BYTES), d, kb) : err;
}

struct leaf_paths {
    char key[STORE_PATH_MAX];
    char next[STORE_PATH_MAX]; /* a new key, until its certificate is in place */
    char crt[STORE_PATH_MAX];
};

static void leaf_paths(const struct store *s, const struct name *service, struct leaf_paths *p)
{
    if (service != NULL) {
        (void)store_service_path(s, service, "key", p->key);
        (void)store_service_path(s, service, "key.next", p->next);
        (void)store_service_path(s, service, "crt", p->crt);
        return;
    }
    (void)store_path(s, STORE_NODE_KEY, p->key);
    (void)store_path(s, STORE_NODE_CRT, p->crt);
    (void)snprintf(p->next, sizeof p->next, "%.*s.next", (int)(sizeof p->next - 6), p->key);
}

static enum err leaf_with_key(const char *key_path, struct span der, struct diag *d,
                              struct key_buffer *kb, struct identity **out)
{
    enum err err = p256_read(key_path, d, kb);
    return err == ERR_OK ? identity_new(der, kb->secret, out) : err;
}

static enum err leaf_load(const struct leaf_paths *p, struct diag *d, struct identity **out)
{
    char pem_storage[CERT_FILE_BYTES];
    struct strbuf pem;
    struct x509_der leaf;
    strbuf_init_fixed(&pem, pem_storage, sizeof pem_storage);
    enum err err = store_read_path(p->crt, false, d, &pem);
    if (err != ERR_OK) return err;
    err = x509_mint_unpem(strbuf_view(&pem), CERT_LABEL, leaf.data, sizeof leaf.data, &leaf.len);
    if (err != ERR_OK) return damaged(p->crt, LEAF_ADVICE, d);
    struct key_buffer *kb = secret_new(sizeof *kb);
    if (kb == NULL) return ERR_NOMEM;
    struct span der = span_of(leaf.data, leaf.len);
    err = leaf_with_key(p->key, der, d, kb, out);
    /* Killed between certificate and key: the new key is the one that fits. */
    if ((err == ERR_INVALID || err == ERR_NOT_FOUND) &&
        leaf_with_key(p->next, der, NULL, kb, out) == ERR_OK) {
        (void)rename(p->next, p->key);
        err = ERR_OK;
    }
    secret_free(kb);
    if (err == ERR_NOT_FOUND || err == ERR_CORRUPT) return damaged(p->key, LEAF_ADVICE, d);
    if (err != ERR_INVALID) return err;
    diag_error(d, NULL, "%s is damaged or does not belong to %s: " LEAF_ADVICE, p->crt, p->key);
    return ERR_CORRUPT;
}

enum err store_identity_node(const struct store *s, struct diag *d, struct identity **out)
{
    struct leaf_paths p;
    leaf_paths(s, NULL, &p);
    return leaf_load(&p, d, out);
}

enum err store_identity_service(const struct store *s, const struct name *service, struct diag *d,
                                struct identity **out)
{
    struct leaf_paths p;
    leaf_paths(s, service, &p);
    return leaf_load(&p, d, out);
}

enum err store_identity_save(const struct store *s, const struct name *service,
                             const uint8_t secret[P256_SECRET_BYTES], struct span leaf_der,
                             struct diag *d)
{
    struct leaf_paths p;
    struct strbuf pem;
    leaf_paths(s, service, &p);
    struct key_buffer *kb = secret_new(sizeof *kb);
    if (kb == NULL) return ERR_NOMEM;
    bool same =
        p256_read(p.key, NULL, kb) == ERR_OK && memcmp(kb->secret, secret, P256_SECRET_BYTES) == 0;
    enum err err = same ? ERR_OK : p256_write(p.next, secret, d, kb);
    secret_free(kb);
    if (err != ERR_OK) return err;
    strbuf_init(&pem, CERT_FILE_BYTES);
    x509_mint_pem(CERT_LABEL, leaf_der, &pem);
    err = strbuf_ok(&pem) ? store_write_path(p.crt, 0644, strbuf_view(&pem), d) : ERR_TOO_LARGE;
    strbuf_fini(&pem);
    if (err != ERR_OK || same) return err;
    if (rename(p.next, p.key) == 0) return ERR_OK;
    diag_error(d, NULL, "cannot rename %s to %s", p.next, p.key);
    return ERR_IO;
}

enum err store_identity_drop(const struct store *s, const struct name *service, struct diag *d)
{
    struct leaf_paths p;
    leaf_paths(s, service, &p);
    (void)unlink(p.next);
    (void)unlink(p.key);
    if (unlink(p.crt) == 0 || access(p.crt, F_OK) != 0) return ERR_OK;
    diag_error(d, NULL, "cannot remove %s", p.crt);
    return ERR_IO;
}

/* All certificates of ca.crt, at most TRUST_ANCHORS_MAX. */
static enum err ca_read(const struct store *s, struct diag *d,
                        struct x509_der ca[TRUST_ANCHORS_MAX], size_t *count)
{
    char storage[CERT_FILE_BYTES], path[STORE_PATH_MAX];
    struct strbuf pem;
    strbuf_init_fixed(&pem, storage, sizeof storage);
    (void)store_path(s, STORE_CA_CRT, path);
    enum err err = store_read(s, STORE_CA_CRT, d, &pem);
    if (err != ERR_OK) return err;
    const char *rest = storage;
    size_t n = 0;
    for (const char *end; n < TRUST_ANCHORS_MAX && (end = strstr(rest, CERT_END)) != NULL; n++) {
        end += sizeof CERT_END - 1;
        err = x509_mint_unpem(span_of(rest, (size_t)(end - rest)), CERT_LABEL, ca[n].data,
                              sizeof ca[n].data, &ca[n].len);
        if (err != ERR_OK) return damaged(path, CA_ADVICE, d);
        rest = end;
    }
    if (n == 0) return damaged(path, CA_ADVICE, d);
    *count = n;
    return ERR_OK;
}

enum err store_identity_trust(const struct store *s, const struct name *mesh, struct diag *d,
                              struct trust **out)
{
    struct x509_der ca[TRUST_ANCHORS_MAX];
    struct span der[TRUST_ANCHORS_MAX];
    char path[STORE_PATH_MAX];
    size_t count = 0;
    enum err err = ca_read(s, d, ca, &count);
    if (err != ERR_OK) return err;
    for (size_t i = 0; i < count; i++)
        der[i] = span_of(ca[i].data, ca[i].len);
    err = identity_trust_new(der, count, mesh, out);
    if (err == ERR_OK || err == ERR_NOMEM) return err;
    return damaged(store_path(s, STORE_CA_CRT, path), CA_ADVICE, d);
}

enum err store_identity_ca_der(const struct store *s, struct diag *d, struct x509_der *out)
{
    struct x509_der ca[TRUST_ANCHORS_MAX];
    size_t count = 0;
    enum err err = ca_read(s, d, ca, &count);
    if (err == ERR_OK) *out = ca[0];
    return err;
}

enum err store_identity_ca_save(const struct store *s, const struct span *ca_der, size_t count,
                                struct diag *d)
{
    struct strbuf pem;
    strbuf_init(&pem, CERT_FILE_BYTES);
    for (size_t i = 0; i < count; i++)
        x509_mint_pem(CERT_LABEL, ca_der[i], &pem);
    enum err err =
        strbuf_ok(&pem) ? store_write(s, STORE_CA_CRT, strbuf_view(&pem), d) : ERR_TOO_LARGE;
    strbuf_fini(&pem);
    return err;
}

enum err store_identity_sign_key(const struct store *s, enum store_file f, struct diag *d,
                                 struct sign_key **out)
{
    char path[STORE_PATH_MAX];
    struct key_buffer *kb = secret_new(sizeof *kb);
    if (kb == NULL) return ERR_NOMEM;
    enum err err = key_read(store_path(s, f, path), span_of(ed25519_prefix, sizeof ed25519_prefix),
                            ED25519_DER_BYTES, d, kb);
    if (err == ERR_OK) err = sign_key_new(kb->der + sizeof ed25519_prefix, out);
    secret_free(kb);
    const char *advice = f == STORE_ISSUER_KEY ? CA_ADVICE : LEAF_ADVICE;
    return err == ERR_CORRUPT ? damaged(path, advice, d) : err;
}

enum err store_identity_sign_save(const struct store *s, enum store_file f,
                                  const struct sign_key *k, struct diag *d)
{
    char path[STORE_PATH_MAX];
    struct key_buffer *kb = secret_new(sizeof *kb);
    if (kb == NULL) return ERR_NOMEM;
    memcpy(kb->der, ed25519_prefix, sizeof ed25519_prefix);
    memcpy(kb->der + sizeof ed25519_prefix, sign_key_seed(k), SIGN_SEED_BYTES);
    enum err err = key_write(store_path(s, f, path), span_of(kb->der, ED25519_DER_BYTES), d, kb);
    secret_free(kb);
    return err;
}

enum err store_identity_ca_key(const struct store *s, struct diag *d,
                               uint8_t secret[P256_SECRET_BYTES])
{
    char path[STORE_PATH_MAX];
    uint8_t public_key[P256_PUBLIC_BYTES];
    struct key_buffer *kb = secret_new(sizeof *kb);
    if (kb == NULL) return ERR_NOMEM;
    enum err err = p256_read(store_path(s, STORE_CA_KEY, path), d, kb);
    const uint8_t *stored = kb->der + P256_DER_BYTES - P256_PUBLIC_BYTES;
    if (err == ERR_OK && (x509_mint_public(kb->secret, public_key) != ERR_OK ||
                          memcmp(public_key, stored, sizeof public_key) != 0))
        err = ERR_CORRUPT;
    if (err == ERR_OK) memcpy(secret, kb->secret, P256_SECRET_BYTES);
    secret_free(kb);
    return err == ERR_CORRUPT ? damaged(path, CA_ADVICE, d) : err;
}

enum err store_identity_ca_key_save(const struct store *s, const uint8_t secret[P256_SECRET_BYTES],
                                    struct diag *d)
{
    char path[STORE_PATH_MAX];
    struct key_buffer *kb = secret_new(sizeof *kb);
    if (kb == NULL) return ERR_NOMEM;
    enum err err = p256_write(store_path(s, STORE_CA_KEY, path), secret, d, kb);
    secret_free(kb);
    return err;
}
