/* Operators of a simulated mesh: their keys, and the generations they sign.
 *
 * Pure but for the keys' memory; one thread. Everything follows from the issuer's seed. The first
 * is the most senior, and an admin; of the others each second one is.
 */
#ifndef TESTS_SIM_OPERATORS_H
#define TESTS_SIM_OPERATORS_H

#include "core/crypto/sign_manifest.h"
#include "tests/sim/persona.h"

#define OPERATORS 6u

struct operators {
    const struct persona_issuer *issuer; /* borrowed */
    struct fake_key fake[OPERATORS];
    struct sign_key *real[OPERATORS]; /* owned; real only */
};

/* What of a generation a test may choose; the rest follows. */
struct operators_order {
    uint64_t gen, root_gen;
    struct manifest_hash parent;
    int64_t wall_ms;
    uint32_t by;       /* who signs */
    uint32_t count;    /* ROOT: operators from then on */
    uint32_t left_out; /* ROOT: 1 + who of them is removed */
    struct manifest_ref pinned;
    struct span text; /* POLICY */
    uint32_t confirm_within_ms;
    bool planned; /* with `plan`, else the usual one */
    struct manifest_plan plan;
};
#define OPERATORS_ISSUER OPERATORS /* signs roots */

struct operators_signed {
    uint8_t bytes[MANIFEST_BYTES_MAX];
    size_t len;
    struct manifest_ref ref;
    uint64_t hlc;
};

/* ERR_NOMEM. */
enum err operators_init(struct operators *o, const struct persona_issuer *issuer) MUST_USE;
void operators_fini(struct operators *o);
void operators_public(const struct operators *o, uint32_t who, uint8_t out[SIGN_PUBLIC_BYTES]);
struct manifest_key_id operators_id(const struct operators *o, uint32_t who);
void operators_root(const struct operators *o, const struct operators_order *order,
                    struct operators_signed *out);
void operators_policy(const struct operators *o, const struct operators_order *order,
                      struct operators_signed *out);
/* Signs `m` as it is with the keys of `who`, one for each signer. */
void operators_sign(const struct operators *o, const struct manifest *m, const uint32_t *who,
                    struct operators_signed *out);
void operators_confirm(const struct operators *o, uint32_t who, const struct manifest_ref *ref,
                       int64_t wall_ms, uint8_t out[PACK_MANIFEST_CONFIRM_BYTES]);

#endif
