/* What the driver asks of mesh policy: the chains, what is in force, how far a rollout is
 * (gossip.md 3.6, 3.7; the machine itself is policy.h and rollout.h).
 *
 * Gossip thread. Spans are borrowed until the next step. How it runs:
 *
 *   CLI -> GOSSIP_INTENT (a manifest and its texts, or a confirmation) at any node
 *       -> every node: POLICY_VALIDATE -> driver judges -> event GOSSIP_POLICY_VERDICT
 *       -> when its wave has come: POLICY_ACTIVATE -> driver puts it in force
 *                                                  -> event GOSSIP_POLICY_APPLIED
 *       -> after the soak: status APPLIED, POLICY_STORE
 *   one node refuses or fails -> POLICY_ACTIVATE of the generation before, status STOPPED
 */
#ifndef GOSSIP_GOSSIP_POLICY_H
#define GOSSIP_GOSSIP_POLICY_H

#include "core/model/manifest.h"
#include "gossip/gossip.h"
#include "gossip/status.h"

/* Why a manifest, confirmation or text was refused; counted. */
#define POLICY_REFUSAL_LIST(X)                                                                     \
    X(POLICY_ACCEPTED, "accepted", ERR_OK)                                                         \
    X(POLICY_KNOWN, "known", ERR_EXISTS)                                                           \
    X(POLICY_MALFORMED, "malformed", ERR_INVALID)                                                  \
    X(POLICY_WRONG_SIGNATURE, "wrong_signature", ERR_AUTH)                                         \
    X(POLICY_UNKNOWN_SIGNER, "unknown_signer", ERR_UNTRUSTED)                                      \
    X(POLICY_NOT_ALLOWED, "not_allowed", ERR_DENIED) /* the signer's role is too small */          \
    X(POLICY_UNKNOWN_ROOT, "unknown_root", ERR_NOT_FOUND)                                          \
    X(POLICY_UNKNOWN_PARENT, "unknown_parent", ERR_NOT_FOUND)                                      \
    X(POLICY_WRONG_GENERATION, "wrong_generation", ERR_RANGE) /* not its parent's and one */       \
    X(POLICY_NOT_HEAD, "not_head", ERR_MISMATCH)              /* applied on what is not newest */  \
    X(POLICY_FROM_THE_FUTURE, "from_the_future", ERR_NOT_YET_VALID)                                \
    X(POLICY_FORK_LOST, "fork_lost", ERR_DENIED) /* a root beside one by a more senior operator */ \
    X(POLICY_TEXT_MISMATCH, "text_mismatch", ERR_MISMATCH)                                         \
    X(POLICY_TEXT_MISSING, "text_missing", ERR_NOT_FOUND)                                          \
    X(POLICY_TOO_LATE, "too_late", ERR_EXPIRED)  /* a confirmation after the time for it */        \
    X(POLICY_ROOTS_FULL, "roots_full", ERR_FULL) /* until the issuer signs one */                  \
    X(POLICY_FULL, "full", ERR_FULL)
enum policy_refusal {
#define POLICY_REFUSAL_ENUM(code, word, err) code,
    POLICY_REFUSAL_LIST(POLICY_REFUSAL_ENUM)
#undef POLICY_REFUSAL_ENUM
        POLICY_REFUSALS
};
/* unknown_signer, ...; static. */
const char *gossip_policy_refusal_word(enum policy_refusal r);
enum err gossip_policy_refusal_err(enum policy_refusal r);
/* How often since start. */
uint64_t gossip_policy_refusals(const struct gossip *g, enum policy_refusal r);
/* Why the last GOSSIP_INTENT was refused; POLICY_ACCEPTED: it was not. */
enum policy_refusal gossip_policy_intent_refusal(const struct gossip *g);

/* The heads of the chains; gen 0: none. What is in force here; gen 0: nothing. */
struct manifest_ref gossip_policy_head(const struct gossip *g, enum manifest_scope scope);
struct manifest_ref gossip_policy_active(const struct gossip *g);

/* One generation that is held. */
struct gossip_policy_entry {
    struct manifest_ref ref;
    struct span bytes;   /* the whole manifest: pack_manifest_decode */
    struct span confirm; /* empty: not confirmed */
    bool head, active;
    bool sibling;           /* lost against another of its generation, or has such an ancestor */
    bool complete;          /* all texts are here */
    uint64_t confirm_by_ms; /* wall: reverted then, unless confirmed; 0: need not be */
};
/* Walks what is held of a scope, newest first, siblings behind the one that won: start with *pos =
 * 0; false at the end. */
bool gossip_policy_next(const struct gossip *g, enum manifest_scope scope, size_t *pos,
                        struct gossip_policy_entry *out);
/* ERR_NOT_FOUND. */
enum err gossip_policy_get(const struct gossip *g, enum manifest_scope scope,
                           const struct manifest_ref *ref,
                           struct gossip_policy_entry *out) MUST_USE;
/* A text by its hash; p == NULL: not here. */
struct span gossip_policy_text(const struct gossip *g, const struct manifest_hash *hash);

/* What we do with the newest generation; and what a member says it does. ERR_NOT_FOUND: no such
 * member, or it has not said. */
void gossip_policy_status(const struct gossip *g, struct status *out);
enum err gossip_policy_member_status(const struct gossip *g, const struct node_id *id,
                                     struct status *out) MUST_USE;
/* Whether the rollout goes on without that member because it is there and says nothing; until it
 * speaks. */
bool gossip_policy_is_mute(const struct gossip *g, const struct node_id *id);
/* Why the rollout waits or has stopped, for people; static or until the next step; "" when
 * neither. */
const char *gossip_policy_waits_for(const struct gossip *g);

#endif
