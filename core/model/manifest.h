/* Manifests: one generation of what operators say for the whole mesh, and their confirmation of it
 * (gossip.md 3.6, 3.7). Plain data.
 *
 * Any thread. Two scopes of one shape: ROOT says who may sign and which gossip keys exist, POLICY
 * which texts are in force. Each generation names its parent by hash, so each scope is a chain.
 * Texts are named by hash and travel apart from the manifest. The bytes that are signed are made by
 * core/wire/pack_manifest, the signatures by core/crypto/sign_manifest.
 */
#ifndef CORE_MODEL_MANIFEST_H
#define CORE_MODEL_MANIFEST_H

#include "core/model/name.h"

#define MANIFEST_HASH_BYTES        32u /* BLAKE2b-256 */
#define MANIFEST_PUBLIC_BYTES      32u /* Ed25519 */
#define MANIFEST_SIGNATURE_BYTES   64u
#define MANIFEST_SIGNERS_MAX       2u
#define MANIFEST_MESSAGE_BYTES_MAX 200u
#define MANIFEST_TEXTS_MAX         16u
#define MANIFEST_TEXT_BYTES_MAX    (1000u * 1024) /* fits a message of a stream */
#define MANIFEST_OPERATORS_MAX     32u
#define MANIFEST_KEYS_MAX          4u
#define MANIFEST_WAVES_MAX         8u
#define MANIFEST_WHOLE             10000u /* shares are of so many */
#define MANIFEST_BYTES_MAX         8192u  /* of any manifest, signatures included */
#define MANIFEST_CONFIRM_MS_MAX    86400000u
#define MANIFEST_SOAK_MS_MAX       86400000u
/* The plan when the operator says nothing: one canary, then everyone. */
#define MANIFEST_SOAK_MS_DEFAULT 150u

enum manifest_scope { MANIFEST_ROOT, MANIFEST_POLICY, MANIFEST_SCOPES };

struct manifest_hash {
    uint8_t byte[MANIFEST_HASH_BYTES]; /* all zero: none */
};

/* A place in a chain. */
struct manifest_ref {
    uint64_t gen; /* 0: none; the first is 1 */
    struct manifest_hash hash;
};

/* First 16 bytes of BLAKE2b-256 of the Ed25519 public key, as of nodes. */
#define MANIFEST_KEY_ID_BYTES 16u
struct manifest_key_id {
    uint8_t byte[MANIFEST_KEY_ID_BYTES];
};

enum manifest_role {
    MANIFEST_ROLE_POLICY, /* signs policy */
    MANIFEST_ROLE_ADMIN,  /* and roots */
    MANIFEST_ROLES
};

struct manifest_operator {
    struct name name;
    uint8_t public_key[MANIFEST_PUBLIC_BYTES];
    enum manifest_role role;
};

struct manifest_text {
    struct name name;
    struct manifest_hash hash;
    uint32_t bytes;
};

/* A gossip key that nodes are to have; never the key itself. */
enum manifest_key_stage { MANIFEST_KEY_INSTALL, MANIFEST_KEY_USE, MANIFEST_KEY_STAGES };
struct manifest_key {
    uint8_t id[4];
    struct manifest_hash hash;
    enum manifest_key_stage stage;
};

struct manifest_plan {
    bool immediate; /* no waves: all at once when all find it valid; needs two signers */
    bool force;     /* goes on where fewer than half of the known nodes are in sight */
    uint32_t wave_count;
    uint16_t wave[MANIFEST_WAVES_MAX]; /* cumulative shares of MANIFEST_WHOLE; wave 0 always has
                                          one member, the last one everybody */
    uint32_t soak_ms;
    uint32_t max_rejected; /* nodes that may refuse it, or fail with it */
    uint32_t min_ok;       /* share of the voters that must be well, of MANIFEST_WHOLE */
};

struct manifest {
    enum manifest_scope scope;
    uint64_t gen;
    struct manifest_hash parent; /* zero: gen is 1 */
    uint64_t hlc;                /* Unix ms << 16 | counter */
    uint64_t root_gen;           /* of the root that the author saw; 0 in the first root */
    struct name author;          /* name of signer[0] as it was then */
    uint32_t signer_count;
    struct manifest_key_id signer[MANIFEST_SIGNERS_MAX]; /* all of them must have signed */
    char message[MANIFEST_MESSAGE_BYTES_MAX + 1];
    uint32_t confirm_within_ms; /* 0: in force without being confirmed */
    struct manifest_plan plan;
    /* POLICY */
    uint32_t text_count;
    struct manifest_text text[MANIFEST_TEXTS_MAX];
    /* ROOT */
    uint32_t operator_count; /* the first is the most senior */
    struct manifest_operator op[MANIFEST_OPERATORS_MAX];
    uint32_t key_count;
    struct manifest_key key[MANIFEST_KEYS_MAX];
    /* The newest policy that needed no confirmation, or had one, when the root was signed: it and
     * what led to it stay good, whoever signed them. */
    struct manifest_ref pinned;
};

struct manifest_confirm {
    enum manifest_scope scope;
    struct manifest_ref ref;
    uint64_t hlc;
    struct manifest_key_id signer;
};

/* As files and requests name it, 64 hex digits, and as people see it, the first 8. Gives `dst`. */
#define MANIFEST_HASH_TEXT_MAX  (2u * MANIFEST_HASH_BYTES + 1u)
#define MANIFEST_HASH_SHORT_MAX 9u
const char *manifest_hash_text(const struct manifest_hash *h, char dst[MANIFEST_HASH_TEXT_MAX]);
const char *manifest_hash_short(const struct manifest_hash *h, char dst[MANIFEST_HASH_SHORT_MAX]);

/* One canary, then everyone; nobody may refuse it. */
static inline struct manifest_plan manifest_plan_default(void)
{
    return (struct manifest_plan){.wave_count = 2,
                                  .wave = {0, MANIFEST_WHOLE},
                                  .soak_ms = MANIFEST_SOAK_MS_DEFAULT,
                                  .min_ok = MANIFEST_WHOLE};
}
static inline bool manifest_hash_eq(const struct manifest_hash *a, const struct manifest_hash *b)
{
    return memcmp(a->byte, b->byte, sizeof(a->byte)) == 0;
}
static inline int manifest_hash_cmp(const struct manifest_hash *a, const struct manifest_hash *b)
{
    return memcmp(a->byte, b->byte, sizeof(a->byte));
}
static inline bool manifest_hash_is_zero(const struct manifest_hash *h)
{
    static const struct manifest_hash zero = {{0}};
    return manifest_hash_eq(h, &zero);
}
static inline bool manifest_ref_eq(const struct manifest_ref *a, const struct manifest_ref *b)
{
    return a->gen == b->gen && manifest_hash_eq(&a->hash, &b->hash);
}
static inline bool manifest_key_id_eq(const struct manifest_key_id *a,
                                      const struct manifest_key_id *b)
{
    return memcmp(a->byte, b->byte, sizeof(a->byte)) == 0;
}

#endif
