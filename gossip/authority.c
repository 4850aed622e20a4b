#include "gossip/authority.h"

#include "core/crypto/sign_manifest.h"

static bool is_key(const uint8_t *public_key, const struct manifest_key_id *id)
{
    struct manifest_key_id key = sign_manifest_key_id(public_key);
    return manifest_key_id_eq(&key, id);
}

uint32_t authority_rank(const struct authority *a, const struct manifest_key_id *id)
{
    if (is_key(a->issuer_pk, id)) return 0;
    for (uint32_t i = 0; a->root != NULL && i < a->root->operator_count; i++)
        if (is_key(a->root->op[i].public_key, id)) return i + 1;
    return AUTHORITY_NOBODY;
}

static enum policy_refusal allows_one(const struct authority *a, enum manifest_scope scope,
                                      const struct manifest_key_id *id, uint32_t *rank)
{
    *rank = authority_rank(a, id);
    if (*rank == AUTHORITY_NOBODY) return POLICY_UNKNOWN_SIGNER;
    if (*rank == 0) return scope == MANIFEST_ROOT ? POLICY_ACCEPTED : POLICY_NOT_ALLOWED;
    bool admin = a->root->op[*rank - 1].role == MANIFEST_ROLE_ADMIN;
    return scope == MANIFEST_POLICY || admin ? POLICY_ACCEPTED : POLICY_NOT_ALLOWED;
}

enum policy_refusal authority_allows(const struct authority *a, enum manifest_scope scope,
                                     const struct manifest_key_id *signer, uint32_t count)
{
    enum policy_refusal r = POLICY_ACCEPTED;
    uint32_t rank;
    for (uint32_t i = 0; i < count && r == POLICY_ACCEPTED; i++)
        r = allows_one(a, scope, &signer[i], &rank);
    return r;
}

static bool verify(const struct authority *a, uint32_t rank, const char *domain, struct span part,
                   const uint8_t *signature)
{
    uint8_t text[SIGN_MANIFEST_TEXT_MAX];
    const uint8_t *pk = rank == 0 ? a->issuer_pk : a->root->op[rank - 1].public_key;
    return a->crypto->verify(pk, domain, sign_manifest_text(a->mesh, part, text), signature);
}

enum policy_refusal authority_check(const struct authority *a, struct span wire,
                                    const struct manifest *m)
{
    struct pack_manifest_parts parts;
    if (pack_manifest_split(wire, &parts) != ERR_OK || parts.signature_count != m->signer_count)
        return POLICY_MALFORMED;
    for (uint32_t i = 0; i < m->signer_count; i++) {
        uint32_t rank;
        enum policy_refusal r = allows_one(a, m->scope, &m->signer[i], &rank);
        if (r != POLICY_ACCEPTED) return r;
        const uint8_t *signature = parts.signature + (size_t)i * MANIFEST_SIGNATURE_BYTES;
        if (!verify(a, rank, SIGN_MANIFEST_DOMAIN, parts.body, signature))
            return POLICY_WRONG_SIGNATURE;
    }
    return POLICY_ACCEPTED;
}

enum policy_refusal authority_check_confirm(const struct authority *a, struct span wire,
                                            const struct manifest_confirm *c)
{
    uint32_t rank;
    enum policy_refusal r = allows_one(a, c->scope, &c->signer, &rank);
    if (r != POLICY_ACCEPTED) return r;
    const uint8_t *signature = (const uint8_t *)wire.p + PACK_MANIFEST_CONFIRM_TEXT;
    struct span text = span_of(wire.p, PACK_MANIFEST_CONFIRM_TEXT);
    return verify(a, rank, SIGN_MANIFEST_CONFIRM_DOMAIN, text, signature) ? POLICY_ACCEPTED
                                                                          : POLICY_WRONG_SIGNATURE;
}
