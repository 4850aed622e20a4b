/* Personas: who a simulated node is: keys, id, certificate; cheap ones for big worlds, real ones
 * for small.
 *
 * One thread. The issuer owns its keys, a persona its own. Everything follows from the seed, real
 * keys too.
 */
#ifndef TESTS_SIM_PERSONA_H
#define TESTS_SIM_PERSONA_H

#include "tests/sim/fake_crypto.h"

struct persona_issuer {
    bool real;
    uint64_t seed;
    struct mesh_id mesh;
    uint8_t public_key[SIGN_PUBLIC_BYTES];
    struct sign_key *key;   /* owned; real only */
    struct seal_ring *ring; /* owned; real only */
};

struct persona {
    struct name name;
    struct node_id id;
    uint8_t spki[32];
    struct fake_key fake;
    struct sign_key *real; /* owned; NULL: fake */
    uint8_t *admission;    /* owned */
    size_t admission_len;
};

/* ERR_NOMEM. */
enum err persona_issuer_init(struct persona_issuer *issuer, bool real, uint64_t seed) MUST_USE;
void persona_issuer_fini(struct persona_issuer *issuer);
/* Number `i`, called "n<i>". ERR_NOMEM. */
enum err persona_init(struct persona *p, const struct persona_issuer *issuer, uint32_t i) MUST_USE;
void persona_fini(struct persona *p);
/* What gossip_options want. */
const struct sign_key *persona_key(const struct persona *p);
const struct gossip_crypto *persona_crypto(const struct persona_issuer *issuer);

#endif
