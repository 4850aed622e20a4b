#include "gossip/probe.h"
#include "gossip/quality.h"
#include "tests/unit/support_gossip.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define ALL UINT32_MAX

/* Runs, with peer 1 silent, until it is pinged. */
static const struct message *until_pinged(struct lab *lab)
{
    for (int i = 0; i < 2000 && lab_count(lab, 1, MESSAGE_PING) == 0; i++)
        lab_run(lab, 10, ALL & ~2u);
    return lab_last(lab, 1, MESSAGE_PING);
}

static void test_one_probe_a_round_and_all_others_in_turn(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    lab_run(&lab, 40000, ALL);
    assert_in_range(lab_count(&lab, LAB_ANYONE, MESSAGE_PING), 39, 41);
    for (uint32_t i = 1; i <= 8; i++)
        assert_in_range(lab_count(&lab, i, MESSAGE_PING), 1, 12);
    lab_fini(&lab);
}

/* A wall clock that is set leaves the rhythm as it is. */
static void test_a_step_of_the_wall_clock_neither_stops_nor_repeats_probes(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    for (int i = 0; i < 4; i++) {
        lab.wall_off_ms += i % 2 == 0 ? -3600000 : 7200500;
        lab_forget(&lab);
        lab_run(&lab, 10000, ALL);
        assert_in_range(lab_count(&lab, LAB_ANYONE, MESSAGE_PING), 8, 12);
    }
    lab_fini(&lab);
}

static void test_silence_brings_more_pings_helpers_and_a_stream(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    const struct message *ping = until_pinged(&lab);
    assert_non_null(ping);
    uint32_t seq = ping->seq;
    lab_run(&lab, 60, ALL & ~2u);
    assert_in_range(lab_count(&lab, 1, MESSAGE_PING), 2, 4);
    assert_int_equal(lab_last(&lab, 1, MESSAGE_PING)->seq,
                     seq + lab_count(&lab, 1, MESSAGE_PING) - 1);
    assert_in_range(lab_count(&lab, LAB_ANYONE, MESSAGE_PING_REQ), 1, TUNING_HELPERS);
    assert_int_equal(lab_effects(&lab, GOSSIP_STREAM_OPEN), 1);
    assert_string_equal(lab_effect(&lab, GOSSIP_STREAM_OPEN)->peer_name.text, "n1");
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    lab_fini(&lab);
}

static void test_where_much_is_lost_silence_needs_more_pings(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    for (int i = 0; i < 2000 && lab_count(&lab, 1, MESSAGE_PING) == 0; i++) {
        lab.g->lost = 0.5;
        lab_forget(&lab);
        lab_run(&lab, 10, ALL & ~2u);
    }
    lab_run(&lab, 800, ALL & ~2u);
    assert_in_range(lab_count(&lab, 1, MESSAGE_PING), 12, TUNING_PINGS_MAX + 4);
    assert_true(lab_effects(&lab, GOSSIP_STREAM_OPEN) > 0);
    lab_fini(&lab);
}

static void test_answered_first_pings_lower_the_loss_and_repeated_ones_raise_it(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    lab_run(&lab, 60000, ALL);
    assert_true(lab.g->lost < 0.01);
    for (int i = 0; i < 3; i++) {
        lab_forget(&lab);
        (void)until_pinged(&lab);
        lab_run(&lab, 30, ALL & ~2u);
        struct message ack = {.kind = MESSAGE_ACK, .seq = lab_last(&lab, 1, MESSAGE_PING)->seq};
        lab_say(&lab, 1, &ack);
    }
    lab_run(&lab, 1500, ALL); /* who was measured for it is well: it was ours */
    assert_true(lab.g->lost > 0.05);
    lab_fini(&lab);
}

static void test_total_silence_makes_a_suspect_and_asks_others(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    assert_non_null(until_pinged(&lab));
    lab_run(&lab, 700, ALL & ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_SUSPECT);
    assert_in_range(lab_count(&lab, LAB_ANYONE, MESSAGE_CONFIRM), 2, TUNING_CONFIRMERS);
    assert_int_equal(lab_count(&lab, 1, MESSAGE_CONFIRM), 0);
    assert_int_equal(lab.g->counters.probes_failed, 1);
    lab_fini(&lab);
}

/* The answer to the first ping says by its seq that nothing was lost. */
static void test_a_late_answer_is_no_loss_and_the_next_ones_get_more_time(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    lab_run(&lab, 10000, ALL);
    lab_forget(&lab);
    struct message ack = {.kind = MESSAGE_ACK, .seq = until_pinged(&lab)->seq};
    double lost = lab.g->lost;
    lab_forget(&lab);
    lab_run(&lab, 30, ALL & ~2u);
    assert_in_range(lab_count(&lab, 1, MESSAGE_PING), 1, 2);
    assert_int_equal(lab_count(&lab, LAB_ANYONE, MESSAGE_PING_REQ), 0);
    assert_int_equal(lab_effects(&lab, GOSSIP_STREAM_OPEN), 0);
    lab_say(&lab, 1, &ack);
    assert_true(lab.g->lost <= lost);
    assert_true(lab.g->tuning.rto_min_ms > 20);
    lab_forget(&lab);
    lab_run(&lab, 900, ALL);
    assert_true(lab_count(&lab, 1, MESSAGE_PING) <= 1); /* and no row of pings */
    lab_fini(&lab);
}

/* That it was slow is nobody else's affair. */
static void test_an_answer_after_the_verdict_acquits_whom_only_we_accuse(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    struct message ack = {.kind = MESSAGE_ACK, .seq = until_pinged(&lab)->seq};
    lab_run(&lab, 700, ALL & ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_SUSPECT);
    lab_forget(&lab);
    lab_say(&lab, 1, &ack);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    assert_int_equal(lab_count(&lab, 1, MESSAGE_ACCUSED), 0);
    lab_fini(&lab);
}

static void test_an_answer_after_the_verdict_does_not_undo_what_others_say_too(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    struct message ack = {.kind = MESSAGE_ACK, .seq = until_pinged(&lab)->seq};
    lab_run(&lab, 700, ALL & ~2u);
    struct message vote = {.kind = MESSAGE_ACCUSE, .accusation = lab_accuse(&lab, 1, 2)};
    lab_say(&lab, 2, &vote);
    lab_say(&lab, 1, &ack);
    assert_int_equal(lab_state(&lab, 1), MEMBER_SUSPECT);
    lab_fini(&lab);
}

static void test_a_helpers_ack_is_as_good_as_the_targets(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    const struct message *ping = until_pinged(&lab);
    struct message ack = {.kind = MESSAGE_ACK, .seq = ping->seq};
    lab_run(&lab, 30, ALL & ~2u);
    lab_say(&lab, 5, &ack);
    lab_run(&lab, 700, ALL & ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    assert_int_equal(lab.g->counters.probes_failed, 0);
    lab_fini(&lab);
}

static void test_an_ack_of_a_wrong_seq_means_nothing(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    const struct message *ping = until_pinged(&lab);
    struct message ack = {.kind = MESSAGE_ACK, .seq = ping->seq + 1};
    lab_say(&lab, 1, &ack);
    lab_run(&lab, 700, ALL & ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_SUSPECT);
    lab_fini(&lab);
}

static void test_a_refused_stream_is_a_verdict_at_once(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    (void)until_pinged(&lab);
    lab_run(&lab, 50, ALL & ~2u);
    const struct gossip_effect *open = lab_effect(&lab, GOSSIP_STREAM_OPEN);
    assert_non_null(open);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    struct gossip_event e = {
        .kind = GOSSIP_STREAM_CLOSED, .stream = open->stream, .err = ERR_REFUSED};
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    assert_int_equal(lab_state(&lab, 1), MEMBER_SUSPECT);
    lab_fini(&lab);
}

static void test_silence_of_all_helpers_lowers_our_own_health(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    (void)until_pinged(&lab);
    lab_run(&lab, 700, ALL & ~2u);
    assert_int_equal(lab.g->awareness.score, 1);
    lab_forget(&lab);
    for (int i = 0; i < 40 && lab_count(&lab, 1, MESSAGE_PING) == 0; i++)
        lab_run(&lab, 500, ALL & ~2u);
    struct message nack = {.kind = MESSAGE_NACK};
    uint32_t score = lab.g->awareness.score;
    nack.seq = lab_last(&lab, 1, MESSAGE_PING)->seq;
    lab_run(&lab, 60, ALL & ~2u);
    lab_say(&lab, 4, &nack);
    lab_run(&lab, 700, ALL & ~2u);
    assert_true(lab.g->awareness.score <= score);
    lab_fini(&lab);
}

static void test_a_helper_relays_the_ack(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 3);
    struct message req = {.kind = MESSAGE_PING_REQ, .seq = 99, .target = lab.peer[2].persona.id};
    lab_say(&lab, 1, &req);
    const struct message *ping = lab_last(&lab, 2, MESSAGE_PING);
    assert_non_null(ping);
    struct message ack = {.kind = MESSAGE_ACK, .seq = ping->seq};
    lab_say(&lab, 2, &ack);
    assert_int_equal(lab_last(&lab, 1, MESSAGE_ACK)->seq, 99);
    lab_fini(&lab);
}

static void test_a_helper_that_hears_nothing_says_nack(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 3);
    struct message req = {.kind = MESSAGE_PING_REQ, .seq = 99, .target = lab.peer[2].persona.id};
    lab_say(&lab, 1, &req);
    lab_run(&lab, 300, ALL & ~4u);
    assert_int_equal(lab_last(&lab, 1, MESSAGE_NACK)->seq, 99);
    assert_int_equal(lab_count(&lab, 1, MESSAGE_ACK), 0);
    lab_fini(&lab);
}

static void test_asked_to_confirm_we_say_reached_or_vote_ourselves(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    struct message ask = {.kind = MESSAGE_CONFIRM, .accusation = lab_accuse(&lab, 3, 2)};
    lab_say(&lab, 2, &ask);
    assert_int_equal(lab_state(&lab, 3), MEMBER_ALIVE); /* not on someone's word */
    struct message ack = {.kind = MESSAGE_ACK, .seq = lab_last(&lab, 3, MESSAGE_PING)->seq};
    lab_say(&lab, 3, &ack);
    assert_int_equal(lab_count(&lab, 2, MESSAGE_REACHED), 1);
    lab_forget(&lab);
    lab_say(&lab, 2, &ask);
    lab_run(&lab, 700, ALL & ~8u);
    assert_int_equal(lab_state(&lab, 3), MEMBER_SUSPECT);
    assert_int_equal(lab_count(&lab, 2, MESSAGE_ACCUSE) > 0, 1);
    assert_int_equal(member_votes(lab_member(&lab, 3))->count, 2);
    lab_fini(&lab);
}

static void test_requests_of_others_leave_room_for_our_own_probes(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    struct message req = {.kind = MESSAGE_PING_REQ, .target = lab.peer[2].persona.id};
    for (uint32_t i = 0; i < 100; i++) {
        req.seq = i;
        lab_say(&lab, 1, &req);
    }
    assert_true(lab.g->probes.used < PROBE_SLOTS);
    assert_true(lab.g->counters.dropped_quota > 0);
    lab_run(&lab, 10000, ALL);
    assert_int_equal(lab.g->probes.used, 0);
    lab_fini(&lab);
}

static void test_a_pause_voids_probes_and_judges_nobody(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    (void)until_pinged(&lab);
    lab.now_ms += 3000;
    struct gossip_event tick = {.kind = GOSSIP_TICK};
    (void)lab_step(&lab, &tick);
    assert_int_equal(lab.g->counters.pauses, 1);
    lab_run(&lab, 900, 0);
    for (uint32_t i = 1; i <= 8; i++)
        assert_int_equal(lab_state(&lab, i), MEMBER_ALIVE);
    lab_fini(&lab);
}

static void test_a_hint_probes_at_once_and_votes_nothing(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    struct gossip_event e = {.kind = GOSSIP_HINT, .addr = &lab.peer[6].head.addr, .addr_count = 1};
    lab_forget(&lab);
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    assert_true(lab_count(&lab, 6, MESSAGE_PING) > 0);
    assert_int_equal(lab_state(&lab, 6), MEMBER_ALIVE);
    lab_fini(&lab);
}

/* gossip.md 3.2 item 7. */
static void test_an_answer_of_traffic_is_as_good_as_an_ack(void **state)
{
    (void)state;
    struct lab lab;
    struct addr asked;
    uint64_t since;
    lab_init(&lab, 8);
    (void)until_pinged(&lab);
    size_t pos = 0;
    bool found = false;
    while (gossip_asked_next(lab.g, &pos, &asked, &since))
        found = found || addr_eq(&asked, &lab.peer[1].head.addr);
    assert_true(found);
    assert_in_range(since, lab.now_ms - 20, lab.now_ms);
    uint64_t failed = lab.g->counters.probes_failed;
    struct gossip_event e = {
        .kind = GOSSIP_EVIDENCE, .addr = &lab.peer[1].head.addr, .addr_count = 1};
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    lab_run(&lab, 600, ALL & ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    assert_int_equal(lab.g->counters.probes_failed, failed);
    lab_fini(&lab);
}

static void test_asked_to_confirm_an_answer_of_traffic_says_reached(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    struct message ask = {.kind = MESSAGE_CONFIRM, .accusation = lab_accuse(&lab, 3, 2)};
    lab_say(&lab, 2, &ask);
    struct gossip_event e = {
        .kind = GOSSIP_EVIDENCE, .addr = &lab.peer[3].head.addr, .addr_count = 1};
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    assert_int_equal(lab_count(&lab, 2, MESSAGE_REACHED), 1);
    lab_fini(&lab);
}

static void test_asked_about_a_refused_stream_we_try_it_too(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    struct message ask = {.kind = MESSAGE_CONFIRM,
                          .accusation = lab_accuse_as(&lab, 3, 2, ACCUSATION_REFUSED)};
    lab_forget(&lab);
    lab_say(&lab, 2, &ask);
    const struct gossip_effect *open = lab_effect(&lab, GOSSIP_STREAM_OPEN);
    assert_non_null(open);
    struct gossip_event e = {
        .kind = GOSSIP_STREAM_CLOSED, .stream = open->stream, .err = ERR_REFUSED};
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    const struct message *m = lab_last(&lab, 2, MESSAGE_ACCUSE);
    assert_non_null(m);
    assert_int_equal(m->accusation.vote[0].kind, ACCUSATION_REFUSED);
    assert_int_equal(lab_state(&lab, 3), MEMBER_SUSPECT);
    lab_fini(&lab);
}

/* Else who was away when the others found it dead waits for votes that nobody gives. */
static void test_asked_about_a_dead_one_we_say_what_killed_it(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    for (uint32_t i = 4; i <= 6; i++) {
        struct message m = {.kind = MESSAGE_ACCUSE,
                            .accusation = lab_accuse_as(&lab, 3, i, ACCUSATION_REFUSED)};
        lab_say(&lab, i, &m);
    }
    assert_int_equal(lab_state(&lab, 3), MEMBER_DEAD);
    lab_run(&lab, 60000, ALL & ~8u);
    struct message ask = {.kind = MESSAGE_CONFIRM, .accusation = lab_accuse(&lab, 3, 2)};
    lab_forget(&lab);
    lab_say(&lab, 2, &ask);
    const struct message *m = lab_last(&lab, 2, MESSAGE_ACCUSE);
    assert_non_null(m);
    assert_true(m->accusation.count > 0);
    assert_int_equal(lab_state(&lab, 3), MEMBER_DEAD);
    lab_fini(&lab);
}

/* Answers every `nth` ping of peer 3 for two seconds, each with its own seq. */
static void answer_some(struct lab *lab, uint32_t nth)
{
    size_t at = 0;
    uint32_t pings = 0;
    for (int ms = 0; ms < 2000; ms += 10) {
        lab_run(lab, 10, ALL & ~8u);
        for (; at < lab->sent_count; at++) {
            struct lab_sent s = lab->sent[at];
            if (s.to != 3 || s.message.kind != MESSAGE_PING || ++pings % nth != 0) continue;
            struct message ack = {.kind = MESSAGE_ACK, .seq = s.message.seq};
            lab_say(lab, 3, &ack);
        }
    }
}

static void test_asked_about_a_lossy_one_we_measure_and_vote(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    lab_run(&lab, 5000, ALL);
    for (uint32_t nth = 1; nth <= 4; nth += 3) {
        struct message ask = {.kind = MESSAGE_CONFIRM,
                              .accusation = lab_accuse_as(&lab, 3, 2, ACCUSATION_LOSSY)};
        lab_forget(&lab);
        lab_say(&lab, 2, &ask);
        answer_some(&lab, nth);
        uint32_t least = nth == 1 ? QUALITY_WELL : QUALITY_PINGS;
        assert_in_range(lab_count(&lab, 3, MESSAGE_PING), least, least + 4);
        assert_int_equal(lab_count(&lab, 2, MESSAGE_REACHED), nth == 1);
        const struct message *m = lab_last(&lab, 2, MESSAGE_ACCUSE);
        assert_int_equal(m != NULL, nth == 4);
        if (m != NULL) assert_int_equal(m->accusation.vote[0].kind, ACCUSATION_LOSSY);
    }
    lab_fini(&lab);
}

/* Else whoever finds a lossy one would be unfit to judge the next. */
static void test_losses_of_who_is_found_lossy_are_not_ours(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    lab_run(&lab, 60000, ALL);
    double before = lab.g->lost;
    lab_forget(&lab);
    for (int i = 0; i < 6; i++)
        answer_some(&lab, 4);
    assert_true(lab_count(&lab, LAB_ANYONE, MESSAGE_CONFIRM) > 0);
    assert_true(lab.g->lost <= before);
    lab_fini(&lab);
}

static void test_messages_are_counted_by_kind_and_way(void **state)
{
    (void)state;
    struct lab lab;
    struct message ping = {.kind = MESSAGE_PING, .seq = 1};
    struct gossip_messages before[MESSAGE_KINDS], m;
    lab_init(&lab, 3);
    for (size_t pos = 0; gossip_messages_next(lab.g, &pos, &m);)
        before[pos - 1] = m;
    lab_say(&lab, 2, &ping);
    for (size_t pos = 0; gossip_messages_next(lab.g, &pos, &m);) {
        const struct gossip_messages *was = &before[pos - 1];
        assert_int_equal(m.received - was->received, strcmp(m.kind, "ping") == 0);
        assert_int_equal(m.sent - was->sent, strcmp(m.kind, "ack") == 0);
    }
    lab_fini(&lab);
}

/* When it is we who were late, the answer may lie behind other packets: nobody is asked again. */
static void test_timers_wait_for_the_last_of_what_came_together(void **state)
{
    (void)state;
    struct lab lab;
    uint8_t bytes[PACKET_BYTES_MAX];
    lab_init(&lab, 8);
    struct message ack = {.kind = MESSAGE_ACK, .seq = until_pinged(&lab)->seq};
    struct message other = {.kind = MESSAGE_PING, .seq = 1};
    lab.now_ms += 100;
    lab_forget(&lab);
    struct gossip_event e = {.kind = GOSSIP_DATAGRAM, .from = lab.peer[2].head.addr, .more = true};
    e.data = span_of(bytes, lab_seal(&lab, 2, &other, bytes));
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    assert_int_equal(lab_count(&lab, 2, MESSAGE_ACK), 1);
    assert_true(gossip_next_deadline_ms(lab.g) <= lab.now_ms);
    lab_say(&lab, 1, &ack);
    assert_int_equal(lab_count(&lab, 1, MESSAGE_PING), 0);
    assert_int_equal(lab_count(&lab, LAB_ANYONE, MESSAGE_PING_REQ), 0);
    assert_int_equal(lab_effects(&lab, GOSSIP_STREAM_OPEN), 0);
    lab_fini(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_probe_a_round_and_all_others_in_turn),
        cmocka_unit_test(test_a_step_of_the_wall_clock_neither_stops_nor_repeats_probes),
        cmocka_unit_test(test_silence_brings_more_pings_helpers_and_a_stream),
        cmocka_unit_test(test_where_much_is_lost_silence_needs_more_pings),
        cmocka_unit_test(test_answered_first_pings_lower_the_loss_and_repeated_ones_raise_it),
        cmocka_unit_test(test_total_silence_makes_a_suspect_and_asks_others),
        cmocka_unit_test(test_a_late_answer_is_no_loss_and_the_next_ones_get_more_time),
        cmocka_unit_test(test_an_answer_after_the_verdict_acquits_whom_only_we_accuse),
        cmocka_unit_test(test_an_answer_after_the_verdict_does_not_undo_what_others_say_too),
        cmocka_unit_test(test_a_helpers_ack_is_as_good_as_the_targets),
        cmocka_unit_test(test_an_ack_of_a_wrong_seq_means_nothing),
        cmocka_unit_test(test_a_refused_stream_is_a_verdict_at_once),
        cmocka_unit_test(test_silence_of_all_helpers_lowers_our_own_health),
        cmocka_unit_test(test_a_helper_relays_the_ack),
        cmocka_unit_test(test_timers_wait_for_the_last_of_what_came_together),
        cmocka_unit_test(test_losses_of_who_is_found_lossy_are_not_ours),
        cmocka_unit_test(test_messages_are_counted_by_kind_and_way),
        cmocka_unit_test(test_a_helper_that_hears_nothing_says_nack),
        cmocka_unit_test(test_asked_to_confirm_we_say_reached_or_vote_ourselves),
        cmocka_unit_test(test_requests_of_others_leave_room_for_our_own_probes),
        cmocka_unit_test(test_a_pause_voids_probes_and_judges_nobody),
        cmocka_unit_test(test_a_hint_probes_at_once_and_votes_nothing),
        cmocka_unit_test(test_an_answer_of_traffic_is_as_good_as_an_ack),
        cmocka_unit_test(test_asked_to_confirm_an_answer_of_traffic_says_reached),
        cmocka_unit_test(test_asked_about_a_refused_stream_we_try_it_too),
        cmocka_unit_test(test_asked_about_a_dead_one_we_say_what_killed_it),
        cmocka_unit_test(test_asked_about_a_lossy_one_we_measure_and_vote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
