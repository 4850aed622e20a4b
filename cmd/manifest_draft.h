/* Manifest draft: what a command needs to sign the next generation, and how it hands it in.
 *
 * Main thread of a command. The agent gives the newest roots and policies as they were signed; the
 * command signs with the operator's key and the agent only passes on. No secret leaves the command.
 */
#ifndef CMD_MANIFEST_DRAFT_H
#define CMD_MANIFEST_DRAFT_H

#include "cmd/client.h"
#include "cmd/operator_key.h"
#include "core/crypto/sign_manifest.h"

struct manifest_draft {
    struct mesh_id mesh;                  /* what is signed is for it alone */
    struct operator_key key;              /* owned; none until manifest_draft_key */
    struct operator_key second;           /* owned; none until manifest_draft_cosign */
    const struct manifest_operator *self; /* of `head[ROOT]`: whose key it is; NULL: the issuer's */
    struct manifest head[MANIFEST_SCOPES]; /* valid where ref[].gen > 0 */
    struct manifest_ref ref[MANIFEST_SCOPES];
    struct manifest_ref active;  /* gen 0: no policy is in force */
    struct manifest_ref settled; /* the newest that waits for no confirmation; gen 0: none */
    struct manifest_ref issued;  /* the newest root that the issuer signed */
};

/* Asks the agent for its mesh and both heads. EXIT_DONE, or the failure has been said. End it with
 * manifest_draft_fini in any case. */
enum verb_exit manifest_draft_open(const struct verb_ctx *ctx, struct manifest_draft *d);
/* Loads the command's operator key and checks that the mesh knows it, with at least `role`, and
 * that it may sign for this mesh: said otherwise, EXIT_NOT_PERMITTED. */
enum verb_exit manifest_draft_key(const struct verb_ctx *ctx, struct manifest_draft *d,
                                  enum manifest_role role);
/* The same for --cosign, another operator's key, which is to sign `m` too. */
enum verb_exit manifest_draft_cosign(const struct verb_ctx *ctx, struct manifest_draft *d,
                                     enum manifest_role role, struct manifest *m);
/* Takes the mesh's issuer key from this host's store instead, for roots. EXIT_NOT_PERMITTED: not
 * readable, not here, or the agent speaks for another mesh than this host is of; EXIT_FAILED. */
enum verb_exit manifest_draft_issuer(const struct verb_ctx *ctx, struct manifest_draft *d);
void manifest_draft_fini(struct manifest_draft *d);

/* Everything of the next generation that does not depend on what it says: the issuer's root comes
 * after the last one of its own and outranks all since; a root keeps operators
 * and keys and pins the settled policy, a policy has the default plan and no texts. */
void manifest_draft_next(const struct manifest_draft *d, enum manifest_scope scope,
                         struct manifest *out);
/* --message into `m`. EXIT_USAGE: too long, or control characters. */
enum verb_exit manifest_draft_message(const struct verb_ctx *ctx, struct manifest *m);
/* Signs and submits; `text` are those the mesh may not have. EXIT_DONE: the agent took it, `*ref`
 * is what it is called. Otherwise it has been said why. */
enum verb_exit manifest_draft_send(const struct verb_ctx *ctx, const struct manifest_draft *d,
                                   const struct manifest *m, const struct span *text,
                                   size_t text_count, struct manifest_ref *ref);
/* The same for a confirmation of `ref`. */
enum verb_exit manifest_draft_confirm(const struct verb_ctx *ctx, const struct manifest_draft *d,
                                      const struct manifest_ref *ref);

/* Reads "KEY": { "gen", "hash", "manifest" } of `v`; ref->gen 0 when it is null. `m` may be NULL.
 * ERR_INVALID. */
enum err manifest_draft_read(const struct json_value *v, const char *key, struct manifest_ref *ref,
                             struct manifest *m) MUST_USE;

#endif
