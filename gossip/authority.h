/* Authority: whether those who signed a manifest or a confirmation might (gossip.md 3.4, 3.6).
 *
 * Pure; any thread. A root names the operators; the mesh's issuer stands above all of them, but
 * signs roots only. Who comes first in a root's list is more senior.
 */
#ifndef GOSSIP_AUTHORITY_H
#define GOSSIP_AUTHORITY_H

#include "core/model/manifest.h"
#include "gossip/crypto_ops.h"
#include "gossip/gossip_policy.h"

#define AUTHORITY_NOBODY UINT32_MAX

struct authority {
    const struct gossip_crypto *crypto; /* borrowed */
    const struct mesh_id *mesh;         /* borrowed: what is signed for others is not for us */
    const uint8_t *issuer_pk;           /* borrowed, SIGN_PUBLIC_BYTES */
    const struct manifest *root;        /* borrowed; NULL: there is none yet */
};

/* Rank of a signer: 0 the issuer, then the operators in order; AUTHORITY_NOBODY. */
uint32_t authority_rank(const struct authority *a, const struct manifest_key_id *id);
/* Whether all of `count` signers may sign in `scope`. */
enum policy_refusal authority_allows(const struct authority *a, enum manifest_scope scope,
                                     const struct manifest_key_id *signer, uint32_t count);
/* The same for `m`, and the signatures of its bytes. For a root, `a->root` is its parent. */
enum policy_refusal authority_check(const struct authority *a, struct span wire,
                                    const struct manifest *m);
/* The same for a confirmation. */
enum policy_refusal authority_check_confirm(const struct authority *a, struct span wire,
                                            const struct manifest_confirm *c);

#endif
