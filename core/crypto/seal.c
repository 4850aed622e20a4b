#include "core/crypto/seal.h"

#include "core/base/check.h"
#include "core/crypto/secret.h"

#include <assert.h>
#include <sodium.h>

#define SEAL_MAGIC   0x5ea15ea1u
#define SEAL_VERSION 1u
#define COUNTER_BITS 48u
#define EPOCH_BYTES  6u
#define AAD_BYTES    (SEAL_HEADER_BYTES + MESH_ID_BYTES + 2 * NODE_ID_BYTES + EPOCH_BYTES)
#define PAIR_BYTES   (SEAL_SHARED_BYTES + 2 * NODE_ID_BYTES + MESH_ID_BYTES)
#define NONCE_BYTES  crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES    crypto_aead_xchacha20poly1305_ietf_ABYTES
#define WINDOW_BITS  64u
#define SENDER_BYTES 8u
#define AT_KEY_ID    1u
#define AT_SENDER    5u
#define AT_EPOCH     13u
#define AT_COUNTER   19u
#define NONCE_FROM   AT_SENDER /* sender || epoch || counter, as they stand in the header */
#define NONCE_COPIED (SEAL_HEADER_BYTES - NONCE_FROM)

static_assert(SEAL_OVERHEAD_BYTES == SEAL_HEADER_BYTES + TAG_BYTES, "header and tag");
static_assert(SEAL_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "group key");
static_assert(NONCE_COPIED + 4 == NONCE_BYTES, "nonce is sender, epoch, counter and 4 zeroes");

struct seal_key {
    uint8_t byte[SEAL_KEY_BYTES];
    uint32_t id;
};

/* Lies in locked memory as a whole. */
struct seal_ring {
    unsigned magic;
    unsigned count;
    struct seal_key key[SEAL_KEYS_MAX]; /* the first one seals */
};

static void put_be(uint8_t *p, uint64_t v, unsigned bytes)
{
    for (unsigned i = bytes; i-- > 0; v >>= 8)
        p[i] = (uint8_t)v;
}

static uint64_t get_be(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

enum err seal_ring_new(struct seal_ring **out)
{
    struct seal_ring *r = secret_new(sizeof(*r));
    if (r == NULL) return ERR_NOMEM;
    r->magic = SEAL_MAGIC;
    *out = r;
    return ERR_OK;
}

void seal_ring_free(struct seal_ring *r)
{
    if (r == NULL) return;
    CHECK_OBJ(r, SEAL_MAGIC);
    r->magic = MAGIC_POISON;
    secret_free(r);
}

void seal_key_hash(const uint8_t key[SEAL_KEY_BYTES], uint8_t hash[SEAL_KEY_HASH_BYTES])
{
    crypto_generichash(hash, SEAL_KEY_HASH_BYTES, key, SEAL_KEY_BYTES, NULL, 0);
}

static uint32_t key_id_of(const uint8_t key[SEAL_KEY_BYTES])
{
    uint8_t hash[SEAL_KEY_HASH_BYTES];
    seal_key_hash(key, hash);
    return (uint32_t)get_be(hash, 4);
}

/* The ring's count when there is none. */
static unsigned index_of(const struct seal_ring *r, uint32_t key_id)
{
    unsigned i = 0;
    while (i < r->count && r->key[i].id != key_id)
        i++;
    return i;
}

enum err seal_ring_add(struct seal_ring *r, const uint8_t key[SEAL_KEY_BYTES])
{
    CHECK_OBJ(r, SEAL_MAGIC);
    uint32_t id = key_id_of(key);
    if (index_of(r, id) < r->count) return ERR_EXISTS;
    if (r->count == SEAL_KEYS_MAX) return ERR_FULL;
    memcpy(r->key[r->count].byte, key, SEAL_KEY_BYTES);
    r->key[r->count++].id = id;
    return ERR_OK;
}

enum err seal_ring_use(struct seal_ring *r, uint32_t key_id)
{
    CHECK_OBJ(r, SEAL_MAGIC);
    unsigned at = index_of(r, key_id);
    if (at == r->count) return ERR_NOT_FOUND;
    struct seal_key chosen = r->key[at];
    memmove(&r->key[1], &r->key[0], at * sizeof(r->key[0]));
    r->key[0] = chosen;
    sodium_memzero(&chosen, sizeof(chosen));
    return ERR_OK;
}

enum err seal_ring_remove(struct seal_ring *r, uint32_t key_id)
{
    CHECK_OBJ(r, SEAL_MAGIC);
    unsigned at = index_of(r, key_id);
    if (at == r->count) return ERR_NOT_FOUND;
    if (at == 0) return ERR_BUSY;
    memmove(&r->key[at], &r->key[at + 1], (r->count - at - 1) * sizeof(r->key[0]));
    sodium_memzero(&r->key[--r->count], sizeof(r->key[0]));
    return ERR_OK;
}

size_t seal_ring_count(const struct seal_ring *r)
{
    CHECK_OBJ(r, SEAL_MAGIC);
    return r->count;
}

const uint8_t *seal_ring_key(const struct seal_ring *r, size_t i, uint32_t *key_id)
{
    CHECK_OBJ(r, SEAL_MAGIC);
    if (i >= r->count) return NULL;
    *key_id = r->key[i].id;
    return r->key[i].byte;
}

void seal_wipe(void *secret, size_t len)
{
    sodium_memzero(secret, len);
}

static uint8_t *append(uint8_t *at, const void *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

/* What the tag covers besides the plaintext, and the nonce, both from the header's bytes. */
static void bind_header(const struct seal_scope *scope, const uint8_t header[SEAL_HEADER_BYTES],
                        uint8_t aad[AAD_BYTES], uint8_t nonce[NONCE_BYTES])
{
    uint8_t *at = append(aad, header, SEAL_HEADER_BYTES);
    at = append(at, scope->mesh->byte, MESH_ID_BYTES);
    at = append(at, scope->sender->byte, NODE_ID_BYTES);
    at = append(at, scope->receiver->byte, NODE_ID_BYTES);
    put_be(at, scope->receiver_epoch, EPOCH_BYTES);
    memcpy(nonce, header + NONCE_FROM, NONCE_COPIED);
    memset(nonce + NONCE_COPIED, 0, NONCE_BYTES - NONCE_COPIED);
}

/* gossip.md 3.4. Ids in order, so that both sides make the same; the sender in the nonce keeps the
 * two directions apart. */
static void derive(const struct seal_scope *scope, const struct seal_key *group,
                   uint8_t key[SEAL_KEY_BYTES])
{
    uint8_t pair[PAIR_BYTES];
    bool sender_first = name_node_id_cmp(scope->sender, scope->receiver) < 0;
    const struct node_id *low = sender_first ? scope->sender : scope->receiver;
    const struct node_id *high = sender_first ? scope->receiver : scope->sender;
    uint8_t *at = append(pair, scope->shared, SEAL_SHARED_BYTES);
    at = append(at, low->byte, NODE_ID_BYTES);
    at = append(at, high->byte, NODE_ID_BYTES);
    (void)append(at, scope->mesh->byte, MESH_ID_BYTES);
    crypto_generichash(key, SEAL_KEY_BYTES, pair, sizeof(pair), group->byte, SEAL_KEY_BYTES);
    sodium_memzero(pair, sizeof(pair));
}

enum err seal_packet(const struct seal_scope *scope, const struct seal_header *h, struct span plain,
                     uint8_t *out, size_t cap, size_t *len)
{
    CHECK_OBJ(scope->ring, SEAL_MAGIC);
    uint8_t aad[AAD_BYTES], nonce[NONCE_BYTES], key[SEAL_KEY_BYTES];
    size_t total;
    unsigned long long sealed;
    if (scope->ring->count == 0) return ERR_NOT_FOUND;
    if (h->epoch >> COUNTER_BITS != 0 || h->counter >> COUNTER_BITS != 0) return ERR_RANGE;
    if (!size_add(plain.len, SEAL_OVERHEAD_BYTES, &total) || total > cap) return ERR_TOO_LARGE;
    const struct seal_key *group = &scope->ring->key[0];
    out[0] = SEAL_VERSION;
    put_be(out + AT_KEY_ID, group->id, 4);
    memcpy(out + AT_SENDER, scope->sender->byte, SENDER_BYTES);
    put_be(out + AT_EPOCH, h->epoch, 6);
    put_be(out + AT_COUNTER, h->counter, 6);
    bind_header(scope, out, aad, nonce);
    derive(scope, group, key);
    crypto_aead_xchacha20poly1305_ietf_encrypt(out + SEAL_HEADER_BYTES, &sealed,
                                               (const unsigned char *)plain.p, plain.len, aad,
                                               sizeof(aad), NULL, nonce, key);
    sodium_memzero(key, sizeof(key));
    CHECK(sealed == plain.len + TAG_BYTES);
    *len = total;
    return ERR_OK;
}

enum err seal_peek(struct span packet, struct seal_header *h)
{
    const uint8_t *p = (const uint8_t *)packet.p;
    if (packet.len < SEAL_OVERHEAD_BYTES || p[0] != SEAL_VERSION) return ERR_INVALID;
    h->key_id = (uint32_t)get_be(p + AT_KEY_ID, 4);
    memcpy(h->sender, p + AT_SENDER, sizeof(h->sender));
    h->epoch = get_be(p + AT_EPOCH, 6);
    h->counter = get_be(p + AT_COUNTER, 6);
    return ERR_OK;
}

enum err seal_open(const struct seal_scope *scope, struct span packet, uint8_t *out, size_t cap,
                   size_t *len)
{
    CHECK_OBJ(scope->ring, SEAL_MAGIC);
    uint8_t aad[AAD_BYTES], nonce[NONCE_BYTES], key[SEAL_KEY_BYTES];
    struct seal_header h;
    unsigned long long opened;
    enum err err = seal_peek(packet, &h);
    if (err != ERR_OK) return err;
    unsigned at = index_of(scope->ring, h.key_id);
    if (at == scope->ring->count) return ERR_NOT_FOUND;
    if (packet.len - SEAL_OVERHEAD_BYTES > cap) return ERR_TOO_LARGE;
    if (memcmp(h.sender, scope->sender->byte, SENDER_BYTES) != 0) return ERR_AUTH;
    const uint8_t *p = (const uint8_t *)packet.p;
    bind_header(scope, p, aad, nonce);
    derive(scope, &scope->ring->key[at], key);
    int failed = crypto_aead_xchacha20poly1305_ietf_decrypt(
        out, &opened, NULL, p + SEAL_HEADER_BYTES, packet.len - SEAL_HEADER_BYTES, aad, sizeof(aad),
        nonce, key);
    sodium_memzero(key, sizeof(key));
    if (failed != 0) return ERR_AUTH;
    *len = (size_t)opened;
    return ERR_OK;
}

enum err seal_window_check(struct seal_window *w, uint64_t epoch, uint64_t counter)
{
    if (epoch < w->epoch) return ERR_REPLAY;
    if (epoch > w->epoch) {
        /* All before it counts as seen: who restarted cannot tell old from replayed. */
        *w = (struct seal_window){.epoch = epoch, .top = counter, .bits = UINT64_MAX};
        return ERR_OK;
    }
    if (counter > w->top) {
        uint64_t ahead = counter - w->top;
        w->bits = ahead < WINDOW_BITS ? w->bits << ahead : 0;
        w->bits |= 1;
        w->top = counter;
        return ERR_OK;
    }
    uint64_t behind = w->top - counter;
    if (behind >= WINDOW_BITS || (w->bits >> behind & 1) != 0) return ERR_REPLAY;
    w->bits |= UINT64_C(1) << behind;
    return ERR_OK;
}
