/* Texts of policy, by the hash of their bytes: each is kept once, however many generations name it.
 *
 * Gossip thread; embedded in the machine. Owns the bytes.
 */
#ifndef GOSSIP_POLICY_TEXT_H
#define GOSSIP_POLICY_TEXT_H

#include "core/model/manifest.h"

#define POLICY_TEXT_COUNT_MAX 512u /* 32 generations of 16 */
#define POLICY_TEXT_BYTES_MAX (32u * 1024 * 1024)

struct policy_text {
    struct manifest_hash hash;
    char *bytes; /* owned */
    uint32_t len;
    bool used; /* while sweeping */
};

struct policy_text_store {
    struct policy_text *text; /* owned array */
    size_t count, cap;
    size_t bytes;
};

void policy_text_fini(struct policy_text_store *s);
/* NULL: not here. */
const struct policy_text *policy_text_find(const struct policy_text_store *s,
                                           const struct manifest_hash *hash);
/* Keeps a copy. ERR_FULL: over a bound; ERR_NOMEM. One that is here already is ERR_OK. */
enum err policy_text_add(struct policy_text_store *s, const struct manifest_hash *hash,
                         struct span bytes) MUST_USE;
/* Sweeping: forget all marks, mark what is needed, drop the rest. */
void policy_text_unmark(struct policy_text_store *s);
void policy_text_mark(struct policy_text_store *s, const struct manifest_hash *hash);
void policy_text_sweep(struct policy_text_store *s);

#endif
