#include "cmd/daemon/mesh_keys.h"

#include "cmd/daemon/store_state.h"
#include "core/crypto/secret.h"

#include <assert.h>
#include <sodium.h>

#define MESH_KEYS_MAGIC 0x6d6b7931u

static enum err save(struct daemon *d, const struct seal_ring *ring)
{
    struct diag diag;
    diag_init(&diag);
    enum err err = store_state_keyring_save(&d->store, ring, &diag);
    if (err != ERR_OK)
        log_limited(&d->log, LOG_LEVEL_WARN, MESH_KEYS_MAGIC, "keyring", "not stored: %s",
                    diag.count > 0 ? diag.entry[0].message : err_text(err));
    diag_fini(&diag);
    return err;
}

static uint32_t id_of(const uint8_t key[SEAL_KEY_BYTES], struct manifest_hash *hash)
{
    static_assert(SEAL_KEY_HASH_BYTES == MANIFEST_HASH_BYTES, "one hash");
    seal_key_hash(key, hash->byte);
    return (uint32_t)hash->byte[0] << 24 | (uint32_t)hash->byte[1] << 16 |
           (uint32_t)hash->byte[2] << 8 | hash->byte[3];
}

/* Added as the last and stored; not stored: not added. */
static enum err add(struct daemon *d, struct seal_ring *ring, const uint8_t key[SEAL_KEY_BYTES],
                    struct manifest_hash *hash)
{
    enum err err = seal_ring_add(ring, key);
    if (err != ERR_OK) return err;
    uint32_t id = id_of(key, hash);
    err = save(d, ring);
    if (err == ERR_OK) return err;
    enum err undone = seal_ring_remove(ring, id);
    CHECK(undone == ERR_OK);
    return err;
}

static void store_key(struct daemon *d, struct seal_ring *ring, struct span key)
{
    struct manifest_hash hash;
    char text[MANIFEST_HASH_SHORT_MAX];
    CHECK(key.len == SEAL_KEY_BYTES);
    enum err err = add(d, ring, (const uint8_t *)key.p, &hash);
    if (err == ERR_OK)
        log_info(&d->log, "keyring", "key=%s installed", manifest_hash_short(&hash, text));
    else if (err != ERR_EXISTS)
        log_limited(&d->log, LOG_LEVEL_WARN, MESH_KEYS_MAGIC + 1, "keyring",
                    "a new key is not installed: %s", err_text(err));
}

void mesh_keys_apply(struct daemon *d, struct seal_ring *ring, const struct gossip_effect *fx)
{
    enum err err;
    switch ((int)fx->kind) {
    case GOSSIP_KEY_STORE:
        store_key(d, ring, fx->data);
        return;
    case GOSSIP_KEY_USE:
        err = seal_ring_use(ring, fx->key_id);
        break;
    case GOSSIP_KEY_DROP:
        err = seal_ring_remove(ring, fx->key_id);
        break;
    default:
        return;
    }
    if (err != ERR_OK) return;
    /* With the file as it was, the next start seals with the older key, or has one too many; both
     * are put right by the same steps. */
    (void)save(d, ring);
    log_info(&d->log, "keyring", "key=%08x %s", fx->key_id,
             fx->kind == GOSSIP_KEY_USE ? "seals from now on" : "dropped");
}

enum err mesh_keys_make(struct daemon *d, struct seal_ring *ring, struct diag *diag,
                        struct manifest_hash *hash)
{
    struct manifest_hash made;
    if (seal_ring_count(ring) == SEAL_KEYS_MAX) return ERR_FULL;
    uint8_t *key = secret_new(SEAL_KEY_BYTES);
    if (key == NULL) return ERR_NOMEM;
    randombytes_buf(key, SEAL_KEY_BYTES);
    enum err err = add(d, ring, key, &made);
    secret_free(key);
    if (err == ERR_OK)
        *hash = made;
    else
        diag_error(diag, NULL, "the new key cannot be stored: %s", err_text(err));
    return err;
}
