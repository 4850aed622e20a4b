#include "tests/sim/operators.h"

#include "core/base/check.h"

#include <stdio.h>

enum err operators_init(struct operators *o, const struct persona_issuer *issuer)
{
    *o = (struct operators){.issuer = issuer};
    for (uint32_t i = 0; i < OPERATORS; i++) {
        uint8_t seed[SIGN_SEED_BYTES] = {0x6f, 0x70, (uint8_t)i, (uint8_t)issuer->seed};
        fake_crypto_key(issuer->seed ^ UINT64_C(0x6f70657261746f72), i, &o->fake[i]);
        if (issuer->real && sign_key_new(seed, &o->real[i]) != ERR_OK) return ERR_NOMEM;
    }
    return ERR_OK;
}

void operators_fini(struct operators *o)
{
    for (uint32_t i = 0; i < OPERATORS; i++)
        sign_key_free(o->real[i]);
}

static const uint8_t *public_key(const struct operators *o, uint32_t who)
{
    if (who == OPERATORS_ISSUER) return o->issuer->public_key;
    return o->issuer->real ? sign_key_public(o->real[who]) : o->fake[who].public_key;
}

void operators_public(const struct operators *o, uint32_t who, uint8_t out[SIGN_PUBLIC_BYTES])
{
    memcpy(out, public_key(o, who), SIGN_PUBLIC_BYTES);
}

struct manifest_key_id operators_id(const struct operators *o, uint32_t who)
{
    return sign_manifest_key_id(public_key(o, who));
}

static void sign(const struct operators *o, uint32_t who, const char *domain, struct span part,
                 uint8_t out[SIGN_BYTES])
{
    uint8_t storage[SIGN_MANIFEST_TEXT_MAX];
    const struct span text = sign_manifest_text(&o->issuer->mesh, part, storage);
    struct fake_key fake;
    memcpy(fake.public_key, public_key(o, who), sizeof(fake.public_key));
    const struct sign_key *key = fake_crypto_sign_key(&fake);
    if (o->issuer->real) key = who == OPERATORS_ISSUER ? o->issuer->key : o->real[who];
    persona_crypto(o->issuer)->sign(key, domain, text, out);
}

void operators_sign(const struct operators *o, const struct manifest *m, const uint32_t *who,
                    struct operators_signed *out)
{
    uint8_t body[PACK_MANIFEST_BODY_MAX], signature[MANIFEST_SIGNERS_MAX][SIGN_BYTES];
    size_t len;
    CHECK(pack_manifest_body(m, body, sizeof(body), &len) == ERR_OK);
    for (uint32_t i = 0; i < m->signer_count; i++)
        sign(o, who[i], SIGN_MANIFEST_DOMAIN, span_of(body, len), signature[i]);
    CHECK(pack_manifest_join(span_of(body, len), signature[0], m->signer_count, out->bytes,
                             sizeof(out->bytes), &out->len) == ERR_OK);
    out->ref.gen = m->gen;
    out->ref.hash = sign_manifest_hash(span_of(out->bytes, out->len));
    out->hlc = m->hlc;
}

static struct manifest begin(const struct operators *o, const struct operators_order *order,
                             enum manifest_scope scope)
{
    return (struct manifest){.scope = scope,
                             .gen = order->gen,
                             .parent = order->parent,
                             .hlc = (uint64_t)order->wall_ms << 16,
                             .root_gen = order->root_gen,
                             .author = {"op"},
                             .signer_count = 1,
                             .signer = {operators_id(o, order->by)},
                             .confirm_within_ms = order->confirm_within_ms};
}

void operators_root(const struct operators *o, const struct operators_order *order,
                    struct operators_signed *out)
{
    struct manifest m = begin(o, order, MANIFEST_ROOT);
    m.pinned = order->pinned;
    for (uint32_t i = 0; i < order->count; i++) {
        if (i + 1 == order->left_out) continue;
        struct manifest_operator *op = &m.op[m.operator_count++];
        (void)snprintf(op->name.text, sizeof(op->name.text), "op%u", i);
        memcpy(op->public_key, public_key(o, i), sizeof(op->public_key));
        op->role = i % 2 == 0 ? MANIFEST_ROLE_ADMIN : MANIFEST_ROLE_POLICY;
    }
    operators_sign(o, &m, &order->by, out);
}

void operators_policy(const struct operators *o, const struct operators_order *order,
                      struct operators_signed *out)
{
    struct manifest m = begin(o, order, MANIFEST_POLICY);
    m.plan = order->planned ? order->plan : manifest_plan_default();
    m.text_count = 1;
    m.text[0] = (struct manifest_text){.name = {"authz"},
                                       .hash = sign_manifest_hash(order->text),
                                       .bytes = (uint32_t)order->text.len};
    operators_sign(o, &m, &order->by, out);
}

void operators_confirm(const struct operators *o, uint32_t who, const struct manifest_ref *ref,
                       int64_t wall_ms, uint8_t out[PACK_MANIFEST_CONFIRM_BYTES])
{
    struct manifest_confirm c = {.scope = MANIFEST_POLICY,
                                 .ref = *ref,
                                 .hlc = (uint64_t)wall_ms << 16,
                                 .signer = operators_id(o, who)};
    pack_manifest_confirm_text(&c, out);
    sign(o, who, SIGN_MANIFEST_CONFIRM_DOMAIN, span_of(out, PACK_MANIFEST_CONFIRM_TEXT),
         out + PACK_MANIFEST_CONFIRM_TEXT);
}
