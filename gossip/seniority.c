#include "gossip/seniority.h"

static uint32_t number_of(const struct manifest *parent, const struct seniority *before,
                          const uint8_t *public_key)
{
    for (uint32_t i = 0; parent != NULL && i < parent->operator_count; i++)
        if (memcmp(parent->op[i].public_key, public_key, MANIFEST_PUBLIC_BYTES) == 0)
            return before->of[i];
    return AUTHORITY_NOBODY;
}

void seniority_follow(const struct manifest *parent, const struct seniority *before,
                      const struct manifest *m, struct seniority *out)
{
    *out = (struct seniority){.given = parent != NULL ? before->given : 0};
    for (uint32_t i = 0; i < m->operator_count; i++) {
        uint32_t number = number_of(parent, before, m->op[i].public_key);
        out->of[i] = number != AUTHORITY_NOBODY ? number : ++out->given;
    }
}

uint32_t seniority_signer(const struct authority *a, const struct seniority *before,
                          const struct manifest *m)
{
    uint32_t best = AUTHORITY_NOBODY;
    for (uint32_t i = 0; i < m->signer_count; i++) {
        uint32_t rank = authority_rank(a, &m->signer[i]);
        if (rank == AUTHORITY_NOBODY) continue;
        uint32_t number = rank == 0 ? 0 : before->of[rank - 1];
        if (number < best) best = number;
    }
    return best;
}
