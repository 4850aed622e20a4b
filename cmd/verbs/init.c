#include "cmd/verbs/verbs.h"

#include "cmd/daemon/signer.h"
#include "cmd/operator_key.h"
#include "cmd/verbs/setup.h"
#include "core/crypto/sign_manifest.h"
#include "core/crypto/x509_check.h"
#include "core/io/clock.h"

#include <sodium.h>
#include <string.h>
#include <unistd.h>

#define CA_LIFE_S (INT64_C(3650) * 24 * 3600)

/* Everything a first host is made of; secrets in locked memory. */
struct fresh {
    uint8_t *ca_secret, *secret; /* owned, sodium_malloc */
    struct x509_der ca, leaf;
    struct sign_key *issuer, *sign_key;
    struct seal_ring *ring;
    uint8_t admission[ADMISSION_BYTES_MAX];
    size_t admission_len;
    struct sign_key *operator_key;
    struct name operator_name;
    char operator_path[STORE_PATH_MAX];
    uint8_t root[MANIFEST_BYTES_MAX]; /* the first, signed by the issuer */
    size_t root_len;
};

static void fresh_fini(struct fresh *f)
{
    sodium_free(f->ca_secret);
    sodium_free(f->secret);
    sign_key_free(f->issuer);
    sign_key_free(f->sign_key);
    sign_key_free(f->operator_key);
    seal_ring_free(f->ring);
}

static enum err make_ring(struct fresh *f)
{
    uint8_t key[SEAL_KEY_BYTES];
    enum err err = seal_ring_new(&f->ring);
    if (err != ERR_OK) return err;
    randombytes_buf(key, sizeof key);
    err = seal_ring_add(f->ring, key);
    sodium_memzero(key, sizeof key);
    return err;
}

static enum err make_certificates(struct fresh *f, const struct setup *w, int64_t now_s)
{
    uint8_t ca_public[P256_PUBLIC_BYTES];
    struct x509_leaf_request r = {
        .ca_secret = f->ca_secret,
        .id = {.mesh = w->mesh.name, .name = w->node, .kind = IDENTITY_NODE},
        .not_before_s = now_s - SIGNER_BACKDATE_S,
        .not_after_s = now_s + SIGNER_LEAF_TTL_S};
    uint8_t public_key[P256_PUBLIC_BYTES];
    struct x509_leaf checked;
    x509_mint_key(f->ca_secret, ca_public);
    x509_mint_key(f->secret, public_key);
    enum err err = x509_mint_ca(&w->mesh.name, f->ca_secret, now_s - SIGNER_BACKDATE_S,
                                now_s + CA_LIFE_S, &f->ca);
    if (err != ERR_OK) return err;
    r.ca_der = span_of(f->ca.data, f->ca.len);
    r.public_key = public_key;
    err = x509_mint_leaf(&r, &f->leaf);
    if (err != ERR_OK) return err;
    if (x509_check_leaf(span_of(f->leaf.data, f->leaf.len), &w->mesh.name, X509_CLIENT, &checked) !=
        X509_OK)
        return ERR_INTERNAL;
    struct sign_admission a = {.mesh = w->mesh.id,
                               .node = sign_node_id(sign_key_public(f->sign_key)),
                               .name = w->node,
                               .roles = ADMISSION_ROLE_SIGNER,
                               .not_before_s = r.not_before_s,
                               .not_after_s = r.not_after_s};
    memcpy(a.public_key, sign_key_public(f->sign_key), sizeof a.public_key);
    memcpy(a.spki_sha256, checked.spki_sha256, sizeof a.spki_sha256);
    return sign_admission_make(f->issuer, &a, f->admission, &f->admission_len);
}

/* The first generation of who may sign: one operator, and the issuer vouches for them. Everything
 * later is signed by operators, and no host holds their keys. */
static enum err make_operator(struct fresh *f, const struct mesh_id *mesh)
{
    const struct sign_key *const signer[] = {f->issuer};
    struct manifest m = {.scope = MANIFEST_ROOT,
                         .gen = 1,
                         .hlc = clock_wall_us() / 1000u << 16,
                         .author = f->operator_name,
                         .signer_count = 1,
                         .message = "init",
                         .operator_count = 1};
    enum err err = sign_key_new(NULL, &f->operator_key);
    if (err != ERR_OK) return err;
    m.signer[0] = sign_manifest_key_id(sign_key_public(f->issuer));
    m.op[0] = (struct manifest_operator){.name = f->operator_name, .role = MANIFEST_ROLE_ADMIN};
    memcpy(m.op[0].public_key, sign_key_public(f->operator_key), sizeof m.op[0].public_key);
    return sign_manifest_make(mesh, &m, signer, f->root, &f->root_len);
}

static enum err make(struct fresh *f, struct setup *w)
{
    f->ca_secret = sodium_malloc(P256_SECRET_BYTES);
    f->secret = sodium_malloc(P256_SECRET_BYTES);
    if (!f->ca_secret || !f->secret) return ERR_NOMEM;
    randombytes_buf(w->mesh.id.byte, sizeof w->mesh.id.byte);
    enum err err = sign_key_new(NULL, &f->issuer);
    if (err == ERR_OK) err = sign_key_new(NULL, &f->sign_key);
    if (err == ERR_OK) err = make_ring(f);
    if (err == ERR_OK) err = make_certificates(f, w, clock_wall_s());
    if (err == ERR_OK) err = make_operator(f, &w->mesh.id);
    if (err != ERR_OK) return err;
    memcpy(w->mesh.issuer_pk, sign_key_public(f->issuer), sizeof w->mesh.issuer_pk);
    w->ca_der = span_of(f->ca.data, f->ca.len);
    w->leaf = span_of(f->leaf.data, f->leaf.len);
    w->admission = span_of(f->admission, f->admission_len);
    w->secret = f->secret;
    w->sign_key = f->sign_key;
    w->ring = f->ring;
    w->ca_secret = f->ca_secret;
    w->issuer = f->issuer;
    w->first_root = span_of(f->root, f->root_len);
    return ERR_OK;
}

static void report(const struct verb_ctx *ctx, const struct store *s, const struct setup *w,
                   const struct fresh *f)
{
    char addr[ADDR_TEXT_MAX], config[STORE_PATH_MAX], ca[STORE_PATH_MAX];
    uint8_t hash[crypto_hash_sha256_BYTES];
    const char *root = ctx->root[0] ? " --root " : "";
    if (ctx->quiet) return;
    crypto_hash_sha256(hash, (const uint8_t *)w->ca_der.p, w->ca_der.len);
    printf("mesh       %s   trust domain  spiffe://%s\n", w->mesh.name.text, w->mesh.name.text);
    printf("CA         ECDSA P-256, valid for 10 years, fingerprint "
           "%02x%02x:%02x%02x:%02x%02x:%02x%02x\n",
           hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]);
    printf("node       %s  %s\n", w->node.text, addr_format(&w->addr, addr));
    printf("wrote      %s   %s\n", store_path(s, STORE_CONFIG, config),
           store_path(s, STORE_CA, ca));
    printf("operator   %s   key %s: signs mesh policy; move it off this host\n",
           f->operator_name.text, f->operator_path);
    if (ctx->root[0])
        printf("next       parley up%s%s\n", root, ctx->root);
    else
        printf("next       systemctl enable --now parley\n");
    printf("then       parley token create%s%s     # paste the result on the next host\n", root,
           ctx->root);
    printf("back up    %s: without it a lost %s means a new CA\n", ca, w->node.text);
}

static enum err prepare_operator(const struct verb_ctx *ctx, const struct store *s, struct fresh *f,
                                 struct diag *d)
{
    const char *name = verb_text(ctx, "operator"), *path = verb_text(ctx, "key");
    if (path == NULL)
        (void)store_path(s, STORE_OPERATOR_KEY, f->operator_path);
    else if (!span_to_cstr(span_str(path), f->operator_path, sizeof f->operator_path))
        return ERR_TOO_LARGE;
    f->operator_name = operator_key_login();
    if (name == NULL || name_set(&f->operator_name, span_str(name)) == ERR_OK) return ERR_OK;
    diag_error(d, NULL, "--operator \"%s\" is not a name (1 to 63 of a-z, 0-9 and -)", name);
    return ERR_INVALID;
}

static enum err prepare(const struct verb_ctx *ctx, struct store *s, struct setup *w,
                        struct diag *d)
{
    const char *mesh = verb_text(ctx, "mesh");
    enum err err = store_open(ctx->root, NULL, s);
    if (err != ERR_OK) return err;
    err = setup_absent(s, d);
    if (err != ERR_OK) return err;
    if (!mesh || name_set(&w->mesh.name, span_str(mesh)) != ERR_OK) {
        diag_error(d, NULL,
                   mesh ? "\"%s\" is not a mesh name (1 to 63 of a-z, 0-9 and -)"
                        : "give the mesh a name: --mesh NAME%s",
                   mesh ? mesh : "");
        return ERR_INVALID;
    }
    err = setup_node_name(verb_text(ctx, "node"), d, &w->node);
    return err == ERR_OK ? setup_addr(verb_text(ctx, "addr"), d, &w->addr) : err;
}

/* The key before all else: a mesh whose operator lost it at birth would have to be made again. */
static enum err write_all(const struct store *s, const struct setup *w, const struct fresh *f,
                          struct diag *d)
{
    enum err err = store_prepare(s, true, d);
    if (err == ERR_OK) err = operator_key_save(f->operator_path, f->operator_key, &w->mesh.id, d);
    if (err != ERR_OK) return err;
    err = setup_write(s, w, d);
    if (err != ERR_OK) (void)unlink(f->operator_path);
    return err;
}

enum verb_exit init_run(struct verb_ctx *ctx)
{
    struct store s = {.lock_fd = -1};
    struct setup w = {0};
    struct fresh f = {0};
    struct diag d;
    diag_init(&d);
    enum verb_exit code = EXIT_FAILED;
    enum err err = sodium_init() < 0 ? ERR_INTERNAL : prepare(ctx, &s, &w, &d);
    if (err == ERR_OK) err = prepare_operator(ctx, &s, &f, &d);
    if (err == ERR_INVALID || err == ERR_NOT_FOUND) code = EXIT_USAGE;
    if (err == ERR_OK) err = make(&f, &w);
    if (err == ERR_OK) err = write_all(&s, &w, &f, &d);
    if (err == ERR_OK) {
        report(ctx, &s, &w, &f);
        code = EXIT_DONE;
    } else {
        code = setup_refuse(code, err, &d);
    }
    fresh_fini(&f);
    store_close(&s);
    diag_fini(&d);
    return code;
}
