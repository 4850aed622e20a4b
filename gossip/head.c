#include "gossip/head.h"

#include <assert.h>

#define HEAD_VERSION      1u
#define HEAD_SIGNED_BYTES (HEAD_BYTES - SIGN_BYTES)
#define HEAD_DOMAIN       "parley-head-1"
#define AT_OWNER          1
#define AT_EPOCH          17
#define AT_INC            25
#define AT_VERSION        29
#define AT_FLAGS          37
#define AT_FAMILY         41
#define AT_PORT           42
#define AT_IP             44
#define AT_ADMISSION      60
#define AT_BODY           76

static_assert(AT_BODY + CRYPTO_OPS_HASH_BYTES == HEAD_SIGNED_BYTES, "the picture in head.h");

void head_put_u32(uint8_t *out, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(v >> (24 - 8 * i));
}

void head_put_u64(uint8_t *out, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> (56 - 8 * i));
}

uint32_t head_get_u32(const uint8_t *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 8 | p[i];
    return v;
}

uint64_t head_get_u64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

int head_cmp(const struct head *a, const struct head *b)
{
    if (a->epoch != b->epoch) return a->epoch < b->epoch ? -1 : 1;
    if (a->inc != b->inc) return a->inc < b->inc ? -1 : 1;
    if (a->version != b->version) return a->version < b->version ? -1 : 1;
    return 0;
}

static void encode_signed(const struct head *h, uint8_t out[HEAD_SIGNED_BYTES])
{
    out[0] = HEAD_VERSION;
    memcpy(out + AT_OWNER, h->owner.byte, NODE_ID_BYTES);
    head_put_u64(out + AT_EPOCH, h->epoch);
    head_put_u32(out + AT_INC, h->inc);
    head_put_u64(out + AT_VERSION, h->version);
    head_put_u32(out + AT_FLAGS, h->flags);
    out[AT_FAMILY] = h->addr.family;
    out[AT_PORT] = (uint8_t)(h->addr.port >> 8);
    out[AT_PORT + 1] = (uint8_t)h->addr.port;
    memcpy(out + AT_IP, h->addr.ip, sizeof(h->addr.ip));
    memcpy(out + AT_ADMISSION, h->admission_hash, CRYPTO_OPS_HASH_BYTES);
    memcpy(out + AT_BODY, h->body_hash, CRYPTO_OPS_HASH_BYTES);
}

void head_sign(const struct gossip_crypto *crypto, const struct sign_key *key, struct head *h)
{
    uint8_t bytes[HEAD_SIGNED_BYTES];
    encode_signed(h, bytes);
    crypto->sign(key, HEAD_DOMAIN, span_of(bytes, sizeof(bytes)), h->sig);
}

bool head_verify(const struct gossip_crypto *crypto, const uint8_t pk[SIGN_PUBLIC_BYTES],
                 const struct head *h)
{
    uint8_t bytes[HEAD_SIGNED_BYTES];
    encode_signed(h, bytes);
    return crypto->verify(pk, HEAD_DOMAIN, span_of(bytes, sizeof(bytes)), h->sig);
}

void head_encode(const struct head *h, uint8_t out[HEAD_BYTES])
{
    encode_signed(h, out);
    memcpy(out + HEAD_SIGNED_BYTES, h->sig, SIGN_BYTES);
}

enum err head_decode(struct span wire, struct head *out)
{
    if (wire.len != HEAD_BYTES) return ERR_INVALID;
    const uint8_t *p = (const uint8_t *)wire.p;
    uint8_t family = p[AT_FAMILY];
    if (p[0] != HEAD_VERSION) return ERR_INVALID;
    if (family != ADDR_IP4 && family != ADDR_IP6) return ERR_INVALID;
    struct head h = {
        .epoch = head_get_u64(p + AT_EPOCH),
        .version = head_get_u64(p + AT_VERSION),
        .inc = head_get_u32(p + AT_INC),
        .flags = head_get_u32(p + AT_FLAGS),
        .addr = {.port = (uint16_t)(p[AT_PORT] << 8 | p[AT_PORT + 1]), .family = family},
    };
    memcpy(h.owner.byte, p + AT_OWNER, NODE_ID_BYTES);
    memcpy(h.addr.ip, p + AT_IP, sizeof(h.addr.ip));
    memcpy(h.admission_hash, p + AT_ADMISSION, CRYPTO_OPS_HASH_BYTES);
    memcpy(h.body_hash, p + AT_BODY, CRYPTO_OPS_HASH_BYTES);
    memcpy(h.sig, p + HEAD_SIGNED_BYTES, SIGN_BYTES);
    *out = h;
    return ERR_OK;
}
