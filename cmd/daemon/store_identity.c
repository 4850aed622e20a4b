#include "cmd/daemon/store_identity.h"

#include <stdio.h>
#include <unistd.h>

#include "core/crypto/secret.h"
#include "core/io/keyfile.h"

#define CERT_FILE_BYTES (16u * 1024)
#define CERT_LABEL      "CERTIFICATE"
#define CERT_END        "-----END CERTIFICATE-----"
#define P256_TYPE       "p256"
#define ED25519_TYPE    "ed25519"
#define LEAF_ADVICE     "get a new identity with parley join"
#define CA_ADVICE       "restore it from a backup, or copy it from another host of the mesh"

static enum err damaged(const char *path, const char *advice, struct diag *d)
{
    diag_error(d, NULL, "%s is damaged: %s", path, advice);
    return ERR_CORRUPT;
}

static enum err key_load(const char *path, const char *type, void *secret, size_t len,
                         const char *advice, struct diag *d)
{
    enum err err = keyfile_load(path, type, secret, len);
    if (err == ERR_CORRUPT || err == ERR_MISMATCH) return damaged(path, advice, d);
    if (err == ERR_PERM)
        diag_error(d, NULL, "cannot use %s: it must be owned by this user with mode 0600", path);
    else if (err != ERR_OK && err != ERR_NOT_FOUND)
        diag_error(d, NULL, "cannot read %s: %s", path, err_text(err));
    return err;
}

static enum err key_save(const char *path, const char *type, const void *secret, size_t len,
                         struct diag *d)
{
    enum err err = keyfile_store(path, type, secret, len);
    if (err != ERR_OK) diag_error(d, NULL, "cannot write %s: %s", path, err_text(err));
    return err;
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

static enum err leaf_load(const struct leaf_paths *p, struct diag *d, struct identity **out)
{
    char pem_storage[CERT_FILE_BYTES];
    struct strbuf pem;
    struct x509_der leaf;
    strbuf_init_fixed(&pem, pem_storage, sizeof pem_storage);
    enum err err = store_read_path(p->crt, d, &pem);
    if (err != ERR_OK) return err;
    err = x509_mint_unpem(strbuf_view(&pem), CERT_LABEL, leaf.data, sizeof leaf.data, &leaf.len);
    if (err != ERR_OK) return damaged(p->crt, LEAF_ADVICE, d);
    uint8_t *secret = secret_new(P256_SECRET_BYTES);
    if (secret == NULL) return ERR_NOMEM;
    struct span der = span_of(leaf.data, leaf.len);
    err = key_load(p->key, P256_TYPE, secret, P256_SECRET_BYTES, LEAF_ADVICE, d);
    if (err == ERR_OK) err = identity_new(der, secret, out);
    /* Killed between certificate and key: the new key is the one that fits. */
    if ((err == ERR_INVALID || err == ERR_NOT_FOUND) &&
        keyfile_load(p->next, P256_TYPE, secret, P256_SECRET_BYTES) == ERR_OK &&
        identity_new(der, secret, out) == ERR_OK) {
        (void)rename(p->next, p->key);
        err = ERR_OK;
    }
    secret_free(secret);
    if (err == ERR_NOT_FOUND) return damaged(p->key, LEAF_ADVICE, d);
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
    uint8_t *old = secret_new(P256_SECRET_BYTES);
    if (old == NULL) return ERR_NOMEM;
    bool same = keyfile_load(p.key, P256_TYPE, old, P256_SECRET_BYTES) == ERR_OK &&
                memcmp(old, secret, P256_SECRET_BYTES) == 0;
    secret_free(old);
    enum err err = same ? ERR_OK : key_save(p.next, P256_TYPE, secret, P256_SECRET_BYTES, d);
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
    const char *advice = f == STORE_ISSUER_KEY ? CA_ADVICE : LEAF_ADVICE;
    uint8_t *seed = secret_new(SIGN_SEED_BYTES);
    if (seed == NULL) return ERR_NOMEM;
    enum err err = key_load(store_path(s, f, path), ED25519_TYPE, seed, SIGN_SEED_BYTES, advice, d);
    if (err == ERR_OK) err = sign_key_new(seed, out);
    secret_free(seed);
    return err;
}

enum err store_identity_sign_save(const struct store *s, enum store_file f,
                                  const struct sign_key *k, struct diag *d)
{
    char path[STORE_PATH_MAX];
    return key_save(store_path(s, f, path), ED25519_TYPE, sign_key_seed(k), SIGN_SEED_BYTES, d);
}

enum err store_identity_ca_key(const struct store *s, struct diag *d,
                               uint8_t secret[P256_SECRET_BYTES])
{
    char path[STORE_PATH_MAX];
    return key_load(store_path(s, STORE_CA_KEY, path), P256_TYPE, secret, P256_SECRET_BYTES,
                    CA_ADVICE, d);
}

enum err store_identity_ca_key_save(const struct store *s, const uint8_t secret[P256_SECRET_BYTES],
                                    struct diag *d)
{
    char path[STORE_PATH_MAX];
    return key_save(store_path(s, STORE_CA_KEY, path), P256_TYPE, secret, P256_SECRET_BYTES, d);
}
