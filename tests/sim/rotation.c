#include "tests/sim/rotation.h"

#include "core/base/check.h"
#include "gossip/gossip_keyring.h"
#include "gossip/gossip_policy.h"
#include "gossip/head.h"

static void key_of(uint64_t seed, uint32_t number, uint8_t out[SEAL_KEY_BYTES])
{
    memset(out, 0, SEAL_KEY_BYTES);
    head_put_u64(out, seed);
    head_put_u32(out + 8, number + 1);
}

void rotation_first(uint64_t seed, struct fake_ring *ring)
{
    key_of(seed, 0, ring->key[0]);
    ring->count = 1;
}

enum err rotation_init(struct rotation *r, struct world *w)
{
    *r = (struct rotation){.world = w};
    enum err err = operators_init(&r->operators, &w->issuer);
    if (err == ERR_OK) err = drivers_init(&r->drivers, w);
    if (err != ERR_OK) {
        operators_fini(&r->operators);
        return err;
    }
    w->drivers = &r->drivers;
    w->rotation = r;
    return ERR_OK;
}

void rotation_fini(struct rotation *r)
{
    if (r->world == NULL) return;
    drivers_fini(&r->drivers);
    operators_fini(&r->operators);
    *r = (struct rotation){0};
}

static void list(struct manifest *m, const struct manifest_hash *hash,
                 enum manifest_key_stage stage)
{
    struct manifest_key *k = &m->key[m->key_count++];
    k->hash = *hash;
    memcpy(k->id, hash->byte, sizeof(k->id));
    k->stage = stage;
}

/* What is held, oldest first; false: a rotation is under way, or the ring is full. */
static bool draft(const struct gossip *g, struct manifest *m)
{
    struct gossip_keyring_entry e[MANIFEST_KEYS_MAX + SEAL_KEYS_MAX];
    size_t pos = 0, n = 0, held = 0;
    while (n < sizeof(e) / sizeof(e[0]) && gossip_keyring_next(g, &pos, &e[n]))
        n++;
    for (size_t i = 0; i < n; i++) {
        if (e[i].phase == GOSSIP_KEYRING_SPREADS || e[i].phase == GOSSIP_KEYRING_UNLISTED)
            return false;
        if (e[i].phase == GOSSIP_KEYRING_LACKING && e[i].holders > 0) return false;
        held += e[i].phase == GOSSIP_KEYRING_SEALS || e[i].phase == GOSSIP_KEYRING_RETIRES;
    }
    for (size_t i = n; i-- > 0;)
        if (e[i].phase == GOSSIP_KEYRING_RETIRES) list(m, &e[i].hash, MANIFEST_KEY_USE);
    for (size_t i = 0; i < n; i++)
        if (e[i].phase == GOSSIP_KEYRING_SEALS) list(m, &e[i].hash, MANIFEST_KEY_USE);
    return held < SEAL_KEYS_MAX;
}

void rotation_make(struct rotation *r, uint32_t i)
{
    struct world *w = r->world;
    uint8_t key[SEAL_KEY_BYTES];
    struct manifest_hash hash;
    struct operators_signed s;
    if (!world_is_up(w, i) || w->node[i].paused_us > w->now_us) return;
    struct manifest_ref head = gossip_policy_head(w->node[i].gossip, MANIFEST_ROOT);
    uint32_t by = head.gen == 0 ? OPERATORS_ISSUER : 0;
    struct manifest m = {.scope = MANIFEST_ROOT,
                         .gen = head.gen + 1,
                         .parent = head.hash,
                         .hlc = ((uint64_t)HOSTCLOCK_WALL_START_MS + w->now_us / 1000) << 16,
                         .root_gen = head.gen,
                         .author = {"op0"},
                         .signer_count = 1,
                         .signer = {operators_id(&r->operators, by)},
                         .operator_count = 1};
    m.op[0] = (struct manifest_operator){.name = {"op0"}, .role = MANIFEST_ROLE_ADMIN};
    operators_public(&r->operators, 0, m.op[0].public_key);
    if (!draft(w->node[i].gossip, &m)) return;
    key_of(w->options.seed, ++r->made, key);
    CHECK(fake_crypto_ring_add(&w->node[i].ring, key));
    seal_key_hash(key, hash.byte);
    list(&m, &hash, MANIFEST_KEY_INSTALL);
    operators_sign(&r->operators, &m, &by, &s);
    CHECK(drivers_intent(&r->drivers, i, &s, span_of(NULL, 0)) == ERR_OK);
}

void rotation_effect(struct rotation *r, uint32_t i, const struct gossip_effect *e)
{
    struct fake_ring *ring = &r->world->node[i].ring;
    /* One that was made there since it was asked for may have taken the room. */
    if (e->kind == GOSSIP_KEY_STORE)
        (void)fake_crypto_ring_add(ring, (const uint8_t *)e->data.p);
    else if (e->kind == GOSSIP_KEY_USE)
        CHECK(fake_crypto_ring_use(ring, e->key_id));
    else
        CHECK(fake_crypto_ring_remove(ring, e->key_id));
}

uint32_t rotation_late(const struct rotation *r)
{
    const struct world *w = r->world;
    uint8_t newest[SEAL_KEY_BYTES];
    key_of(w->options.seed, r->made, newest);
    for (uint32_t i = 0; i < w->options.nodes; i++) {
        const struct fake_ring *ring = &w->node[i].ring;
        if (!world_is_up(w, i)) continue;
        if (ring->count != 1 || memcmp(ring->key[0], newest, sizeof(newest)) != 0) return i;
    }
    return w->options.nodes;
}
