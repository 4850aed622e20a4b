#include "gossip/accusation.h"

#include "gossip/head.h"

#define ACCUSATION_DOMAIN "parley-accuse-2"
#define AT_EPOCH          16
#define AT_INC            24
#define MATTER_BYTES      (ACCUSATION_HEAD_BYTES + 1u)
#define AGO_SHIFT         4u
#define KIND_MASK         0x0fu

static void encode_matter(const struct accusation *a, uint8_t out[ACCUSATION_HEAD_BYTES])
{
    memcpy(out, a->target.byte, NODE_ID_BYTES);
    head_put_u64(out + AT_EPOCH, a->epoch);
    head_put_u32(out + AT_INC, a->inc);
}

void accusation_sign(const struct gossip_crypto *crypto, const struct sign_key *key,
                     const struct node_id *accuser, const struct accusation *a,
                     enum accusation_kind kind, struct accusation_vote *out)
{
    uint8_t matter[MATTER_BYTES];
    encode_matter(a, matter);
    matter[ACCUSATION_HEAD_BYTES] = (uint8_t)kind;
    out->accuser = *accuser;
    out->kind = (uint8_t)kind;
    out->ago = 0;
    crypto->sign(key, ACCUSATION_DOMAIN, span_of(matter, sizeof(matter)), out->sig);
}

bool accusation_verify(const struct gossip_crypto *crypto, const uint8_t pk[SIGN_PUBLIC_BYTES],
                       const struct accusation *a, const struct accusation_vote *v)
{
    uint8_t matter[MATTER_BYTES];
    encode_matter(a, matter);
    head_put_u32(matter + AT_INC, a->inc - v->ago);
    matter[ACCUSATION_HEAD_BYTES] = v->kind;
    return crypto->verify(pk, ACCUSATION_DOMAIN, span_of(matter, sizeof(matter)), v->sig);
}

bool accusation_has(const struct accusation *a, const struct node_id *accuser)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (name_node_id_cmp(&a->vote[i].accuser, accuser) == 0) return true;
    return false;
}

static unsigned weight(const struct accusation_vote *v)
{
    if (v->kind == ACCUSATION_LOSSY) return 1 + ACCUSATION_AGO_MAX - v->ago;
    return v->kind == ACCUSATION_REFUSED ? 2 + ACCUSATION_AGO_MAX : 0;
}

bool accusation_add(struct accusation *a, const struct accusation_vote *v)
{
    struct accusation_vote *own = NULL, *least = NULL;
    for (uint32_t i = 0; i < a->count; i++) {
        struct accusation_vote *known = &a->vote[i];
        if (name_node_id_cmp(&known->accuser, &v->accuser) == 0) own = known;
        if (least == NULL || weight(known) < weight(least)) least = known;
    }
    if (own == NULL && a->count < TUNING_ACCUSERS_MAX) {
        a->vote[a->count++] = *v;
        return true;
    }
    if (own == NULL) own = least;
    if (weight(own) >= weight(v)) return false;
    *own = *v;
    return true;
}

void accusation_add_surely(struct accusation *a, const struct accusation_vote *v)
{
    uint32_t least = 0;
    if (accusation_add(a, v) || accusation_has(a, &v->accuser)) return;
    for (uint32_t i = 1; i < a->count; i++)
        if (weight(&a->vote[i]) < weight(&a->vote[least])) least = i;
    a->vote[least] = *v;
}

void accusation_shorten(struct accusation *a, uint32_t count)
{
    while (a->count > count) {
        uint32_t out = a->count - 1;
        for (uint32_t i = 0; i < a->count; i++)
            if (a->vote[i].kind == ACCUSATION_LOSSY) out = i;
        a->vote[out] = a->vote[--a->count];
    }
}

static bool may_be_of(const struct accusation_vote *v, uint32_t said, uint32_t inc)
{
    if (said == inc) return true;
    return v->kind == ACCUSATION_LOSSY && said < inc && inc - said <= ACCUSATION_AGO_MAX;
}

void accusation_move(struct accusation *a, uint32_t inc)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        struct accusation_vote v = a->vote[i];
        uint32_t said = a->inc - v.ago;
        if (!may_be_of(&v, said, inc)) continue;
        v.ago = (uint8_t)(inc - said);
        a->vote[kept++] = v;
    }
    a->count = kept;
    a->inc = inc;
}

uint32_t accusation_count_now(const struct accusation *a)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->count; i++)
        n += a->vote[i].ago == 0;
    return n;
}

uint32_t accusation_count(const struct accusation *a, enum accusation_kind kind)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->count; i++)
        n += a->vote[i].kind == kind;
    return n;
}

size_t accusation_encode(const struct accusation *a, uint8_t out[ACCUSATION_BYTES_MAX])
{
    encode_matter(a, out);
    uint8_t *p = out + ACCUSATION_HEAD_BYTES;
    for (uint32_t i = 0; i < a->count; i++) {
        memcpy(p, a->vote[i].accuser.byte, NODE_ID_BYTES);
        p[NODE_ID_BYTES] = (uint8_t)(a->vote[i].ago << AGO_SHIFT | a->vote[i].kind);
        memcpy(p + NODE_ID_BYTES + 1, a->vote[i].sig, SIGN_BYTES);
        p += ACCUSATION_VOTE_BYTES;
    }
    return (size_t)(p - out);
}

enum err accusation_decode(struct span wire, struct accusation *out)
{
    const uint8_t *p = (const uint8_t *)wire.p;
    if (wire.len <= ACCUSATION_HEAD_BYTES || wire.len > ACCUSATION_BYTES_MAX) return ERR_INVALID;
    if ((wire.len - ACCUSATION_HEAD_BYTES) % ACCUSATION_VOTE_BYTES != 0) return ERR_INVALID;
    struct accusation a = {.epoch = head_get_u64(p + AT_EPOCH), .inc = head_get_u32(p + AT_INC)};
    memcpy(a.target.byte, p, NODE_ID_BYTES);
    for (size_t at = ACCUSATION_HEAD_BYTES; at < wire.len; at += ACCUSATION_VOTE_BYTES) {
        struct accusation_vote v;
        memcpy(v.accuser.byte, p + at, NODE_ID_BYTES);
        v.kind = p[at + NODE_ID_BYTES] & KIND_MASK;
        v.ago = (uint8_t)(p[at + NODE_ID_BYTES] >> AGO_SHIFT);
        memcpy(v.sig, p + at + NODE_ID_BYTES + 1, SIGN_BYTES);
        if (v.ago > a.inc || !may_be_of(&v, a.inc - v.ago, a.inc)) return ERR_INVALID;
        if (accusation_has(&a, &v.accuser) || !accusation_add(&a, &v)) return ERR_INVALID;
    }
    *out = a;
    return ERR_OK;
}
