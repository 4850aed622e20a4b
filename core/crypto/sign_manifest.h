/* Signing manifests and confirmations: what operators do in the CLI, and what every node checks
 * (core/wire/pack_manifest.h has the layouts).
 *
 * Any thread. Signatures are over "parley-manifest-2\0" || mesh_id16 || body and
 * "parley-confirm-2\0" || mesh_id16 || text: what an operator of two meshes signs for one of them
 * is nothing in the other.
 */
#ifndef CORE_CRYPTO_SIGN_MANIFEST_H
#define CORE_CRYPTO_SIGN_MANIFEST_H

#include "core/crypto/sign.h"
#include "core/wire/pack_manifest.h"

#define SIGN_MANIFEST_DOMAIN         "parley-manifest-2"
#define SIGN_MANIFEST_CONFIRM_DOMAIN "parley-confirm-2"

/* What signers are named by. */
struct manifest_key_id sign_manifest_key_id(const uint8_t public_key[SIGN_PUBLIC_BYTES]);
/* Hash of a whole manifest, or of a text. */
struct manifest_hash sign_manifest_hash(struct span bytes);

/* What a signature is over: `part`, a body or the text of a confirmation, of at most
 * MANIFEST_BYTES_MAX, behind the mesh it is for. Lies in `out`. */
#define SIGN_MANIFEST_TEXT_MAX (MESH_ID_BYTES + MANIFEST_BYTES_MAX)
struct span sign_manifest_text(const struct mesh_id *mesh, struct span part,
                               uint8_t out[SIGN_MANIFEST_TEXT_MAX]);

/* Encodes `m` and signs it for `mesh` with `keys`, one for each of m->signer in that order; the
 * manifest's bytes in `out`, `*len` of them. ERR_MISMATCH: keys[i] is not m->signer[i]. Else as
 * pack_manifest_body. */
enum err sign_manifest_make(const struct mesh_id *mesh, const struct manifest *m,
                            const struct sign_key *const *keys, uint8_t out[MANIFEST_BYTES_MAX],
                            size_t *len) MUST_USE;
/* c->signer becomes the key's id. */
void sign_manifest_confirm(const struct mesh_id *mesh, const struct sign_key *key,
                           struct manifest_confirm *c, uint8_t out[PACK_MANIFEST_CONFIRM_BYTES]);

#endif
