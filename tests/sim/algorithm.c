#include "tests/sim/algorithm.h"

#include "gossip/catalogue.h"
#include "gossip/packet.h"
#include "gossip/state.h"
#include "tests/sim/drivers.h"
#include "tests/sim/memberlist/memberlist.h"
#include "tests/sim/oracle.h"
#include "tests/sim/prefill.h"
#include "tests/sim/rotation.h"
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

#define STORE_HEAD_ROOM  64u
#define OFFER_ROOM       512u
#define CACHE_LINE_BYTES 64u
#define HOT_BYTES        64u /* the front of a part is used, the rest seldom */

static enum err parley_make(struct world *w, uint32_t i, struct span store, void **out)
{
    const struct world_node *n = &w->node[i];
    const struct persona *p = world_persona(w, i);
    struct gossip_options o = {
        .mesh = w->issuer.mesh,
        .key = persona_key(p),
        .admission = span_of(p->admission, p->admission_len),
        .addr = n->addr,
        .epoch = n->epoch,
        .period_ms = w->options.period_ms,
        .datagram_bytes = DATAGRAM_BYTES_MAX,
        .seed = hash_mix(w->options.seed ^ hash_mix(n->epoch) ^ ((uint64_t)i << 40)),
        .persisted = store,
        .ring = w->issuer.real ? w->issuer.ring : fake_crypto_ring(&n->ring),
        .key_hold_ms = ROTATION_HOLD_MS,
        .crypto = persona_crypto(&w->issuer),
        .archive = w->archive,
        .storeless = !w->options.keep_stores,
    };
    if (w->drivers != NULL) o.policy = drivers_store(w->drivers, i);
    memcpy(o.issuer_pk, w->issuer.public_key, sizeof(o.issuer_pk));
    struct gossip *g;
    enum err err = gossip_new(&o, &g);
    if (err != ERR_OK) return err;
    if (w->prefilling) err = prefill_take(g, w->prefill);
    if (err == ERR_OK)
        *out = g;
    else
        gossip_free(g);
    return err;
}

static void parley_free(void *machine)
{
    gossip_free(machine);
}

static enum err parley_step(void *machine, const struct gossip_event *e, struct gossip_effects *fx)
{
    return gossip_step(machine, e, fx);
}

static void fetch(const void *p, size_t len)
{
    for (size_t at = 0; at < len; at += CACHE_LINE_BYTES)
        __builtin_prefetch((const char *)p + at);
}

/* What an idle machine touches, whatever the event; the tables behind it stay where they are. */
static void parley_prefetch(const void *machine)
{
    const struct gossip *g = machine;
    fetch(g, offsetof(struct gossip, self) + HOT_BYTES);
    fetch(&g->pairing, HOT_BYTES);
    fetch(&g->members, offsetof(struct gossip, digest) - offsetof(struct gossip, members));
    fetch(&g->digest, offsetof(struct digest, bucket));
    fetch(&g->alive, HOT_BYTES);
    fetch(&g->probes, offsetof(struct probe_table, slot) + sizeof(struct probe *));
    fetch(&g->streams, HOT_BYTES);
    fetch(&g->sync, offsetof(struct sync, seed));
    fetch(&g->pulls, HOT_BYTES);
    fetch(&g->asks, HOT_BYTES);
    fetch(&g->policy, HOT_BYTES);
    fetch(&g->policy.news, HOT_BYTES);
    fetch(&g->policy.rollout.voter, HOT_BYTES);
}

static uint64_t parley_next_deadline_ms(const void *machine)
{
    return gossip_next_deadline_ms(machine);
}

static const struct gossip_counters *parley_counters(const void *machine)
{
    return gossip_counters(machine);
}

/* A store with everyone's record in it, as if the mesh had been there before. */
static enum err write_store(struct world *w, uint8_t *blob, size_t room, size_t *len)
{
    uint32_t n = w->options.nodes;
    struct pack_writer pack;
    pack_writer_init(&pack, blob + CRYPTO_OPS_HASH_BYTES, room - CRYPTO_OPS_HASH_BYTES);
    pack_write_array(&pack, 2);
    pack_write_u64(&pack, 1);
    pack_write_array(&pack, n);
    for (uint32_t i = 0; i < n; i++) {
        struct offer o;
        enum err err = world_start_with(w, i, span_of(NULL, 0));
        if (err != ERR_OK) return err;
        catalogue_offer(w->node[i].gossip->self.member, true, true, &o);
        offer_write(&pack, &o);
        world_stop(w, i);
    }
    struct span doc = pack_writer_view(&pack);
    persona_crypto(&w->issuer)->hash(doc, blob);
    *len = CRYPTO_OPS_HASH_BYTES + doc.len;
    return ERR_OK;
}

/* The first restores that store, with all checks; the others take over what it knows. */
static enum err parley_preload(struct world *w)
{
    uint32_t n = w->options.nodes;
    size_t room = STORE_HEAD_ROOM + (size_t)n * OFFER_ROOM, len = 0;
    uint8_t *blob = malloc(room);
    enum err err = blob != NULL ? ERR_OK : ERR_NOMEM;
    if (err == ERR_OK) err = write_store(w, blob, room, &len);
    if (err == ERR_OK) err = world_start_with(w, 0, span_of(blob, len));
    free(blob);
    if (err == ERR_OK) err = prefill_new(w->node[0].gossip, &w->prefill);
    w->prefilling = err == ERR_OK;
    for (uint32_t i = 1; i < n && err == ERR_OK; i++)
        err = world_start_with(w, i, span_of(NULL, 0));
    w->prefilling = false;
    return err;
}

const struct algorithm *algorithm_parley(void)
{
    static const struct algorithm parley = {.word = "parley",
                                            .tls = true,
                                            .strict = true,
                                            .notice_ms = 15000,
                                            .make = parley_make,
                                            .free = parley_free,
                                            .step = parley_step,
                                            .next_deadline_ms = parley_next_deadline_ms,
                                            .prefetch = parley_prefetch,
                                            .counters = parley_counters,
                                            .preload = parley_preload,
                                            .is_converged = oracle_is_converged};
    return &parley;
}

const struct algorithm *algorithm_parse(const char *word)
{
    if (strcmp(word, algorithm_parley()->word) == 0) return algorithm_parley();
    return strcmp(word, memberlist_algorithm()->word) == 0 ? memberlist_algorithm() : NULL;
}
