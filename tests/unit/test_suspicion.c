#include "gossip/suspicion.h"
#include "tests/unit/support_gossip.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define ALL UINT32_MAX

static void say_accusation(struct lab *lab, uint32_t from, const struct accusation *a)
{
    struct message m = {.kind = MESSAGE_ACCUSE, .accusation = *a};
    lab_say(lab, from, &m);
}

/* Three members of eight accuse `target`. */
static void accuse_by_three(struct lab *lab, uint32_t target)
{
    for (uint32_t i = 2; i <= 4; i++) {
        struct accusation a = lab_accuse(lab, target, i);
        say_accusation(lab, i, &a);
    }
}

static void refute(struct lab *lab, uint32_t peer)
{
    lab->peer[peer].head.inc++;
    lab_sign(lab, peer);
    struct offer o = {.head = lab->peer[peer].head};
    lab_say_record(lab, 5, &o);
}

static void test_suspect_refuted_by_higher_incarnation(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    accuse_by_three(&lab, 1);
    assert_int_equal(lab_state(&lab, 1), MEMBER_SUSPECT);
    refute(&lab, 1);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    assert_int_equal(lab_member(&lab, 1)->head->inc, 1);
    lab_fini(&lab);
}

static void test_unreachable_at_the_end_of_the_suspicion_and_dead_after_the_hold(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    accuse_by_three(&lab, 1);
    uint32_t min = tuning_suspicion_ms(&lab.g->tuning, 9, 3, 3, 0);
    lab_run(&lab, min - 2, ALL & ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_SUSPECT);
    lab_run(&lab, 4, ALL & ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_UNREACHABLE);
    lab_run(&lab, 7900, ALL & ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_UNREACHABLE);
    lab_run(&lab, 200, ALL & ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_DEAD);
    lab_fini(&lab);
}

static void test_who_is_to_be_declared_dead_is_told_straight_before_it(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    accuse_by_three(&lab, 1);
    lab_run(&lab, tuning_suspicion_ms(&lab.g->tuning, 9, 3, 3, 0) + 2, ALL & ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_UNREACHABLE);
    lab_run(&lab, 8000 - SUSPICION_LAST_CALLS * SUSPICION_LAST_CALL_MS - 100, ALL & ~2u);
    lab_forget(&lab);
    lab_run(&lab, 200, ALL & ~2u);
    assert_true(lab_count(&lab, 1, MESSAGE_ACCUSED) >= 1);
    assert_int_equal(lab_state(&lab, 1), MEMBER_UNREACHABLE);
    lab_fini(&lab);
}

static void test_the_unreachable_come_back_when_they_refute(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    accuse_by_three(&lab, 1);
    lab_run(&lab, 3000, ALL & ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_UNREACHABLE);
    refute(&lab, 1);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    lab_run(&lab, 12000, ALL);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    lab_fini(&lab);
}

static void test_the_dead_come_back_when_they_refute(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    accuse_by_three(&lab, 1);
    lab_run(&lab, 15000, ALL & ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_DEAD);
    assert_int_equal(lab.g->members.live, 8);
    refute(&lab, 1);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    assert_int_equal(lab.g->members.live, 9);
    lab_fini(&lab);
}

static void test_an_accusation_of_a_former_incarnation_is_answered_with_the_newer_head(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    struct accusation old = lab_accuse(&lab, 1, 2);
    refute(&lab, 1);
    lab_forget(&lab);
    say_accusation(&lab, 2, &old);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    const struct message *m = lab_last(&lab, 2, MESSAGE_RECORD);
    assert_non_null(m);
    assert_int_equal(m->offer.head.inc, 1);
    lab_fini(&lab);
}

static void test_an_accusation_of_a_future_incarnation_changes_nothing(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    struct accusation a = {
        .target = lab.peer[1].persona.id, .epoch = UINT64_MAX, .inc = UINT32_MAX};
    struct accusation_vote v;
    accusation_sign(fake_crypto_ops(), persona_key(&lab.peer[2].persona), &lab.peer[2].persona.id,
                    &a, ACCUSATION_SILENT, &v);
    assert_true(accusation_add(&a, &v));
    say_accusation(&lab, 2, &a);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    assert_int_equal(lab_member(&lab, 1)->head->inc, 0);
    lab_fini(&lab);
}

static void test_forged_votes_and_votes_of_strangers_do_not_count(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 4);
    struct accusation a = lab_accuse(&lab, 1, 2);
    a.vote[0].accuser = lab.peer[3].persona.id; /* signed by 2 */
    say_accusation(&lab, 2, &a);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    assert_int_equal(lab.g->counters.dropped_signature, 1);
    struct accusation stranger = lab_accuse(&lab, 1, 7);
    say_accusation(&lab, 2, &stranger);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    struct accusation itself = lab_accuse(&lab, 1, 1);
    say_accusation(&lab, 2, &itself);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    assert_null(member_votes(lab_member(&lab, 1)));
    lab_fini(&lab);
}

/* security.md M10, invariant I17: one member says that all others are dead. */
static void test_one_voice_makes_nobody_a_suspect_nor_is_it_spread(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    for (uint32_t i = 1; i <= 8; i++) {
        if (i == 2) continue;
        struct accusation a = lab_accuse_as(&lab, i, 2, ACCUSATION_REFUSED);
        say_accusation(&lab, 2, &a);
    }
    lab_forget(&lab);
    for (int ms = 0; ms < 15000; ms += 100) {
        lab_run(&lab, 100, ALL);
        for (uint32_t i = 1; i <= 8; i++)
            assert_int_equal(lab_state(&lab, i), MEMBER_ALIVE);
    }
    assert_int_equal(lab_count(&lab, LAB_ANYONE, MESSAGE_ACCUSE), 0);
    lab_fini(&lab);
}

/* Of three, one accuser is enough for a verdict; but then it is ourselves. */
static void test_in_a_small_mesh_we_see_for_ourselves_before_a_verdict(void **state)
{
    (void)state;
    struct lab lab;
    for (uint32_t known = 2; known <= 3; known++) {
        lab_init(&lab, known);
        for (uint32_t i = 2; i <= known; i++) {
            struct accusation a = lab_accuse_as(&lab, 1, i, ACCUSATION_REFUSED);
            say_accusation(&lab, i, &a);
        }
        lab_run(&lab, 15000, ALL);
        assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
        lab_forget(&lab);
        for (uint32_t i = 2; i <= known; i++) {
            struct accusation a = lab_accuse(&lab, 1, i);
            say_accusation(&lab, i, &a);
        }
        assert_true(lab_count(&lab, 1, MESSAGE_PING) > 0);
        lab_run(&lab, 3000, ALL & ~2u);
        assert_int_equal(lab_state(&lab, 1), MEMBER_UNREACHABLE);
        lab_fini(&lab);
    }
}

static void test_three_refused_streams_are_a_proof_of_death_and_are_told_on(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    for (uint32_t i = 2; i <= 4; i++) {
        assert_true(lab_state(&lab, 1) < MEMBER_UNREACHABLE);
        struct accusation a = lab_accuse_as(&lab, 1, i, ACCUSATION_REFUSED);
        say_accusation(&lab, i, &a);
    }
    assert_int_equal(lab_state(&lab, 1), MEMBER_DEAD);
    lab_run(&lab, 300, ALL & ~2u);
    const struct message *m = lab_last(&lab, LAB_ANYONE, MESSAGE_ACCUSE);
    assert_non_null(m);
    assert_int_equal(m->accusation.count, 3);
    assert_int_equal(accusation_count(&m->accusation, ACCUSATION_REFUSED), 3);
    refute(&lab, 1);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    lab_fini(&lab);
}

/* An operator may forget it while others are still reminded of what killed it. */
static void test_who_was_just_proven_dead_can_be_forgotten(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    for (uint32_t i = 2; i <= 4; i++) {
        struct accusation a = lab_accuse_as(&lab, 1, i, ACCUSATION_REFUSED);
        say_accusation(&lab, i, &a);
    }
    assert_int_equal(lab_state(&lab, 1), MEMBER_DEAD);
    struct gossip_event e = {.kind = GOSSIP_REMOVE, .node = lab.peer[1].persona.id};
    assert_int_equal(lab_step(&lab, &e), ERR_OK);
    assert_null(lab_member(&lab, 1));
    assert_true(list_empty(&lab.g->digest.accused_list));
    assert_int_equal(lab.g->digest.accused, 0);
    lab_fini(&lab);
}

static void test_silence_and_two_refusals_prove_no_death(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    for (uint32_t i = 2; i <= 4; i++) {
        struct accusation a =
            lab_accuse_as(&lab, 1, i, i == 2 ? ACCUSATION_SILENT : ACCUSATION_REFUSED);
        say_accusation(&lab, i, &a);
    }
    assert_int_equal(lab_state(&lab, 1), MEMBER_SUSPECT);
    struct accusation third = lab_accuse_as(&lab, 1, 5, ACCUSATION_REFUSED);
    say_accusation(&lab, 5, &third); /* the set is full; a refusal says more than silence */
    assert_int_equal(lab_state(&lab, 1), MEMBER_DEAD);
    lab_fini(&lab);
}

static void test_two_accusers_of_many_are_too_few_when_the_time_is_over(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    for (uint32_t i = 2; i <= 3; i++) {
        struct accusation a = lab_accuse(&lab, 1, i);
        say_accusation(&lab, i, &a);
    }
    assert_int_equal(lab_state(&lab, 1), MEMBER_SUSPECT);
    lab_run(&lab, 10000, ALL);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    assert_false(lab_member(&lab, 1)->not_from_here);
    lab_fini(&lab);
}

static void test_of_five_of_which_three_are_gone_two_can_judge(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 4);
    lab_run(&lab, 90000, 1u << 4);
    for (uint32_t i = 1; i <= 3; i++)
        assert_true(lab_state(&lab, i) >= MEMBER_UNREACHABLE);
    assert_int_equal(lab_state(&lab, 4), MEMBER_ALIVE);
    lab_fini(&lab);
}

/* Where two must do, one of them is ourselves: three others leave room for our vote. */
static void test_of_few_our_own_vote_has_a_place_among_three_of_others(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 4);
    for (uint32_t i = 1; i <= 3; i++) {
        struct accusation a = lab_accuse(&lab, 4, i);
        say_accusation(&lab, i, &a);
    }
    lab_run(&lab, 4000, ALL & ~16u);
    assert_int_equal(lab_state(&lab, 4), MEMBER_UNREACHABLE);
    struct accusation all = lab_accuse(&lab, 1, 2);
    for (uint32_t i = 3; i <= 4; i++) {
        struct accusation a = lab_accuse(&lab, 1, i);
        assert_true(accusation_add(&all, &a.vote[0]));
    }
    say_accusation(&lab, 2, &all);
    lab_run(&lab, 5000, ALL & ~(2u | 16u));
    assert_int_equal(lab_state(&lab, 1), MEMBER_UNREACHABLE);
    lab_fini(&lab);
}

/* It has missed the verdict, and alone it would accuse and acquit it for ever. */
static void test_who_says_little_of_the_dead_is_told_the_rest(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    accuse_by_three(&lab, 1);
    lab_run(&lab, 15000, ALL & ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_DEAD);
    struct accusation all = *member_votes(lab_member(&lab, 1)), a = lab_accuse(&lab, 1, 6);
    lab_forget(&lab);
    say_accusation(&lab, 6, &all);
    assert_int_equal(lab_count(&lab, 6, MESSAGE_ACCUSE), 0);
    say_accusation(&lab, 6, &a);
    assert_int_equal(lab_count(&lab, 6, MESSAGE_ACCUSE), 1);
    assert_int_equal(lab_last(&lab, 6, MESSAGE_ACCUSE)->accusation.count, 3);
    a.inc++;
    say_accusation(&lab, 6, &a);
    assert_int_equal(lab_count(&lab, 6, MESSAGE_ACCUSE), 1);
    lab_fini(&lab);
}

static const enum accusation_kind proofs[][3] = {
    {ACCUSATION_SILENT, ACCUSATION_SILENT, ACCUSATION_SILENT},
    {ACCUSATION_REFUSED, ACCUSATION_SILENT, ACCUSATION_SILENT},
    {ACCUSATION_LOSSY, ACCUSATION_SILENT, ACCUSATION_SILENT},
    {ACCUSATION_LOSSY, ACCUSATION_LOSSY, ACCUSATION_SILENT},
    {ACCUSATION_REFUSED, ACCUSATION_LOSSY, ACCUSATION_SILENT},
};

/* What it answers to `count` of the votes of one proof, when it knows another. */
static uint32_t answers(size_t knows, size_t hears, uint32_t count)
{
    struct lab lab;
    struct accusation said;
    lab_init(&lab, 8);
    for (uint32_t i = 0; i < 3; i++) {
        struct accusation a = lab_accuse_as(&lab, 1, 2 + i, proofs[knows][i]);
        say_accusation(&lab, 2 + i, &a);
        a = lab_accuse_as(&lab, 1, 2 + i, proofs[hears][i]);
        if (i == 0)
            said = a;
        else if (i < count)
            assert_true(accusation_add(&said, &a.vote[0]));
    }
    lab_run(&lab, 15000, ALL & ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_DEAD);
    lab_forget(&lab);
    say_accusation(&lab, 6, &said);
    uint32_t n = (uint32_t)lab_count(&lab, 6, MESSAGE_ACCUSE);
    lab_fini(&lab);
    return n;
}

/* Or they would answer each other as fast as the net can. */
static void test_of_two_who_know_the_verdict_one_at_most_tells_the_other(void **state)
{
    (void)state;
    for (size_t a = 0; a < ARRAY_LEN(proofs); a++) {
        assert_int_equal(answers(a, a, 3), 0);
        assert_int_equal(answers(a, 1, 1), 1);
        for (size_t b = 0; b < a; b++)
            assert_in_range(answers(a, b, 3) + answers(b, a, 3), 0, 1);
    }
}

static void test_who_was_refuted_too_often_has_no_vote(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    for (uint32_t i = 0; i <= DISTRUST_REFUTED; i++) {
        struct message ask = {.kind = MESSAGE_CONFIRM,
                              .accusation = lab_accuse(&lab, 3 + i % 5, 2)};
        lab_say(&lab, 2, &ask);
        struct message ack = {.kind = MESSAGE_ACK,
                              .seq = lab_last(&lab, 3 + i % 5, MESSAGE_PING)->seq};
        lab_say(&lab, 3 + i % 5, &ack);
    }
    lab_forget(&lab);
    struct message ask = {.kind = MESSAGE_CONFIRM, .accusation = lab_accuse(&lab, 3, 2)};
    lab_say(&lab, 2, &ask);
    assert_int_equal(lab_count(&lab, 3, MESSAGE_PING), 0);
    accuse_by_three(&lab, 1); /* 2, 3 and 4 */
    assert_int_equal(member_votes(lab_member(&lab, 1))->count, 2);
    lab_fini(&lab);
}

static void test_two_voices_are_spread(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    for (uint32_t i = 2; i <= 3; i++) {
        struct accusation a = lab_accuse(&lab, 1, i);
        say_accusation(&lab, i, &a);
    }
    lab_run(&lab, 300, ALL & ~2u);
    const struct message *m = lab_last(&lab, LAB_ANYONE, MESSAGE_ACCUSE);
    assert_non_null(m);
    assert_int_equal(m->accusation.count, 2);
    lab_fini(&lab);
}

static void test_whoever_is_accused_hears_of_it_with_every_packet(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    accuse_by_three(&lab, 1);
    lab_forget(&lab);
    struct message ping = {.kind = MESSAGE_PING, .seq = 9};
    lab_say(&lab, 1, &ping);
    const struct message *m = lab_last(&lab, 1, MESSAGE_ACCUSED);
    assert_non_null(m);
    assert_int_equal(m->accusation.inc, 0);
    assert_int_equal(m->accusation.count, TUNING_ACCUSED_VOTES); /* as many as are believed */
    lab_fini(&lab);
}

static void test_our_lone_suspicion_is_withdrawn_when_another_reaches_it(void **state)
{
    (void)state;
    struct lab lab;
    struct accusation mine;
    lab_init(&lab, 8);
    for (int i = 0; i < 30 && lab_state(&lab, 1) == MEMBER_ALIVE; i++)
        lab_run(&lab, 500, ALL & ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_SUSPECT);
    const struct message *ask = lab_last(&lab, LAB_ANYONE, MESSAGE_CONFIRM);
    assert_non_null(ask);
    mine = ask->accusation;
    assert_int_equal(mine.count, 1);
    struct message reached = {
        .kind = MESSAGE_REACHED, .target = mine.target, .epoch = mine.epoch, .inc = mine.inc};
    lab_say(&lab, 3, &reached);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    assert_true(lab_member(&lab, 1)->not_from_here);
    struct gossip_member seen;
    assert_int_equal(gossip_member_get(lab.g, &mine.target, &seen), ERR_OK);
    assert_true(seen.not_from_here);
    lab_fini(&lab);
}

static void test_reached_does_not_outvote_two(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    accuse_by_three(&lab, 1);
    struct message reached = {
        .kind = MESSAGE_REACHED, .target = lab.peer[1].persona.id, .epoch = lab.peer[1].head.epoch};
    lab_say(&lab, 5, &reached);
    assert_int_equal(lab_state(&lab, 1), MEMBER_SUSPECT);
    lab_fini(&lab);
}

static void test_a_pause_of_our_own_is_added_to_every_suspicion(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    accuse_by_three(&lab, 1);
    lab.now_ms += 5000; /* stopped: no step in between */
    struct gossip_event tick = {.kind = GOSSIP_TICK};
    (void)lab_step(&lab, &tick);
    assert_int_equal(lab.g->counters.pauses, 1);
    assert_int_equal(lab_state(&lab, 1), MEMBER_SUSPECT);
    lab_run(&lab, 3000, ALL & ~2u);
    assert_int_equal(lab_state(&lab, 1), MEMBER_UNREACHABLE);
    lab_fini(&lab);
}

static void test_one_who_missed_an_accusation_is_reminded(void **state)
{
    (void)state;
    struct lab lab;
    uint8_t bytes[PACKET_BYTES_MAX];
    lab_init(&lab, 8);
    struct message ping = {.kind = MESSAGE_PING, .seq = 4};
    lab_say(&lab, 6, &ping);
    size_t len = lab_seal(&lab, 6, &ping, bytes); /* its summary knows of no accusation */
    accuse_by_three(&lab, 1);
    lab_run(&lab, 1000, ALL & ~2u);
    lab_forget(&lab);
    lab_datagram(&lab, 6, bytes, len);
    const struct message *m = lab_last(&lab, 6, MESSAGE_ACCUSE);
    assert_non_null(m);
    assert_int_equal(m->accusation.count, 3);
    lab_fini(&lab);
}

static void test_a_reminder_says_each_accusation_once(void **state)
{
    (void)state;
    struct lab lab;
    uint8_t bytes[PACKET_BYTES_MAX];
    lab_init(&lab, 8);
    struct message ping = {.kind = MESSAGE_PING, .seq = 4};
    lab_say(&lab, 6, &ping);
    size_t len = lab_seal(&lab, 6, &ping, bytes);
    accuse_by_three(&lab, 1);
    accuse_by_three(&lab, 5);
    lab_run(&lab, 1000, ALL & ~(2u | 32u));
    lab_forget(&lab);
    lab_datagram(&lab, 6, bytes, len);
    assert_int_equal(lab_count(&lab, 6, MESSAGE_ACCUSE), 2);
    lab_fini(&lab);
}

/* Something is always on its way where many are accused: who missed what is old is still told, now
 * and then. */
static void test_reminders_go_on_while_there_is_news_but_few(void **state)
{
    (void)state;
    struct lab lab;
    uint8_t bytes[3][PACKET_BYTES_MAX];
    size_t len[3];
    lab_init(&lab, 8);
    struct message ping = {.kind = MESSAGE_PING, .seq = 4};
    lab_say(&lab, 6, &ping);
    for (unsigned i = 0; i < 3; i++)
        len[i] = lab_seal(&lab, 6, &ping, bytes[i]);
    accuse_by_three(&lab, 1);
    lab_run(&lab, 1500, ALL & ~2u);
    lab_forget(&lab);
    for (unsigned i = 0; i < 3; i++) {
        lab.g->digest.accused_ms = lab.g->now_ms;
        lab_datagram(&lab, 6, bytes[i], len[i]);
        assert_int_equal(lab_count(&lab, 6, MESSAGE_ACCUSE), i < 2 ? 1 : 2);
        if (i == 1) lab_run(&lab, 1000, ALL & ~2u);
    }
    lab_fini(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suspect_refuted_by_higher_incarnation),
        cmocka_unit_test(test_unreachable_at_the_end_of_the_suspicion_and_dead_after_the_hold),
        cmocka_unit_test(test_who_is_to_be_declared_dead_is_told_straight_before_it),
        cmocka_unit_test(test_the_unreachable_come_back_when_they_refute),
        cmocka_unit_test(test_the_dead_come_back_when_they_refute),
        cmocka_unit_test(
            test_an_accusation_of_a_former_incarnation_is_answered_with_the_newer_head),
        cmocka_unit_test(test_an_accusation_of_a_future_incarnation_changes_nothing),
        cmocka_unit_test(test_forged_votes_and_votes_of_strangers_do_not_count),
        cmocka_unit_test(test_one_voice_makes_nobody_a_suspect_nor_is_it_spread),
        cmocka_unit_test(test_in_a_small_mesh_we_see_for_ourselves_before_a_verdict),
        cmocka_unit_test(test_three_refused_streams_are_a_proof_of_death_and_are_told_on),
        cmocka_unit_test(test_who_was_just_proven_dead_can_be_forgotten),
        cmocka_unit_test(test_silence_and_two_refusals_prove_no_death),
        cmocka_unit_test(test_two_accusers_of_many_are_too_few_when_the_time_is_over),
        cmocka_unit_test(test_of_five_of_which_three_are_gone_two_can_judge),
        cmocka_unit_test(test_of_few_our_own_vote_has_a_place_among_three_of_others),
        cmocka_unit_test(test_who_says_little_of_the_dead_is_told_the_rest),
        cmocka_unit_test(test_of_two_who_know_the_verdict_one_at_most_tells_the_other),
        cmocka_unit_test(test_who_was_refuted_too_often_has_no_vote),
        cmocka_unit_test(test_two_voices_are_spread),
        cmocka_unit_test(test_whoever_is_accused_hears_of_it_with_every_packet),
        cmocka_unit_test(test_our_lone_suspicion_is_withdrawn_when_another_reaches_it),
        cmocka_unit_test(test_reached_does_not_outvote_two),
        cmocka_unit_test(test_a_pause_of_our_own_is_added_to_every_suspicion),
        cmocka_unit_test(test_one_who_missed_an_accusation_is_reminded),
        cmocka_unit_test(test_a_reminder_says_each_accusation_once),
        cmocka_unit_test(test_reminders_go_on_while_there_is_news_but_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
