#include "core/crypto/sign.h"

#include "core/base/check.h"
#include "core/crypto/secret.h"

#include <assert.h>
#include <sodium.h>

#define SIGN_MAGIC 0x5160ed25u

static_assert(SIGN_PUBLIC_BYTES == crypto_sign_PUBLICKEYBYTES, "Ed25519 public key");
static_assert(SIGN_SEED_BYTES == crypto_sign_SEEDBYTES, "Ed25519 seed");
static_assert(SIGN_BYTES == crypto_sign_BYTES, "Ed25519 signature");
static_assert(SIGN_SHARED_BYTES == crypto_scalarmult_BYTES, "X25519");

/* Lies in locked memory as a whole, read-only once made. */
struct sign_key {
    unsigned magic;
    uint8_t secret[crypto_sign_SECRETKEYBYTES]; /* seed || public key */
    uint8_t public_key[SIGN_PUBLIC_BYTES];
};

enum err sign_key_new(const uint8_t *seed, struct sign_key **out)
{
    struct sign_key *k = secret_new(sizeof(*k));
    if (k == NULL) return ERR_NOMEM;
    if (seed != NULL)
        crypto_sign_seed_keypair(k->public_key, k->secret, seed);
    else
        crypto_sign_keypair(k->public_key, k->secret);
    k->magic = SIGN_MAGIC;
    secret_seal(k);
    *out = k;
    return ERR_OK;
}

void sign_key_free(struct sign_key *k)
{
    if (k == NULL) return;
    CHECK_OBJ(k, SIGN_MAGIC);
    secret_free(k);
}

const uint8_t *sign_key_public(const struct sign_key *k)
{
    CHECK_OBJ(k, SIGN_MAGIC);
    return k->public_key;
}

const uint8_t *sign_key_seed(const struct sign_key *k)
{
    CHECK_OBJ(k, SIGN_MAGIC);
    return k->secret;
}

static void absorb(crypto_sign_state *state, const char *domain, struct span msg)
{
    crypto_sign_init(state);
    crypto_sign_update(state, (const unsigned char *)domain, strlen(domain) + 1);
    if (msg.len > 0) crypto_sign_update(state, (const unsigned char *)msg.p, msg.len);
}

void sign_make(const struct sign_key *k, const char *domain, struct span msg,
               uint8_t sig[SIGN_BYTES])
{
    CHECK_OBJ(k, SIGN_MAGIC);
    crypto_sign_state state;
    absorb(&state, domain, msg);
    int failed = crypto_sign_final_create(&state, sig, NULL, k->secret);
    CHECK(failed == 0);
}

bool sign_verify(const uint8_t pk[SIGN_PUBLIC_BYTES], const char *domain, struct span msg,
                 const uint8_t sig[SIGN_BYTES])
{
    crypto_sign_state state;
    absorb(&state, domain, msg);
    return crypto_sign_final_verify(&state, sig, pk) == 0;
}

enum err sign_agree(const struct sign_key *k, const uint8_t pk[SIGN_PUBLIC_BYTES],
                    uint8_t shared[SIGN_SHARED_BYTES])
{
    CHECK_OBJ(k, SIGN_MAGIC);
    uint8_t mine[crypto_scalarmult_SCALARBYTES], theirs[crypto_scalarmult_BYTES];
    uint8_t result[SIGN_SHARED_BYTES];
    if (crypto_sign_ed25519_pk_to_curve25519(theirs, pk) != 0) return ERR_INVALID;
    int failed = crypto_sign_ed25519_sk_to_curve25519(mine, k->secret);
    CHECK(failed == 0);
    failed = crypto_scalarmult(result, mine, theirs);
    sodium_memzero(mine, sizeof(mine));
    if (failed != 0) return ERR_INVALID;
    memcpy(shared, result, sizeof(result));
    sodium_memzero(result, sizeof(result));
    return ERR_OK;
}

void sign_digest(struct span bytes, uint8_t out[SIGN_DIGEST_BYTES])
{
    static_assert(SIGN_DIGEST_BYTES == crypto_generichash_BYTES, "BLAKE2b-256");
    crypto_generichash(out, SIGN_DIGEST_BYTES, (const unsigned char *)bytes.p, bytes.len, NULL, 0);
}

struct node_id sign_node_id(const uint8_t pk[SIGN_PUBLIC_BYTES])
{
    uint8_t hash[32];
    struct node_id id;
    crypto_generichash(hash, sizeof(hash), pk, SIGN_PUBLIC_BYTES, NULL, 0);
    memcpy(id.byte, hash, sizeof(id.byte));
    return id;
}
