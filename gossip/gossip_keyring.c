#include "gossip/gossip_keyring.h"

#include "gossip/state.h"

static uint32_t listed_id(const struct keyring *k, uint32_t i)
{
    return head_get_u32(k->key[i].id);
}

/* The list's length: on no list. */
static uint32_t place_of(const struct keyring *k, uint32_t id)
{
    uint32_t i = 0;
    while (i < k->count && listed_id(k, i) != id)
        i++;
    return i;
}

static void count_holders(const struct gossip *g, struct gossip_keyring_entry *e)
{
    for (size_t i = 0; i < g->members.count; i++) {
        const struct member *m = member_peek(&g->members, i);
        if (m->state == MEMBER_LEFT || m->state == MEMBER_BANNED) continue;
        e->known++;
        if (m->state > MEMBER_SUSPECT) continue;
        e->alive++;
        e->holders += keyring_announced(g, m, e->id);
    }
}

static enum gossip_keyring_phase phase_of(const struct gossip *g, uint32_t id)
{
    const struct keyring *k = &g->keyring;
    uint32_t ring[SEAL_KEYS_MAX], count = keyring_ids(g, ring), at = 0;
    while (at < count && ring[at] != id)
        at++;
    if (at == 0 && count > 0) return GOSSIP_KEYRING_SEALS;
    uint32_t place = place_of(k, id);
    if (place == k->count) return GOSSIP_KEYRING_UNLISTED;
    uint32_t sealing = count > 0 ? place_of(k, ring[0]) : k->count;
    bool older = sealing < k->count && place < sealing;
    if (at == count) return older ? GOSSIP_KEYRING_RETIRED : GOSSIP_KEYRING_LACKING;
    return older ? GOSSIP_KEYRING_RETIRES : GOSSIP_KEYRING_SPREADS;
}

bool gossip_keyring_next(const struct gossip *g, size_t *pos, struct gossip_keyring_entry *out)
{
    const struct keyring *k = &g->keyring;
    uint32_t ring[SEAL_KEYS_MAX], count = keyring_ids(g, ring);
    size_t at = *pos;
    struct gossip_keyring_entry e = {0};
    if (at < k->count) {
        uint32_t i = k->count - 1 - (uint32_t)at;
        e.id = listed_id(k, i);
        e.hash = k->key[i].hash;
        e.in_use = k->key[i].stage == MANIFEST_KEY_USE;
    } else {
        uint32_t skip = (uint32_t)at - k->count, i = 0;
        for (; i < count; i++)
            if (place_of(k, ring[i]) == k->count && skip-- == 0) break;
        if (i == count) return false;
        seal_key_hash(g->crypto->ring_key(g->ring, i, &e.id), e.hash.byte);
    }
    *pos = at + 1;
    e.phase = phase_of(g, e.id);
    if (e.phase == GOSSIP_KEYRING_RETIRES) e.until_s = (int64_t)((k->root_ms + k->hold_ms) / 1000);
    count_holders(g, &e);
    *out = e;
    return true;
}

bool gossip_keyring_holds(const struct gossip *g, const struct node_id *node, uint32_t key_id)
{
    const struct member *m = member_find(&g->members, node);
    return m != NULL && keyring_announced(g, m, key_id);
}

uint64_t gossip_keyring_root(const struct gossip *g)
{
    return g->keyring.root.gen;
}

const char *gossip_keyring_word(enum gossip_keyring_phase p)
{
    static const char *const word[GOSSIP_KEYRING_PHASES] = {
#define GOSSIP_KEYRING_PHASE_WORD(code, text) [code] = text,
        GOSSIP_KEYRING_PHASE_LIST(GOSSIP_KEYRING_PHASE_WORD)
#undef GOSSIP_KEYRING_PHASE_WORD
    };
    return (unsigned)p < GOSSIP_KEYRING_PHASES ? word[p] : "unknown";
}
