#include "gossip/receive.h"
#include "tests/unit/support_gossip.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define ALL UINT32_MAX

static size_t ping_of(struct lab *lab, uint32_t peer, uint8_t *bytes)
{
    struct message m = {.kind = MESSAGE_PING, .seq = 11};
    return lab_seal(lab, peer, &m, bytes);
}

static void test_a_ping_is_acked_with_its_seq(void **state)
{
    (void)state;
    struct lab lab;
    uint8_t bytes[PACKET_BYTES_MAX];
    lab_init(&lab, 2);
    size_t len = ping_of(&lab, 1, bytes);
    lab_datagram(&lab, 1, bytes, len);
    assert_int_equal(lab_count(&lab, 1, MESSAGE_ACK), 1);
    assert_int_equal(lab_last(&lab, 1, MESSAGE_ACK)->seq, 11);
    lab_fini(&lab);
}

/* security.md M03. */
static void test_replayed_packet_changes_nothing(void **state)
{
    (void)state;
    struct lab lab;
    uint8_t bytes[PACKET_BYTES_MAX];
    lab_init(&lab, 2);
    size_t len = ping_of(&lab, 1, bytes);
    lab_datagram(&lab, 1, bytes, len);
    lab_forget(&lab);
    lab_datagram(&lab, 1, bytes, len);
    assert_int_equal(lab.sent_count, 0);
    assert_int_equal(lab.g->counters.dropped_replay, 1);
    for (int i = 0; i < 100; i++) {
        uint8_t later[PACKET_BYTES_MAX];
        size_t n = ping_of(&lab, 1, later);
        lab_datagram(&lab, 1, later, n);
    }
    lab_forget(&lab);
    lab_run(&lab, 1, ALL);
    lab_forget(&lab);
    lab_datagram(&lab, 1, bytes, len);
    assert_int_equal(lab_count(&lab, 1, MESSAGE_ACK), 0);
    assert_int_equal(lab.g->counters.dropped_replay, 2);
    lab_fini(&lab);
}

static void test_a_packet_for_another_node_or_mesh_is_dropped(void **state)
{
    (void)state;
    struct lab lab, other;
    uint8_t bytes[PACKET_BYTES_MAX];
    lab_init(&lab, 2);
    lab_init(&other, 2);
    other.issuer.mesh.byte[0] ^= 1;
    size_t len = ping_of(&other, 1, bytes);
    lab_datagram(&lab, 1, bytes, len);
    assert_int_equal(lab.g->counters.dropped_auth, 1);
    other.issuer.mesh.byte[0] ^= 1;
    other.peer[0].persona.id.byte[9] ^= 1; /* the receiver */
    len = ping_of(&other, 1, bytes);
    lab_datagram(&lab, 1, bytes, len);
    assert_int_equal(lab.g->counters.dropped_auth, 2);
    assert_int_equal(lab.sent_count, 0);
    lab_fini(&lab);
    lab_fini(&other);
}

/* security.md M02, M15. */
static void test_every_flipped_bit_and_every_prefix_is_dropped_unanswered(void **state)
{
    (void)state;
    struct lab lab;
    uint8_t bytes[PACKET_BYTES_MAX];
    lab_init(&lab, 2);
    size_t len = ping_of(&lab, 1, bytes);
    for (size_t bit = 0; bit < len * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        bool padding = bit / 8 >= len - 8; /* of the cheap tag */
        if (!padding) lab_datagram(&lab, 1, bytes, len);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t cut = 0; cut < len; cut++)
        lab_datagram(&lab, 1, bytes, cut);
    assert_int_equal(lab.sent_count, 0);
    lab_datagram(&lab, 1, bytes, len);
    assert_int_equal(lab_count(&lab, 1, MESSAGE_ACK), 1);
    lab_fini(&lab);
}

static void test_an_unknown_sender_gets_no_answer(void **state)
{
    (void)state;
    struct lab lab;
    uint8_t bytes[PACKET_BYTES_MAX];
    lab_init(&lab, 2);
    size_t len = ping_of(&lab, 5, bytes);
    lab_datagram(&lab, 5, bytes, len);
    assert_int_equal(lab.sent_count, 0);
    assert_int_equal(lab.g->counters.dropped_unknown_sender, 1);
    lab_fini(&lab);
}

static void plain(struct lab *lab, const void *p, size_t len)
{
    receive_plain(lab->g, span_of(p, len), lab_member(lab, 1));
}

static void test_nonsense_under_the_seal_is_counted_and_changes_nothing(void **state)
{
    (void)state;
    static const uint8_t lying_array[] = {0xdd, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t lying_bin[] = {0x92, 0x00, 0xc6, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t no_summary[] = {0x90};
    static const uint8_t bad_second[] = {0x93, 0x00, 0x92, 0x01, 0x05, 0x92, 0x06, 0x07};
    struct lab lab;
    lab_init(&lab, 2);
    struct gossip_event tick = {.kind = GOSSIP_TICK};
    assert_int_equal(lab_step(&lab, &tick), ERR_OK);
    plain(&lab, lying_array, sizeof(lying_array));
    plain(&lab, lying_bin, sizeof(lying_bin));
    plain(&lab, no_summary, sizeof(no_summary));
    plain(&lab, "", 0);
    /* A good PING in front of a bad message is not answered: nothing is half applied. */
    plain(&lab, bad_second, sizeof(bad_second));
    assert_int_equal(lab.g->counters.dropped_malformed, 5);
    assert_int_equal(lab.fx.count, 0);
    lab_fini(&lab);
}

static void test_a_message_of_a_newer_version_is_skipped(void **state)
{
    (void)state;
    static const uint8_t unknown_then_ping[] = {0x93, 0x00, 0x93, 0x63, 0xc0,
                                                0xc0, 0x93, 0x01, 0x05, 0xc3};
    struct lab lab;
    lab_init(&lab, 2);
    uint8_t sealed[PACKET_BYTES_MAX];
    size_t len;
    struct seal_scope scope = {.mesh = &lab.issuer.mesh,
                               .sender = &lab.peer[1].persona.id,
                               .receiver = &lab.peer[0].persona.id,
                               .receiver_epoch = packet_epoch(lab.g->self.member->head)};
    struct seal_header h = {.epoch = lab.peer[1].head.epoch, .counter = ++lab.peer[1].counter};
    assert_int_equal(fake_crypto_ops()->seal(&scope, &h,
                                             span_of(unknown_then_ping, sizeof(unknown_then_ping)),
                                             sealed, sizeof(sealed), &len),
                     ERR_OK);
    lab_datagram(&lab, 1, sealed, len);
    assert_int_equal(lab_count(&lab, 1, MESSAGE_ACK), 1);
    assert_int_equal(lab.g->counters.dropped_malformed, 0);
    lab_fini(&lab);
}

static void test_a_clone_cannot_shut_out_the_packets_of_the_one_who_is_there(void **state)
{
    (void)state;
    struct lab lab;
    uint8_t bytes[PACKET_BYTES_MAX];
    lab_init(&lab, 2);
    struct lab_peer clone = lab.peer[1];
    lab.peer[1].head.epoch += 10;
    lab.peer[1].head.addr.ip[3] = 99;
    size_t len = ping_of(&lab, 1, bytes);
    lab_datagram(&lab, 1, bytes, len);
    assert_int_equal(lab.g->counters.dropped_replay, 1);
    lab.peer[1] = clone;
    len = ping_of(&lab, 1, bytes);
    lab_datagram(&lab, 1, bytes, len);
    assert_int_equal(lab_count(&lab, 1, MESSAGE_ACK), 1);
    lab_fini(&lab);
}

static void test_datagrams_stay_within_the_byte_budget(void **state)
{
    (void)state;
    struct lab lab;
    uint8_t bytes[PACKET_BYTES_MAX];
    lab_init(&lab, 2);
    uint64_t before = lab.g->counters.bytes_sent;
    for (int i = 0; i < 20000; i++) {
        size_t len = ping_of(&lab, 1, bytes);
        lab_datagram(&lab, 1, bytes, len);
        lab_forget(&lab);
    }
    assert_true(lab.g->counters.bytes_sent - before <= TUNING_BURST_BYTES);
    assert_true(lab.g->counters.dropped_budget > 0);
    lab_fini(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_ping_is_acked_with_its_seq),
        cmocka_unit_test(test_replayed_packet_changes_nothing),
        cmocka_unit_test(test_a_packet_for_another_node_or_mesh_is_dropped),
        cmocka_unit_test(test_every_flipped_bit_and_every_prefix_is_dropped_unanswered),
        cmocka_unit_test(test_an_unknown_sender_gets_no_answer),
        cmocka_unit_test(test_nonsense_under_the_seal_is_counted_and_changes_nothing),
        cmocka_unit_test(test_a_message_of_a_newer_version_is_skipped),
        cmocka_unit_test(test_a_clone_cannot_shut_out_the_packets_of_the_one_who_is_there),
        cmocka_unit_test(test_datagrams_stay_within_the_byte_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
