#include "tests/sim/fake_crypto.h"

#include "core/base/hash.h"
#include "gossip/head.h"

#define TAG_BYTES  16u
#define AT_INDEX   12u
#define FAR_FUTURE INT64_C(4102444800) /* 2100-01-01 */

/* Eight bytes a step; detects accidents, not attackers. */
static uint64_t mark_of(uint64_t state, const void *p, size_t len)
{
    const uint8_t *at = p;
    uint64_t word;
    state ^= len;
    for (; len >= sizeof(word); len -= sizeof(word), at += sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        state = (state ^ word) * UINT64_C(0x9fb21c651e98df25);
        state ^= state >> 32;
    }
    word = 0;
    memcpy(&word, at, len);
    return hash_mix(state ^ word);
}

static uint64_t keyed(const uint8_t key[16], const void *p, size_t len)
{
    return mark_of(mark_of(0, key, 16), p, len);
}

static uint64_t tag_of(const struct seal_scope *scope, const uint8_t *packet, size_t len)
{
    uint64_t ends = mark_of(scope->receiver_epoch, scope->sender->byte, NODE_ID_BYTES);
    return mark_of(ends ^ keyed(scope->mesh->byte, scope->receiver->byte, NODE_ID_BYTES), packet,
                   len);
}

uint32_t fake_crypto_key_id(const uint8_t key[SEAL_KEY_BYTES])
{
    uint8_t hash[SEAL_KEY_HASH_BYTES];
    seal_key_hash(key, hash);
    return head_get_u32(hash);
}

static const struct fake_ring *ring_of(const struct seal_ring *r)
{
    return (const struct fake_ring *)(const void *)r;
}

/* The ring's count when there is none. */
static uint32_t place_of(const struct fake_ring *r, uint32_t key_id)
{
    uint32_t i = 0;
    while (i < r->count && fake_crypto_key_id(r->key[i]) != key_id)
        i++;
    return i;
}

bool fake_crypto_ring_add(struct fake_ring *r, const uint8_t key[SEAL_KEY_BYTES])
{
    if (r->count == SEAL_KEYS_MAX || place_of(r, fake_crypto_key_id(key)) < r->count) return false;
    memcpy(r->key[r->count++], key, SEAL_KEY_BYTES);
    return true;
}

bool fake_crypto_ring_use(struct fake_ring *r, uint32_t key_id)
{
    uint32_t at = place_of(r, key_id);
    uint8_t chosen[SEAL_KEY_BYTES];
    if (at == r->count) return false;
    memcpy(chosen, r->key[at], sizeof(chosen));
    memmove(r->key[1], r->key[0], at * sizeof(chosen));
    memcpy(r->key[0], chosen, sizeof(chosen));
    return true;
}

bool fake_crypto_ring_remove(struct fake_ring *r, uint32_t key_id)
{
    uint32_t at = place_of(r, key_id);
    if (at == r->count || at == 0) return false;
    r->count--;
    memmove(r->key[at], r->key[at + 1], (r->count - at) * sizeof(r->key[0]));
    return true;
}

static const uint8_t *ring_key(const struct seal_ring *ring, size_t i, uint32_t *key_id)
{
    const struct fake_ring *r = ring_of(ring);
    if (r == NULL || i >= r->count) return NULL;
    *key_id = fake_crypto_key_id(r->key[i]);
    return r->key[i];
}

static uint32_t sealing_id(const struct seal_ring *ring)
{
    uint32_t id = 0;
    return ring_key(ring, 0, &id) != NULL ? id : 0;
}

static enum err seal(const struct seal_scope *scope, const struct seal_header *h, struct span plain,
                     uint8_t *out, size_t cap, size_t *len)
{
    size_t total = plain.len + SEAL_OVERHEAD_BYTES;
    if (total > cap) return ERR_TOO_LARGE;
    out[0] = 1;
    head_put_u32(out + 1, sealing_id(scope->ring));
    memcpy(out + 5, scope->sender->byte, sizeof(h->sender));
    for (size_t i = 0; i < 6; i++) {
        out[13 + i] = (uint8_t)(h->epoch >> (40 - 8 * i));
        out[19 + i] = (uint8_t)(h->counter >> (40 - 8 * i));
    }
    memcpy(out + SEAL_HEADER_BYTES, plain.p, plain.len);
    size_t sealed = SEAL_HEADER_BYTES + plain.len;
    uint64_t tag = tag_of(scope, out, sealed);
    memset(out + sealed, 0, TAG_BYTES);
    head_put_u64(out + sealed, tag);
    *len = total;
    return ERR_OK;
}

static enum err open_packet(const struct seal_scope *scope, struct span packet, uint8_t *out,
                            size_t cap, size_t *len)
{
    const uint8_t *p = (const uint8_t *)packet.p;
    if (packet.len < SEAL_OVERHEAD_BYTES || packet.len - SEAL_OVERHEAD_BYTES > cap) return ERR_AUTH;
    const struct fake_ring *ring = ring_of(scope->ring);
    if (ring != NULL && place_of(ring, head_get_u32(p + 1)) == ring->count) return ERR_NOT_FOUND;
    size_t sealed = packet.len - TAG_BYTES;
    if (head_get_u64(p + sealed) != tag_of(scope, p, sealed)) return ERR_AUTH;
    *len = packet.len - SEAL_OVERHEAD_BYTES;
    memcpy(out, p + SEAL_HEADER_BYTES, *len);
    return ERR_OK;
}

struct span fake_crypto_plain(struct span packet)
{
    return span_of(packet.p + SEAL_HEADER_BYTES, packet.len - SEAL_OVERHEAD_BYTES);
}

static void signature(const uint8_t *pk, const char *domain, struct span msg,
                      uint8_t sig[SIGN_BYTES])
{
    uint64_t mark = keyed(pk, msg.p, msg.len) ^ keyed(pk, domain, strlen(domain));
    for (size_t i = 0; i < SIGN_BYTES; i += 8)
        head_put_u64(sig + i, mark + i);
}

static void sign(const struct sign_key *k, const char *domain, struct span msg,
                 uint8_t sig[SIGN_BYTES])
{
    const struct fake_key *fake = (const struct fake_key *)(const void *)k;
    signature(fake->public_key, domain, msg, sig);
}

static bool verify(const uint8_t pk[SIGN_PUBLIC_BYTES], const char *domain, struct span msg,
                   const uint8_t sig[SIGN_BYTES])
{
    uint8_t want[SIGN_BYTES];
    signature(pk, domain, msg, want);
    return memcmp(want, sig, sizeof(want)) == 0;
}

static void hash(struct span bytes, uint8_t out[CRYPTO_OPS_HASH_BYTES])
{
    static const uint8_t left[16] = "parley-sim-left", right[16] = "parley-sim-rite";
    head_put_u64(out, keyed(left, bytes.p, bytes.len));
    head_put_u64(out + 8, keyed(right, bytes.p, bytes.len));
}

void fake_crypto_key(uint64_t seed, uint32_t i, struct fake_key *out)
{
    uint64_t state = hash_mix(seed ^ UINT64_C(0x6b6579)) + i;
    for (size_t at = 0; at < SIGN_PUBLIC_BYTES; at += 8) {
        state = hash_mix(state + UINT64_C(0x9e3779b97f4a7c15));
        head_put_u64(out->public_key + at, state);
    }
    head_put_u32(out->public_key + AT_INDEX, i);
}

uint32_t fake_crypto_index(const struct node_id *id)
{
    return head_get_u32(id->byte + AT_INDEX);
}

struct node_id fake_crypto_node_id(const struct fake_key *k)
{
    struct node_id id;
    memcpy(id.byte, k->public_key, sizeof(id.byte));
    return id;
}

void fake_crypto_spki(const struct fake_key *k, uint8_t out[32])
{
    for (size_t i = 0; i < 32; i++)
        out[i] = k->public_key[i] ^ 0x5au;
}

size_t fake_crypto_admission(const struct fake_key *k, const struct name *name,
                             const uint8_t issuer_pk[SIGN_PUBLIC_BYTES],
                             uint8_t out[FAKE_ADMISSION_BYTES_MAX])
{
    size_t len = strlen(name->text);
    uint8_t *text = out + SIGN_PUBLIC_BYTES + 8;
    memcpy(out, k->public_key, SIGN_PUBLIC_BYTES);
    memcpy(text, name->text, len);
    uint64_t mark = keyed(issuer_pk, out, SIGN_PUBLIC_BYTES) ^ keyed(issuer_pk, text, len);
    head_put_u64(out + SIGN_PUBLIC_BYTES, mark);
    return SIGN_PUBLIC_BYTES + 8 + len;
}

static enum err admission_open(struct span cert, const uint8_t issuer_pk[SIGN_PUBLIC_BYTES],
                               const struct mesh_id *mesh, int64_t now_s,
                               struct sign_admission *out)
{
    const uint8_t *p = (const uint8_t *)cert.p;
    if (cert.len <= SIGN_PUBLIC_BYTES + 8 || cert.len > FAKE_ADMISSION_BYTES_MAX)
        return ERR_INVALID;
    struct span text = span_skip(cert, SIGN_PUBLIC_BYTES + 8);
    uint64_t mark = keyed(issuer_pk, p, SIGN_PUBLIC_BYTES) ^ keyed(issuer_pk, text.p, text.len);
    if (head_get_u64(p + SIGN_PUBLIC_BYTES) != mark) return ERR_AUTH;
    if (now_s >= FAR_FUTURE) return ERR_EXPIRED;
    struct fake_key key;
    memcpy(key.public_key, p, SIGN_PUBLIC_BYTES);
    *out = (struct sign_admission){
        .mesh = *mesh, .node = fake_crypto_node_id(&key), .not_after_s = FAR_FUTURE};
    memcpy(out->public_key, p, SIGN_PUBLIC_BYTES);
    fake_crypto_spki(&key, out->spki_sha256);
    return name_set(&out->name, text);
}

const struct gossip_crypto *fake_crypto_ops(void)
{
    static const struct gossip_crypto ops = {
        .seal = seal,
        .open = open_packet,
        .ring_key = ring_key,
        .sign = sign,
        .verify = verify,
        .admission_open = admission_open,
        .hash = hash,
    };
    return &ops;
}
