/* A rotation of the group key among three machines with the real keys, streams and rings; one of
 * them may be out of sight (security.md N43). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/check.h"
#include "gossip/catalogue.h"
#include "gossip/gossip_keyring.h"
#include "gossip/state.h"
#include "tests/sim/persona.h"

#define NODES   3u
#define WALL_MS INT64_C(1795000000000)
#define HOLD_MS 20000u
#define LINKS   64u
#define STEP_MS 10u

struct link { /* one stream: its id at either end */
    bool used;
    uint32_t a, b, id_a, id_b;
};

struct node {
    struct persona who;
    struct seal_ring *ring;
    struct gossip *g;
    bool cut; /* neither datagrams nor streams */
    unsigned stored, used, dropped;
};

struct rig {
    struct persona_issuer issuer;
    struct node node[NODES];
    struct gossip_effects fx;
    struct link link[LINKS];
    uint32_t inbound_next;
    uint64_t now_ms;
    struct manifest root;
    struct manifest_ref ref;
};

static const uint8_t key_one[SEAL_KEY_BYTES] = {1}, key_two[SEAL_KEY_BYTES] = {2};

static uint32_t id_of(const uint8_t key[SEAL_KEY_BYTES])
{
    uint8_t hash[SEAL_KEY_HASH_BYTES];
    seal_key_hash(key, hash);
    return head_get_u32(hash);
}

static struct addr addr_of(uint32_t i)
{
    struct addr a = {.port = 7400, .family = ADDR_IP4, .ip = {10, 3, 0}};
    a.ip[3] = (uint8_t)(i + 1);
    return a;
}

static void step(struct rig *r, uint32_t i, struct gossip_event e);

static struct link *find_link(struct rig *r, uint32_t i, uint32_t id)
{
    for (size_t k = 0; k < LINKS; k++) {
        struct link *l = &r->link[k];
        if (l->used && ((l->a == i && l->id_a == id) || (l->b == i && l->id_b == id))) return l;
    }
    return NULL;
}

static void opened(struct rig *r, uint32_t at, uint32_t id, uint32_t peer, bool inbound)
{
    struct gossip_event e = {.kind = GOSSIP_STREAM_OPENED,
                             .stream = id,
                             .inbound = inbound,
                             .peer_name = r->node[peer].who.name};
    memcpy(e.peer_spki, r->node[peer].who.spki, sizeof(e.peer_spki));
    step(r, at, e);
}

static void dial(struct rig *r, uint32_t i, uint32_t id, const struct addr *to)
{
    uint32_t peer = (uint32_t)to->ip[3] - 1;
    struct link *l = NULL;
    for (size_t k = 0; k < LINKS && l == NULL; k++)
        if (!r->link[k].used) l = &r->link[k];
    assert_non_null(l);
    if (r->node[i].cut || r->node[peer].cut) {
        step(r, i,
             (struct gossip_event){
                 .kind = GOSSIP_STREAM_CLOSED, .stream = id, .err = ERR_UNREACHABLE});
        return;
    }
    *l = (struct link){true, i, peer, id, STREAM_INBOUND_BIT | ++r->inbound_next};
    uint32_t id_b = l->id_b;
    opened(r, peer, id_b, i, true);
    if (find_link(r, i, id) != NULL) opened(r, i, id, peer, false);
}

static void deliver(struct rig *r, uint32_t i, uint32_t id, struct span data)
{
    struct link *l = find_link(r, i, id);
    if (l == NULL) return;
    bool from_a = l->a == i && l->id_a == id;
    step(r, from_a ? l->b : l->a,
         (struct gossip_event){
             .kind = GOSSIP_STREAM_DATA, .stream = from_a ? l->id_b : l->id_a, .data = data});
}

static void hang_up(struct rig *r, uint32_t i, uint32_t id)
{
    struct link *l = find_link(r, i, id);
    if (l == NULL) return;
    struct link gone = *l;
    l->used = false;
    bool from_a = gone.a == i && gone.id_a == id;
    step(r, from_a ? gone.b : gone.a,
         (struct gossip_event){.kind = GOSSIP_STREAM_CLOSED,
                               .stream = from_a ? gone.id_b : gone.id_a});
}

static void change_ring(struct node *n, const struct gossip_effect *e)
{
    if (e->kind == GOSSIP_KEY_STORE) {
        n->stored++;
        assert_int_equal(e->data.len, SEAL_KEY_BYTES);
        assert_int_equal(seal_ring_add(n->ring, (const uint8_t *)e->data.p), ERR_OK);
    } else if (e->kind == GOSSIP_KEY_USE) {
        n->used++;
        assert_int_equal(seal_ring_use(n->ring, e->key_id), ERR_OK);
    } else if (e->kind == GOSSIP_KEY_DROP) {
        n->dropped++;
        assert_int_equal(seal_ring_remove(n->ring, e->key_id), ERR_OK);
    }
}

/* What one step asked for, copied: carrying it out makes further steps. */
struct kept {
    struct gossip_effect e;
    char *data;
};

static void carry_out(struct rig *r, uint32_t i, const struct kept *k)
{
    struct span data = span_of(k->data, k->e.data.len);
    uint32_t to = (uint32_t)k->e.to.ip[3] - 1;
    struct node *n = &r->node[i];
    if (k->e.kind == GOSSIP_STREAM_OPEN) dial(r, i, k->e.stream, &k->e.to);
    if (k->e.kind == GOSSIP_STREAM_SEND) deliver(r, i, k->e.stream, data);
    if (k->e.kind == GOSSIP_STREAM_CLOSE) hang_up(r, i, k->e.stream);
    if (k->e.kind != GOSSIP_SEND_DATAGRAM || to >= NODES) return;
    const struct node *peer = &r->node[to];
    if (n->cut || peer->cut) return;
    step(r, to, (struct gossip_event){.kind = GOSSIP_DATAGRAM, .from = addr_of(i), .data = data});
}

static void step(struct rig *r, uint32_t i, struct gossip_event e)
{
    struct node *n = &r->node[i];
    e.now_ms = r->now_ms;
    e.wall_ms = WALL_MS + (int64_t)r->now_ms;
    enum err err = gossip_step(n->g, &e, &r->fx);
    assert_true(err == ERR_OK || err == ERR_FULL);
    size_t count = r->fx.count;
    struct kept *kept = calloc(count + 1, sizeof(*kept));
    assert_non_null(kept);
    for (size_t k = 0; k < count; k++) {
        kept[k].e = r->fx.effect[k];
        change_ring(n, &kept[k].e);
        kept[k].data = malloc(kept[k].e.data.len + 1);
        assert_non_null(kept[k].data);
        if (kept[k].e.data.len > 0) memcpy(kept[k].data, kept[k].e.data.p, kept[k].e.data.len);
    }
    for (size_t k = 0; k < count; k++) {
        carry_out(r, i, &kept[k]);
        free(kept[k].data);
    }
    free(kept);
}

static void run(struct rig *r, uint64_t ms)
{
    uint64_t end = r->now_ms + ms;
    for (; r->now_ms < end; r->now_ms += STEP_MS)
        for (uint32_t i = 0; i < NODES; i++)
            if (r->node[i].g != NULL && gossip_next_deadline_ms(r->node[i].g) <= r->now_ms)
                step(r, i, (struct gossip_event){.kind = GOSSIP_TICK});
}

static void start(struct rig *r, uint32_t i)
{
    struct node *n = &r->node[i];
    struct gossip_options o = {.mesh = r->issuer.mesh,
                               .key = n->who.real,
                               .admission = span_of(n->who.admission, n->who.admission_len),
                               .ring = n->ring,
                               .addr = addr_of(i),
                               .epoch = (uint64_t)WALL_MS + r->now_ms,
                               .wall_ms = WALL_MS + (int64_t)r->now_ms,
                               .period_ms = 1000,
                               .datagram_bytes = DATAGRAM_BYTES_MAX,
                               .key_hold_ms = HOLD_MS,
                               .seed = i + 1};
    memcpy(o.issuer_pk, r->issuer.public_key, sizeof(o.issuer_pk));
    assert_int_equal(gossip_new(&o, &n->g), ERR_OK);
}

static int make(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    assert_int_equal(event_effects_init(&r->fx), ERR_OK);
    assert_int_equal(persona_issuer_init(&r->issuer, true, 12), ERR_OK);
    r->now_ms = 1000;
    for (uint32_t i = 0; i < NODES; i++) {
        struct node *n = &r->node[i];
        assert_int_equal(persona_init(&n->who, &r->issuer, i), ERR_OK);
        assert_int_equal(seal_ring_new(&n->ring), ERR_OK);
        assert_int_equal(seal_ring_add(n->ring, key_one), ERR_OK);
        start(r, i);
    }
    struct addr seed = addr_of(0);
    for (uint32_t i = 1; i < NODES; i++)
        step(r, i, (struct gossip_event){.kind = GOSSIP_JOIN, .addr = &seed, .addr_count = 1});
    run(r, 5000);
    *state = r;
    return 0;
}

static int drop(void **state)
{
    struct rig *r = *state;
    for (uint32_t i = 0; i < NODES; i++) {
        gossip_free(r->node[i].g);
        seal_ring_free(r->node[i].ring);
        persona_fini(&r->node[i].who);
    }
    persona_issuer_fini(&r->issuer);
    event_effects_fini(&r->fx);
    free(r);
    return 0;
}

static uint32_t sealing(const struct rig *r, uint32_t i)
{
    uint32_t id = 0;
    assert_non_null(seal_ring_key(r->node[i].ring, 0, &id));
    return id;
}

static uint32_t live_at(const struct rig *r, uint32_t i)
{
    return r->node[i].g->members.live;
}

/* As `keyring rotate` at node 0: the key is there, then the root that lists it, at all who are in
 * sight. */
static void rotate(struct rig *r)
{
    r->root = (struct manifest){
        .gen = 2, .hlc = (uint64_t)(WALL_MS + (int64_t)r->now_ms) << 16, .key_count = 2};
    seal_key_hash(key_one, r->root.key[0].hash.byte);
    seal_key_hash(key_two, r->root.key[1].hash.byte);
    for (size_t k = 0; k < 2; k++)
        memcpy(r->root.key[k].id, r->root.key[k].hash.byte, 4);
    r->root.key[0].stage = MANIFEST_KEY_USE;
    r->root.key[1].stage = MANIFEST_KEY_INSTALL;
    r->ref = (struct manifest_ref){.gen = 2, .hash = {{2}}};
    assert_int_equal(seal_ring_add(r->node[0].ring, key_two), ERR_OK);
    for (uint32_t i = 0; i < NODES; i++)
        if (!r->node[i].cut) keyring_root(r->node[i].g, &r->root, &r->ref);
}

static void test_a_new_key_reaches_all_seals_and_the_old_one_goes(void **state)
{
    struct rig *r = *state;
    assert_int_equal(live_at(r, 0), NODES);
    rotate(r);
    run(r, 4000);
    for (uint32_t i = 1; i < NODES; i++)
        assert_int_equal(r->node[i].stored, 1);
    run(r, 6000);
    for (uint32_t i = 0; i < NODES; i++) {
        assert_int_equal(sealing(r, i), id_of(key_two));
        assert_int_equal(r->node[i].dropped, 0);
    }
    run(r, HOLD_MS);
    for (uint32_t i = 0; i < NODES; i++) {
        assert_int_equal(seal_ring_count(r->node[i].ring), 1);
        assert_int_equal(sealing(r, i), id_of(key_two));
        assert_int_equal(r->node[i].used, 1);
        assert_int_equal(r->node[i].dropped, 1);
        /* Nobody was ever unheard: no packet came under a key that its receiver lacked. */
        assert_int_equal(r->node[i].g->counters.dropped_key, 0);
        assert_int_equal(r->node[i].g->counters.dropped_auth, 0);
        assert_int_equal(r->node[i].g->counters.suspicions, 0);
        assert_int_equal(live_at(r, i), NODES);
    }
}

static void test_nobody_seals_with_it_before_all_in_sight_have_it(void **state)
{
    struct rig *r = *state;
    rotate(r);
    r->node[2].g->keyring.count = 0; /* it does not hear of the root */
    run(r, 10000);
    assert_int_equal(r->node[1].stored, 1);
    assert_int_equal(r->node[2].stored, 0);
    for (uint32_t i = 0; i < NODES; i++)
        assert_int_equal(sealing(r, i), id_of(key_one));
    struct gossip_keyring_entry e;
    size_t pos = 0;
    assert_true(gossip_keyring_next(r->node[0].g, &pos, &e));
    assert_int_equal(e.id, id_of(key_two));
    assert_int_equal(e.phase, GOSSIP_KEYRING_SPREADS);
    assert_int_equal(e.holders, 2);
    assert_int_equal(e.alive, 3);
    assert_false(gossip_keyring_holds(r->node[0].g, &r->node[2].who.id, e.id));
    keyring_root(r->node[2].g, &r->root, &r->ref);
    run(r, 8000);
    for (uint32_t i = 0; i < NODES; i++)
        assert_int_equal(sealing(r, i), id_of(key_two));
    pos = 0;
    assert_true(gossip_keyring_next(r->node[0].g, &pos, &e));
    assert_int_equal(e.phase, GOSSIP_KEYRING_SEALS);
    assert_true(gossip_keyring_next(r->node[0].g, &pos, &e));
    assert_int_equal(e.phase, GOSSIP_KEYRING_RETIRES);
    assert_int_equal(e.until_s, ((int64_t)(r->root.hlc >> 16) + HOLD_MS) / 1000);
    assert_false(gossip_keyring_next(r->node[0].g, &pos, &e));
}

/* N43: cut off from before the rotation until after the old key is gone everywhere. */
static void test_who_was_cut_off_for_all_of_it_returns_by_streams(void **state)
{
    struct rig *r = *state;
    r->node[2].cut = true;
    run(r, 30000);
    rotate(r);
    run(r, HOLD_MS + 20000);
    assert_int_equal(seal_ring_count(r->node[0].ring), 1);
    assert_int_equal(sealing(r, 0), id_of(key_two));
    assert_int_equal(sealing(r, 2), id_of(key_one));
    r->node[2].cut = false;
    keyring_root(r->node[2].g, &r->root, &r->ref); /* the first sync brings it */
    run(r, 15000);
    assert_int_equal(r->node[2].stored, 1);
    assert_int_equal(sealing(r, 2), id_of(key_two));
    for (uint32_t i = 0; i < NODES; i++)
        assert_int_equal(live_at(r, i), NODES);
    r->node[2].g->counters.datagrams_received = 0;
    uint64_t refused = r->node[0].g->counters.dropped_key;
    run(r, 5000);
    assert_true(r->node[2].g->counters.datagrams_received > 0);
    assert_int_equal(r->node[0].g->counters.dropped_key, refused);
}

/* The smaller side of a cut must not go on alone: nobody there could hear it after. */
static void test_a_minority_does_not_rotate_by_itself(void **state)
{
    struct rig *r = *state;
    r->node[1].cut = r->node[2].cut = true;
    run(r, 30000);
    rotate(r);
    run(r, 20000);
    assert_int_equal(live_at(r, 0), 1);
    assert_int_equal(sealing(r, 0), id_of(key_one));
}

/* A key goes to who proved by TLS and admission to be a member, and only what was asked for is
 * taken. */
static void test_a_key_that_was_not_asked_for_is_refused(void **state)
{
    struct rig *r = *state;
    uint8_t message[64];
    struct pack_writer w;
    const uint8_t other[SEAL_KEY_BYTES] = {9};
    struct sync_message key = {.kind = SYNC_KEY, .bytes = span_of(other, sizeof(other))};
    struct sync_message want = {.kind = SYNC_KEY_WANT, .bytes = span_of(other, sizeof(other))};
    pack_writer_init(&w, message, sizeof(message));
    sync_message_write(&w, &key);
    opened(r, 0, STREAM_INBOUND_BIT | 7777, 1, true);
    step(r, 0,
         (struct gossip_event){.kind = GOSSIP_STREAM_DATA,
                               .stream = STREAM_INBOUND_BIT | 7777,
                               .data = pack_writer_view(&w)});
    assert_int_equal(r->node[0].stored, 0);
    assert_null(stream_find(&r->node[0].g->streams, STREAM_INBOUND_BIT | 7777));
    /* Without a HELLO that proves a member, nothing is answered. */
    pack_writer_init(&w, message, sizeof(message));
    sync_message_write(&w, &want);
    opened(r, 0, STREAM_INBOUND_BIT | 7778, 1, true);
    step(r, 0,
         (struct gossip_event){.kind = GOSSIP_STREAM_DATA,
                               .stream = STREAM_INBOUND_BIT | 7778,
                               .data = pack_writer_view(&w)});
    assert_null(stream_find(&r->node[0].g->streams, STREAM_INBOUND_BIT | 7778));
}

static void test_a_key_in_the_effects_is_wiped_by_the_next_step(void **state)
{
    struct rig *r = *state;
    static const uint8_t zeroes[SEAL_KEY_BYTES];
    event_effects_reset(&r->fx);
    struct span copy = event_secret(&r->fx, span_of(key_two, sizeof(key_two)));
    assert_memory_equal(copy.p, key_two, sizeof(key_two));
    event_effects_reset(&r->fx);
    assert_memory_equal(copy.p, zeroes, sizeof(zeroes)); /* the arena keeps its chunk */
    for (unsigned i = 0; i < GOSSIP_SECRETS_MAX; i++)
        assert_non_null(event_secret_alloc(&r->fx, 1));
    assert_null(event_secret_alloc(&r->fx, 1));
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        FACT(test_a_new_key_reaches_all_seals_and_the_old_one_goes),
        FACT(test_nobody_seals_with_it_before_all_in_sight_have_it),
        FACT(test_who_was_cut_off_for_all_of_it_returns_by_streams),
        FACT(test_a_minority_does_not_rotate_by_itself),
        FACT(test_a_key_that_was_not_asked_for_is_refused),
        FACT(test_a_key_in_the_effects_is_wiped_by_the_next_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
