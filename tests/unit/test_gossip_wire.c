/* Who can be heard on the wire, with the real keys (security.md M03, M04, M10, threat model): one
 * machine, members that are keys, and attackers that have some of what a member has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/check.h"
#include "gossip/catalogue.h"
#include "gossip/packet.h"
#include "gossip/state.h"
#include "tests/sim/persona.h"

#define PEOPLE  (PAIRING_BURST + 8u)
#define WALL_MS INT64_C(1795000000000)
#define LIFE    ((uint64_t)WALL_MS)

struct rig {
    struct persona_issuer issuer;
    struct persona who[PEOPLE]; /* 0: the machine's */
    uint64_t life[PEOPLE];
    struct gossip *g;
    struct gossip_effects fx;
    uint64_t now_ms, counter;
};

static struct addr addr_of(uint32_t i)
{
    struct addr a = {.port = 7400, .family = ADDR_IP4, .ip = {10, 1}};
    a.ip[2] = (uint8_t)((i + 1) >> 8);
    a.ip[3] = (uint8_t)(i + 1);
    return a;
}

static void step(struct rig *r, struct gossip_event e)
{
    e.now_ms = r->now_ms;
    e.wall_ms = WALL_MS + (int64_t)r->now_ms;
    enum err err = gossip_step(r->g, &e, &r->fx);
    assert_true(err == ERR_OK || err == ERR_FULL);
}

/* What member `i` announces of itself is known to the machine. */
static void introduce(struct rig *r, uint32_t i)
{
    struct persona *p = &r->who[i];
    const struct gossip_crypto *crypto = crypto_ops_real();
    struct offer o = {.admission = span_of(p->admission, p->admission_len), .body = span_str("")};
    o.head = (struct head){.owner = p->id, .epoch = r->life[i], .version = 1, .addr = addr_of(i)};
    crypto->hash(o.admission, o.head.admission_hash);
    crypto->hash(o.body, o.head.body_hash);
    head_sign(crypto, p->real, &o.head);
    assert_int_equal(catalogue_take(r->g, &o, NULL, CATALOGUE_RESTORED), CATALOGUE_NEW);
}

/* A life of the machine, in which it knows the first `known` others. */
static void start(struct rig *r, uint64_t life, uint32_t known)
{
    const struct persona *me = &r->who[0];
    struct gossip_options o = {.mesh = r->issuer.mesh,
                               .key = me->real,
                               .admission = span_of(me->admission, me->admission_len),
                               .ring = r->issuer.ring,
                               .addr = addr_of(0),
                               .epoch = life,
                               .period_ms = 1000,
                               .datagram_bytes = DATAGRAM_BYTES_MAX,
                               .seed = life};
    memcpy(o.issuer_pk, r->issuer.public_key, sizeof(o.issuer_pk));
    gossip_free(r->g);
    r->g = NULL;
    r->life[0] = life;
    assert_int_equal(gossip_new(&o, &r->g), ERR_OK);
    for (uint32_t i = 1; i <= known; i++)
        introduce(r, i);
    step(r, (struct gossip_event){.kind = GOSSIP_TICK});
}

static int make(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    assert_int_equal(event_effects_init(&r->fx), ERR_OK);
    assert_int_equal(persona_issuer_init(&r->issuer, true, 11), ERR_OK);
    r->now_ms = 1000;
    for (uint32_t i = 0; i < PEOPLE; i++) {
        assert_int_equal(persona_init(&r->who[i], &r->issuer, i), ERR_OK);
        r->life[i] = LIFE - 1000;
    }
    *state = r;
    return 0;
}

static int drop(void **state)
{
    struct rig *r = *state;
    gossip_free(r->g);
    for (uint32_t i = 0; i < PEOPLE; i++)
        persona_fini(&r->who[i]);
    persona_issuer_fini(&r->issuer);
    event_effects_fini(&r->fx);
    free(r);
    return 0;
}

/* What an attacker puts together: who it says it is, and what it has. */
struct forgery {
    uint32_t as;                  /* the member in whose name */
    const struct sign_key *key;   /* the node key it computes with */
    const struct seal_ring *ring; /* the group key it seals with */
};

static size_t forge(struct rig *r, const struct forgery *f, uint8_t out[PACKET_BYTES_MAX])
{
    uint8_t plain[64], shared[SIGN_SHARED_BYTES];
    struct pack_writer w;
    struct message ping = {.kind = MESSAGE_PING, .seq = 1};
    size_t len;
    pack_writer_init(&w, plain, sizeof(plain));
    pack_write_array(&w, 2);
    pack_write_u64(&w, 0);
    message_write(&w, &ping);
    assert_int_equal(sign_agree(f->key, sign_key_public(r->who[0].real), shared), ERR_OK);
    struct seal_scope scope = {.ring = f->ring,
                               .mesh = &r->issuer.mesh,
                               .sender = &r->who[f->as].id,
                               .receiver = &r->who[0].id,
                               .shared = shared,
                               .receiver_epoch = r->life[0]};
    struct seal_header h = {.epoch = r->life[f->as], .counter = ++r->counter};
    assert_int_equal(seal_packet(&scope, &h, pack_writer_view(&w), out, PACKET_BYTES_MAX, &len),
                     ERR_OK);
    return len;
}

static void give(struct rig *r, uint32_t from, const uint8_t *packet, size_t len)
{
    step(r, (struct gossip_event){
                .kind = GOSSIP_DATAGRAM, .from = addr_of(from), .data = span_of(packet, len)});
}

/* Datagrams to that member among the effects of the last step. */
static unsigned answers(const struct rig *r, uint32_t to)
{
    unsigned n = 0;
    for (size_t i = 0; i < r->fx.count; i++) {
        const struct gossip_effect *e = &r->fx.effect[i];
        struct addr a = addr_of(to);
        n += e->kind == GOSSIP_SEND_DATAGRAM && addr_eq(&e->to, &a);
    }
    return n;
}

static uint64_t heard(const struct rig *r, uint32_t i)
{
    const struct member *m = member_find(&r->g->members, &r->who[i].id);
    return m->contact != NULL ? m->contact->heard_ms : 0;
}

static void test_a_member_is_heard_with_its_own_key_and_the_group_key(void **state)
{
    struct rig *r = *state;
    uint8_t packet[PACKET_BYTES_MAX];
    start(r, LIFE, 3);
    size_t len = forge(r, &(struct forgery){1, r->who[1].real, r->issuer.ring}, packet);
    give(r, 1, packet, len);
    assert_int_equal(answers(r, 1), 1);
    assert_int_equal(heard(r, 1), r->now_ms);
    give(r, 1, packet, len); /* and once only */
    assert_int_equal(answers(r, 1), 0);
    assert_int_equal(gossip_counters(r->g)->dropped_replay, 1);
}

static void refused(struct rig *r, const struct forgery *f)
{
    uint8_t packet[PACKET_BYTES_MAX];
    uint64_t before = gossip_counters(r->g)->dropped_auth;
    give(r, f->as, packet, forge(r, f, packet));
    assert_int_equal(gossip_counters(r->g)->dropped_auth, before + 1);
    assert_int_equal(answers(r, f->as), 0);
    assert_int_equal(heard(r, f->as), 0);
}

static void test_the_group_key_alone_speaks_for_nobody(void **state)
{
    struct rig *r = *state;
    struct sign_key *own;
    start(r, LIFE, 3);
    assert_int_equal(sign_key_new(NULL, &own), ERR_OK);
    for (uint32_t i = 1; i <= 3; i++)
        refused(r, &(struct forgery){i, own, r->issuer.ring});
    sign_key_free(own);
}

static void test_a_member_cannot_speak_for_another(void **state)
{
    struct rig *r = *state;
    start(r, LIFE, 3);
    refused(r, &(struct forgery){1, r->who[2].real, r->issuer.ring});
    refused(r, &(struct forgery){3, r->who[2].real, r->issuer.ring});
}

static void test_a_nodes_key_without_the_group_key_is_not_heard(void **state)
{
    struct rig *r = *state;
    struct seal_ring *guess;
    const uint8_t key[SEAL_KEY_BYTES] = {1};
    uint8_t packet[PACKET_BYTES_MAX];
    start(r, LIFE, 3);
    assert_int_equal(seal_ring_new(&guess), ERR_OK);
    assert_int_equal(seal_ring_add(guess, key), ERR_OK);
    refused(r, &(struct forgery){1, r->who[1].real, guess});
    /* and with the true key's id written over its own */
    size_t len = forge(r, &(struct forgery){1, r->who[1].real, guess}, packet);
    uint32_t id;
    assert_non_null(seal_ring_key(r->issuer.ring, 0, &id));
    head_put_u32(packet + 1, id);
    give(r, 1, packet, len);
    assert_int_equal(heard(r, 1), 0);
    seal_ring_free(guess);
}

/* M03 "after restart": the sender has not restarted, so its epoch is what it was. */
static void test_what_was_recorded_before_the_receiver_restarted_never_opens_after(void **state)
{
    struct rig *r = *state;
    uint8_t packet[8][PACKET_BYTES_MAX];
    size_t len[8];
    const struct forgery member = {1, r->who[1].real, r->issuer.ring};
    start(r, LIFE, 3);
    for (int i = 0; i < 8; i++)
        len[i] = forge(r, &member, packet[i]);
    give(r, 1, packet[0], len[0]); /* this one was taken; the others were held back */
    assert_int_equal(heard(r, 1), r->now_ms);
    start(r, LIFE + 5000, 3);
    for (int i = 0; i < 8; i++) {
        give(r, 1, packet[i], len[i]);
        assert_int_equal(answers(r, 1), 0);
    }
    assert_int_equal(heard(r, 1), 0);
    assert_int_equal(gossip_counters(r->g)->dropped_auth, 8);
    len[0] = forge(r, &member, packet[0]); /* who knows of the restart is heard */
    give(r, 1, packet[0], len[0]);
    assert_int_equal(heard(r, 1), r->now_ms);
}

/* The other side of it: one authentic packet of the new life is enough to be answered in it. */
static void test_a_restarted_member_is_answered_in_its_new_life(void **state)
{
    struct rig *r = *state;
    uint8_t packet[PACKET_BYTES_MAX], plain[PACKET_BYTES_MAX], shared[SIGN_SHARED_BYTES];
    size_t len;
    start(r, LIFE, 3);
    r->life[1] = LIFE + 77; /* the machine has not seen the head of it */
    give(r, 1, packet, forge(r, &(struct forgery){1, r->who[1].real, r->issuer.ring}, packet));
    assert_int_equal(answers(r, 1), 1);
    assert_int_equal(sign_agree(r->who[1].real, sign_key_public(r->who[0].real), shared), ERR_OK);
    struct seal_scope scope = {.ring = r->issuer.ring,
                               .mesh = &r->issuer.mesh,
                               .sender = &r->who[0].id,
                               .receiver = &r->who[1].id,
                               .shared = shared,
                               .receiver_epoch = r->life[1]};
    for (size_t i = 0; i < r->fx.count; i++) {
        const struct gossip_effect *e = &r->fx.effect[i];
        if (name_node_id_cmp(&e->node, &r->who[1].id) != 0) continue;
        assert_int_equal(seal_open(&scope, e->data, plain, sizeof(plain), &len), ERR_OK);
    }
}

static void test_our_own_packet_sent_back_to_us_is_refused(void **state)
{
    struct rig *r = *state;
    uint8_t packet[PACKET_BYTES_MAX], back[PACKET_BYTES_MAX];
    start(r, LIFE, 3);
    give(r, 1, packet, forge(r, &(struct forgery){1, r->who[1].real, r->issuer.ring}, packet));
    size_t len = 0;
    for (size_t i = 0; i < r->fx.count && len == 0; i++)
        if (r->fx.effect[i].kind == GOSSIP_SEND_DATAGRAM) {
            len = r->fx.effect[i].data.len;
            memcpy(back, r->fx.effect[i].data.p, len);
        }
    assert_true(len > 0);
    give(r, 1, back, len);
    assert_int_equal(gossip_counters(r->g)->dropped_unknown_sender, 1);
    memcpy(back + 5, r->who[1].id.byte, 8); /* one key for both directions */
    give(r, 1, back, len);
    assert_int_equal(gossip_counters(r->g)->dropped_auth, 1);
}

/* Rubbish in the names of all members costs one computation each, and not all at once. */
static void test_first_contacts_are_bounded(void **state)
{
    struct rig *r = *state;
    uint8_t packet[SEAL_OVERHEAD_BYTES + 4] = {1};
    uint32_t id;
    start(r, LIFE, PEOPLE - 1);
    uint64_t before = gossip_counters(r->g)->pairings;
    assert_non_null(seal_ring_key(r->issuer.ring, 0, &id));
    head_put_u32(packet + 1, id);
    for (int round = 0; round < 3; round++)
        for (uint32_t i = 1; i < PEOPLE; i++) {
            memcpy(packet + 5, r->who[i].id.byte, 8);
            give(r, i, packet, sizeof(packet));
        }
    assert_in_range(gossip_counters(r->g)->pairings, before, PAIRING_BURST + 3);
    assert_true(gossip_counters(r->g)->dropped_quota > 0);
    r->now_ms += 1000;
    for (uint32_t i = 1; i < PEOPLE; i++) {
        memcpy(packet + 5, r->who[i].id.byte, 8);
        give(r, i, packet, sizeof(packet));
    }
    assert_int_equal(gossip_counters(r->g)->pairings, PEOPLE - 1);
}

/* gossip.md 3.4: whoever can send to us can make us ask for a record once in ten seconds. */
static void test_an_unknown_sender_is_asked_after_but_seldom(void **state)
{
    struct rig *r = *state;
    uint8_t packet[PACKET_BYTES_MAX];
    start(r, LIFE, 3);
    r->now_ms += 5000; /* what the start itself compares is over */
    step(r, (struct gossip_event){.kind = GOSSIP_TICK});
    for (int i = 0; i < 50; i++) {
        size_t len = forge(r, &(struct forgery){9, r->who[9].real, r->issuer.ring}, packet);
        packet[5] = (uint8_t)i; /* a new stranger each time */
        give(r, 9, packet, len);
        assert_int_equal(answers(r, 9), 0);
    }
    assert_int_equal(gossip_counters(r->g)->dropped_unknown_sender, 50);
    assert_int_equal(r->g->pulls.count, 1);
    r->now_ms += PULL_STRANGER_MS;
    give(r, 9, packet, forge(r, &(struct forgery){9, r->who[9].real, r->issuer.ring}, packet));
    assert_int_equal(r->g->pulls.count, 2);
}

int main(void)
{
#define FACT(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        FACT(test_a_member_is_heard_with_its_own_key_and_the_group_key),
        FACT(test_the_group_key_alone_speaks_for_nobody),
        FACT(test_a_member_cannot_speak_for_another),
        FACT(test_a_nodes_key_without_the_group_key_is_not_heard),
        FACT(test_what_was_recorded_before_the_receiver_restarted_never_opens_after),
        FACT(test_a_restarted_member_is_answered_in_its_new_life),
        FACT(test_our_own_packet_sent_back_to_us_is_refused),
        FACT(test_first_contacts_are_bounded),
        FACT(test_an_unknown_sender_is_asked_after_but_seldom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
