#include "gossip/hail.h"
#include "tests/unit/support_gossip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define WHO 2u /* the peer that hails */

/* A datagram for no life in particular, with that message. */
static void hail(struct lab *lab, const struct message *m)
{
    struct lab_peer *p = &lab->peer[WHO];
    uint8_t plain[PACKET_BYTES_MAX], out[PACKET_BYTES_MAX];
    struct pack_writer w;
    size_t len;
    pack_writer_init(&w, plain, sizeof(plain) - SEAL_OVERHEAD_BYTES);
    pack_write_array(&w, 2);
    pack_write_u64(&w, 0);
    message_write(&w, m);
    struct seal_scope scope = {
        .mesh = &lab->issuer.mesh, .sender = &p->persona.id, .receiver = &lab->peer[0].persona.id};
    struct seal_header h = {.epoch = p->head.epoch, .counter = ++p->counter};
    assert_int_equal(
        fake_crypto_ops()->seal(&scope, &h, pack_writer_view(&w), out, sizeof(out), &len), ERR_OK);
    lab_datagram(lab, WHO, out, len);
}

static void hail_with(struct lab *lab, uint32_t owner)
{
    struct message m = {.kind = MESSAGE_RECORD, .offer = lab_offer(lab, owner)};
    hail(lab, &m);
}

static void test_a_hail_brings_a_new_life_and_is_not_answered(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 4);
    struct member *m = lab_member(&lab, WHO);
    struct message nack = {.kind = MESSAGE_NACK};
    lab_say(&lab, WHO, &nack);
    uint64_t heard = m->contact->heard_ms;
    lab.peer[WHO].head.epoch += 500;
    lab_sign(&lab, WHO);
    lab.now_ms += 10;
    hail_with(&lab, WHO);
    assert_int_equal(m->head->epoch, lab.peer[WHO].head.epoch);
    assert_int_equal(lab.sent_count, 0);
    assert_int_equal(m->contact->heard_ms, heard); /* it may be old */
    struct gossip_counters before = *gossip_counters(lab.g);
    hail_with(&lab, WHO); /* again */
    assert_int_equal(gossip_counters(lab.g)->records_accepted, before.records_accepted);
    assert_int_equal(gossip_counters(lab.g)->dropped_replay, before.dropped_replay + 1);
    lab.peer[WHO].head.epoch -= 200;
    lab_sign(&lab, WHO);
    hail_with(&lab, WHO); /* from between the two lives, recorded */
    assert_int_equal(gossip_counters(lab.g)->records_stale, before.records_stale + 1);
    assert_int_equal(m->head->epoch, lab.peer[WHO].head.epoch + 200);
    lab_fini(&lab);
}

static void test_a_hail_again_does_not_end_the_rumour_of_it(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 4);
    lab.peer[WHO].head.epoch += 500;
    lab_sign(&lab, WHO);
    lab.now_ms += 10;
    hail_with(&lab, WHO);
    size_t rumours = lab.g->broadcast.count;
    assert_true(rumours > 0);
    for (unsigned i = 0; i < 2 * TUNING_DUPLICATES; i++)
        hail_with(&lab, WHO);
    assert_int_equal(lab.g->broadcast.count, rumours);
    lab_fini(&lab);
}

static void test_nothing_else_counts_in_a_hail(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 4);
    struct message ping = {.kind = MESSAGE_PING, .seq = 1};
    struct message conflict = {.kind = MESSAGE_CONFLICT};
    hail(&lab, &ping);
    hail(&lab, &conflict);
    lab.peer[3].head.version++;
    lab_sign(&lab, 3);
    hail_with(&lab, 3);
    assert_int_equal(gossip_counters(lab.g)->dropped_malformed, 3);
    assert_int_equal(lab_count(&lab, LAB_ANYONE, MESSAGE_ACK), 0);
    assert_int_equal(lab_member(&lab, 3)->head->version, 1);
    lab_fini(&lab);
}

static void test_who_was_stored_and_is_silent_is_hailed(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 4);
    lab_run(&lab, 12000, ~(1u << WHO));
    assert_int_equal(lab_count(&lab, WHO, MESSAGE_RECORD), 0); /* it was heard before */
    lab_member(&lab, WHO)->restored = true;
    lab_run(&lab, 12000, ~(1u << WHO));
    assert_true(lab_count(&lab, WHO, MESSAGE_RECORD) > 0);
    const struct message *m = lab_last(&lab, WHO, MESSAGE_RECORD);
    assert_memory_equal(m->offer.head.owner.byte, lab.peer[0].persona.id.byte, NODE_ID_BYTES);
    assert_non_null(m->offer.admission.p);
    lab_fini(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hail_brings_a_new_life_and_is_not_answered),
        cmocka_unit_test(test_a_hail_again_does_not_end_the_rumour_of_it),
        cmocka_unit_test(test_nothing_else_counts_in_a_hail),
        cmocka_unit_test(test_who_was_stored_and_is_silent_is_hailed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
