#include "core/crypto/sign_manifest.h"

#include "core/base/check.h"

#include <assert.h>

static_assert(MANIFEST_SIGNATURE_BYTES == SIGN_BYTES, "Ed25519 signature");
static_assert(MANIFEST_PUBLIC_BYTES == SIGN_PUBLIC_BYTES, "Ed25519 public key");
static_assert(MANIFEST_HASH_BYTES == SIGN_DIGEST_BYTES, "BLAKE2b-256");
static_assert(MANIFEST_KEY_ID_BYTES == NODE_ID_BYTES, "ids of keys are made one way");

struct manifest_key_id sign_manifest_key_id(const uint8_t public_key[SIGN_PUBLIC_BYTES])
{
    struct manifest_key_id id;
    struct node_id node = sign_node_id(public_key);
    memcpy(id.byte, node.byte, sizeof(id.byte));
    return id;
}

struct manifest_hash sign_manifest_hash(struct span bytes)
{
    struct manifest_hash hash;
    sign_digest(bytes, hash.byte);
    return hash;
}

struct span sign_manifest_text(const struct mesh_id *mesh, struct span part,
                               uint8_t out[SIGN_MANIFEST_TEXT_MAX])
{
    CHECK(part.len <= MANIFEST_BYTES_MAX);
    memcpy(out, mesh->byte, MESH_ID_BYTES);
    memcpy(out + MESH_ID_BYTES, part.p, part.len);
    return span_of(out, MESH_ID_BYTES + part.len);
}

enum err sign_manifest_make(const struct mesh_id *mesh, const struct manifest *m,
                            const struct sign_key *const *keys, uint8_t out[MANIFEST_BYTES_MAX],
                            size_t *len)
{
    uint8_t body[PACK_MANIFEST_BODY_MAX], storage[SIGN_MANIFEST_TEXT_MAX];
    uint8_t signature[MANIFEST_SIGNERS_MAX][SIGN_BYTES];
    size_t body_len;
    enum err err = pack_manifest_body(m, body, sizeof(body), &body_len);
    if (err != ERR_OK) return err;
    const struct span text = sign_manifest_text(mesh, span_of(body, body_len), storage);
    for (uint32_t i = 0; i < m->signer_count; i++) {
        struct manifest_key_id id = sign_manifest_key_id(sign_key_public(keys[i]));
        if (!manifest_key_id_eq(&id, &m->signer[i])) return ERR_MISMATCH;
        sign_make(keys[i], SIGN_MANIFEST_DOMAIN, text, signature[i]);
    }
    return pack_manifest_join(span_of(body, body_len), signature[0], m->signer_count, out,
                              MANIFEST_BYTES_MAX, len);
}

void sign_manifest_confirm(const struct mesh_id *mesh, const struct sign_key *key,
                           struct manifest_confirm *c, uint8_t out[PACK_MANIFEST_CONFIRM_BYTES])
{
    uint8_t storage[SIGN_MANIFEST_TEXT_MAX];
    c->signer = sign_manifest_key_id(sign_key_public(key));
    pack_manifest_confirm_text(c, out);
    sign_make(key, SIGN_MANIFEST_CONFIRM_DOMAIN,
              sign_manifest_text(mesh, span_of(out, PACK_MANIFEST_CONFIRM_TEXT), storage),
              out + PACK_MANIFEST_CONFIRM_TEXT);
}
