#include "core/crypto/seal_pair.h"

#include "core/base/check.h"
#include "core/crypto/secret.h"

#include <sodium.h>
#include <stdlib.h>

#define PAIR_MAGIC 0x5ea1aa17u
#define CHUNKS_MAX ((MEMBERS_MAX + SEAL_PAIR_CHUNK - 1) / SEAL_PAIR_CHUNK)

struct seal_pair_table {
    unsigned magic;
    uint32_t made;              /* slots ever handed out: 1 to made */
    uint32_t free_slot;         /* the last one given back; SEAL_PAIR_NONE: none */
    uint8_t *chunk[CHUNKS_MAX]; /* owned, locked memory */
};

enum err seal_pair_table_new(struct seal_pair_table **out)
{
    struct seal_pair_table *t = calloc(1, sizeof(*t));
    if (t == NULL) return ERR_NOMEM;
    t->magic = PAIR_MAGIC;
    *out = t;
    return ERR_OK;
}

void seal_pair_table_free(struct seal_pair_table *t)
{
    if (t == NULL) return;
    CHECK_OBJ(t, PAIR_MAGIC);
    for (size_t i = 0; i < CHUNKS_MAX; i++)
        secret_free(t->chunk[i]);
    t->magic = MAGIC_POISON;
    free(t);
}

static uint8_t *secret_at(const struct seal_pair_table *t, uint32_t slot)
{
    CHECK(slot != SEAL_PAIR_NONE && slot <= t->made);
    uint32_t i = slot - 1;
    return t->chunk[i / SEAL_PAIR_CHUNK] + (size_t)(i % SEAL_PAIR_CHUNK) * SEAL_SHARED_BYTES;
}

static enum err fresh(struct seal_pair_table *t)
{
    if (t->made == CHUNKS_MAX * SEAL_PAIR_CHUNK) return ERR_FULL;
    uint8_t **chunk = &t->chunk[t->made / SEAL_PAIR_CHUNK];
    if (*chunk == NULL) *chunk = secret_new((size_t)SEAL_PAIR_CHUNK * SEAL_SHARED_BYTES);
    if (*chunk == NULL) return ERR_NOMEM;
    t->made++;
    return ERR_OK;
}

enum err seal_pair_put(struct seal_pair_table *t, const uint8_t shared[SEAL_SHARED_BYTES],
                       uint32_t *slot)
{
    CHECK_OBJ(t, PAIR_MAGIC);
    uint32_t s = t->free_slot;
    if (s != SEAL_PAIR_NONE) {
        memcpy(&t->free_slot, secret_at(t, s), sizeof(t->free_slot));
    } else {
        enum err err = fresh(t);
        if (err != ERR_OK) return err;
        s = t->made;
    }
    memcpy(secret_at(t, s), shared, SEAL_SHARED_BYTES);
    *slot = s;
    return ERR_OK;
}

const uint8_t *seal_pair_get(const struct seal_pair_table *t, uint32_t slot)
{
    CHECK_OBJ(t, PAIR_MAGIC);
    return secret_at(t, slot);
}

void seal_pair_drop(struct seal_pair_table *t, uint32_t slot)
{
    CHECK_OBJ(t, PAIR_MAGIC);
    if (slot == SEAL_PAIR_NONE) return;
    uint8_t *secret = secret_at(t, slot);
    sodium_memzero(secret, SEAL_SHARED_BYTES);
    memcpy(secret, &t->free_slot, sizeof(t->free_slot));
    t->free_slot = slot;
}
