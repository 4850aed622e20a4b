/* The machine under members that mean it harm, and at its own limits: one machine, with peers that
 * are only keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/check.h"
#include "gossip/gossip.h"
#include "gossip/message.h"
#include "gossip/packet.h"
#include "gossip/persist.h"
#include "tests/sim/fake_crypto.h"

#define WALL_MS   INT64_C(1795000000000)
#define EPOCH     ((uint64_t)WALL_MS)
#define SEED      7u
#define BLOB_ROOM PERSIST_BYTES_MAX

struct fixture {
    struct gossip *gossip;
    struct gossip_effects fx;
    struct fake_key key;
    struct mesh_id mesh;
    uint8_t issuer[SIGN_PUBLIC_BYTES];
    uint64_t now_ms, counter;
    uint8_t *blob; /* PERSIST_BYTES_MAX */
    size_t blob_len;
};

static struct addr addr_of(uint32_t i)
{
    struct addr a = {.family = ADDR_IP4, .port = 7400};
    a.ip[0] = 10;
    a.ip[1] = (uint8_t)(i >> 16);
    a.ip[2] = (uint8_t)(i >> 8);
    a.ip[3] = (uint8_t)i;
    return a;
}

static size_t admission_of(const struct fixture *f, uint32_t i, struct fake_key *key, uint8_t *out)
{
    struct name name;
    char text[16];
    (void)snprintf(text, sizeof text, "n%u", i);
    assert_int_equal(name_set(&name, span_str(text)), ERR_OK);
    fake_crypto_key(SEED, i, key);
    return fake_crypto_admission(key, &name, f->issuer, out);
}

/* What node `i` says of itself, with a body of that many bytes. */
static void write_peer(const struct fixture *f, struct pack_writer *w, uint32_t i, size_t body)
{
    static const char zeroes[PERSIST_BODY_MAX];
    const struct gossip_crypto *crypto = fake_crypto_ops();
    uint8_t admission[FAKE_ADMISSION_BYTES_MAX];
    struct fake_key key;
    struct offer o = {.body = span_of(zeroes, body)};
    o.admission = span_of(admission, admission_of(f, i, &key, admission));
    o.head = (struct head){
        .owner = fake_crypto_node_id(&key), .epoch = EPOCH, .version = 1, .addr = addr_of(i)};
    crypto->hash(o.admission, o.head.admission_hash);
    crypto->hash(o.body, o.head.body_hash);
    head_sign(crypto, fake_crypto_sign_key(&key), &o.head);
    offer_write(w, &o);
}

/* A store of `count` peers, every other one with a large body; how many of them fit. */
static uint32_t store_of(struct fixture *f, uint32_t count)
{
    struct pack_writer w;
    uint32_t fit = 0;
    size_t end = 0;
    pack_writer_init(&w, f->blob + CRYPTO_OPS_HASH_BYTES, BLOB_ROOM - CRYPTO_OPS_HASH_BYTES);
    pack_write_array(&w, 2);
    pack_write_u64(&w, 1);
    size_t at = w.len;
    pack_write_array(&w, UINT32_MAX); /* five bytes, overwritten below */
    for (; fit < count; fit++) {
        end = w.len;
        write_peer(f, &w, 1 + fit, fit % 2 == 0 ? PERSIST_BODY_MAX - 96 : 0);
        if (!pack_writer_ok(&w)) break;
        end = w.len;
    }
    for (int i = 0; i < 4; i++)
        f->blob[CRYPTO_OPS_HASH_BYTES + at + 1 + (size_t)i] = (uint8_t)(fit >> (24 - 8 * i));
    fake_crypto_ops()->hash(span_of(f->blob + CRYPTO_OPS_HASH_BYTES, end), f->blob);
    f->blob_len = CRYPTO_OPS_HASH_BYTES + end;
    return fit;
}

static void start(struct fixture *f)
{
    uint8_t admission[FAKE_ADMISSION_BYTES_MAX];
    struct gossip_options o = {.mesh = f->mesh,
                               .addr = addr_of(0),
                               .epoch = EPOCH,
                               .period_ms = 1000,
                               .datagram_bytes = 1200,
                               .seed = SEED,
                               .crypto = fake_crypto_ops(),
                               .persisted = span_of(f->blob, f->blob_len)};
    o.admission = span_of(admission, admission_of(f, 0, &f->key, admission));
    o.key = fake_crypto_sign_key(&f->key);
    memcpy(o.issuer_pk, f->issuer, sizeof o.issuer_pk);
    assert_int_equal(gossip_new(&o, &f->gossip), ERR_OK);
}

static int make(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->blob = malloc(PERSIST_BYTES_MAX);
    assert_non_null(f->blob);
    f->now_ms = 1000;
    memset(f->mesh.byte, 3, sizeof f->mesh.byte);
    memset(f->issuer, 4, sizeof f->issuer);
    assert_int_equal(event_effects_init(&f->fx), ERR_OK);
    *state = f;
    return 0;
}

static int drop(void **state)
{
    struct fixture *f = *state;
    gossip_free(f->gossip);
    event_effects_fini(&f->fx);
    free(f->blob);
    free(f);
    return 0;
}

static void step(struct fixture *f, struct gossip_event e)
{
    e.now_ms = f->now_ms;
    e.wall_ms = WALL_MS;
    enum err err = gossip_step(f->gossip, &e, &f->fx);
    assert_true(err == ERR_OK || err == ERR_FULL);
}

static unsigned count_of(const struct fixture *f, enum gossip_effect_kind kind)
{
    unsigned n = 0;
    for (size_t i = 0; i < f->fx.count; i++)
        n += f->fx.effect[i].kind == kind;
    return n;
}

/* M16: a datagram of a member is worth one answer, however often it asks. */
static void test_many_pings_in_a_datagram_get_one_answer(void **state)
{
    struct fixture *f = *state;
    struct message ping = {.kind = MESSAGE_PING};
    struct fake_key peer;
    struct pack_writer w;
    uint8_t plain[PACKET_BYTES_MAX], sealed[PACKET_BYTES_MAX];
    size_t len;
    uint32_t pings = 100;
    assert_int_equal(store_of(f, 2), 2);
    start(f);
    step(f, (struct gossip_event){.kind = GOSSIP_TICK});
    pack_writer_init(&w, plain, sizeof plain);
    pack_write_array(&w, 1 + pings);
    pack_write_u64(&w, 0);
    for (uint32_t i = 0; i < pings; i++) {
        ping.seq = i;
        message_write(&w, &ping);
    }
    assert_true(pack_writer_ok(&w));
    fake_crypto_key(SEED, 1, &peer);
    struct node_id self = fake_crypto_node_id(&f->key), from = fake_crypto_node_id(&peer);
    struct seal_scope scope = {
        .mesh = &f->mesh, .sender = &from, .receiver = &self, .receiver_epoch = EPOCH};
    struct seal_header h = {.epoch = EPOCH & UINT64_C(0xffffffffffff), .counter = 1};
    assert_int_equal(
        fake_crypto_ops()->seal(&scope, &h, pack_writer_view(&w), sealed, sizeof sealed, &len),
        ERR_OK);
    step(f, (struct gossip_event){
                .kind = GOSSIP_DATAGRAM, .from = addr_of(1), .data = span_of(sealed, len)});
    assert_int_equal(gossip_counters(f->gossip)->dropped_malformed, 0);
    assert_int_equal(gossip_counters(f->gossip)->dropped_auth, 0);
    assert_int_equal(gossip_counters(f->gossip)->dropped_quota, pings - 1);
    assert_in_range(count_of(f, GOSSIP_SEND_DATAGRAM), 1, 4); /* rumours of the start beside it */
}

/* More than the store holds: large and small records by turns, so that a small one still fits where
 * a large one does not. */
static void test_peers_over_the_store_limit_are_left_out(void **state)
{
    struct fixture *f = *state;
    uint32_t known = store_of(f, 20000);
    assert_true(known > 1000);
    start(f);
    step(f, (struct gossip_event){.kind = GOSSIP_TICK});
    unsigned persisted = 0;
    for (unsigned i = 0; i < 200 && persisted == 0; i++) {
        f->now_ms += 100;
        step(f, (struct gossip_event){.kind = GOSSIP_TICK});
        persisted = count_of(f, GOSSIP_PERSIST);
    }
    assert_int_equal(persisted, 1);
    for (size_t i = 0; i < f->fx.count; i++)
        if (f->fx.effect[i].kind == GOSSIP_PERSIST)
            assert_in_range(f->fx.effect[i].data.len, BLOB_ROOM / 2, PERSIST_BYTES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_many_pings_in_a_datagram_get_one_answer, make, drop),
        cmocka_unit_test_setup_teardown(test_peers_over_the_store_limit_are_left_out, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
