#include "tests/sim/persona.h"

#include "core/base/rng.h"

#include <stdio.h>
#include <stdlib.h>

#define NOT_BEFORE_S INT64_C(1767139200) /* 2025-12-31 */
#define NOT_AFTER_S  INT64_C(1800000000) /* 2027-01-15 */

enum err persona_issuer_init(struct persona_issuer *issuer, bool real, uint64_t seed)
{
    struct rng rng;
    uint8_t bytes[SIGN_SEED_BYTES];
    *issuer = (struct persona_issuer){.real = real, .seed = seed};
    rng_seed(&rng, seed ^ UINT64_C(0x697373756572));
    rng_bytes(&rng, issuer->mesh.byte, sizeof(issuer->mesh.byte));
    rng_bytes(&rng, issuer->public_key, sizeof(issuer->public_key));
    if (!real) return ERR_OK;
    rng_bytes(&rng, bytes, sizeof(bytes));
    enum err err = sign_key_new(bytes, &issuer->key);
    if (err == ERR_OK) err = seal_ring_new(&issuer->ring);
    rng_bytes(&rng, bytes, sizeof(bytes));
    if (err == ERR_OK) err = seal_ring_add(issuer->ring, bytes);
    if (err != ERR_OK) {
        persona_issuer_fini(issuer);
        return err;
    }
    memcpy(issuer->public_key, sign_key_public(issuer->key), sizeof(issuer->public_key));
    return ERR_OK;
}

void persona_issuer_fini(struct persona_issuer *issuer)
{
    sign_key_free(issuer->key);
    seal_ring_free(issuer->ring);
    issuer->key = NULL;
    issuer->ring = NULL;
}

static enum err certify(struct persona *p, const struct persona_issuer *issuer)
{
    uint8_t cert[ADMISSION_BYTES_MAX];
    size_t len;
    if (p->real == NULL) {
        len = fake_crypto_admission(&p->fake, &p->name, issuer->public_key, cert);
    } else {
        struct sign_admission a = {.mesh = issuer->mesh,
                                   .node = p->id,
                                   .name = p->name,
                                   .not_before_s = NOT_BEFORE_S,
                                   .not_after_s = NOT_AFTER_S};
        memcpy(a.public_key, sign_key_public(p->real), sizeof(a.public_key));
        memcpy(a.spki_sha256, p->spki, sizeof(a.spki_sha256));
        enum err err = sign_admission_make(issuer->key, &a, cert, &len);
        if (err != ERR_OK) return err;
    }
    p->admission = malloc(len);
    if (p->admission == NULL) return ERR_NOMEM;
    memcpy(p->admission, cert, len);
    p->admission_len = len;
    return ERR_OK;
}

enum err persona_init(struct persona *p, const struct persona_issuer *issuer, uint32_t i)
{
    enum err err = ERR_OK;
    *p = (struct persona){0};
    (void)snprintf(p->name.text, sizeof(p->name.text), "n%u", i);
    fake_crypto_key(issuer->seed, i, &p->fake);
    fake_crypto_spki(&p->fake, p->spki);
    p->id = fake_crypto_node_id(&p->fake);
    if (issuer->real) {
        err = sign_key_new(p->fake.public_key, &p->real);
        if (err == ERR_OK) p->id = sign_node_id(sign_key_public(p->real));
    }
    if (err == ERR_OK) err = certify(p, issuer);
    if (err != ERR_OK) persona_fini(p);
    return err;
}

void persona_fini(struct persona *p)
{
    sign_key_free(p->real);
    free(p->admission);
    p->real = NULL;
    p->admission = NULL;
}

const struct sign_key *persona_key(const struct persona *p)
{
    return p->real != NULL ? p->real : fake_crypto_sign_key(&p->fake);
}

const struct gossip_crypto *persona_crypto(const struct persona_issuer *issuer)
{
    return issuer->real ? crypto_ops_real() : fake_crypto_ops();
}
