#include "gossip/pairing.h"

#include "gossip/state.h"

enum err pairing_init(struct gossip *g)
{
    bucket_init(&g->pairing.fresh, PAIRING_RATE, PAIRING_BURST, 0);
    return g->crypto->agree != NULL ? seal_pair_table_new(&g->pairing.table) : ERR_OK;
}

void pairing_fini(struct gossip *g)
{
    seal_pair_table_free(g->pairing.table);
    g->pairing.table = NULL;
}

static bool make(struct gossip *g, struct member *m)
{
    uint8_t shared[SEAL_SHARED_BYTES];
    if (!bucket_take(&g->pairing.fresh, g->now_ms, 1, 0)) {
        g->counters.dropped_quota++;
        return false;
    }
    g->counters.pairings++;
    if (g->crypto->agree(g->key, m->admission->public_key, shared) != ERR_OK) {
        m->pair = PAIRING_NEVER;
        return false;
    }
    enum err err = seal_pair_put(g->pairing.table, shared, &m->pair);
    seal_wipe(shared, sizeof(shared));
    return err == ERR_OK;
}

bool pairing_secret(struct gossip *g, struct member *m, const uint8_t **shared)
{
    *shared = NULL;
    if (g->pairing.table == NULL) return true;
    if (m->pair == SEAL_PAIR_NONE && !make(g, m)) return false;
    if (m->pair == PAIRING_NEVER) return false;
    *shared = seal_pair_get(g->pairing.table, m->pair);
    return true;
}

void pairing_forget(struct gossip *g, struct member *m)
{
    if (g->pairing.table != NULL && m->pair != PAIRING_NEVER)
        seal_pair_drop(g->pairing.table, m->pair);
    m->pair = SEAL_PAIR_NONE;
}
