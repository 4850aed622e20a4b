/* Who loses most packets is shunned: gossip.md 3.2, suspicion.h. */
#include "gossip/suspicion.h"
#include "tests/unit/support_gossip.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define ALL   UINT32_MAX
#define FIRST 2u /* of those who accuse peer 1 */
#define LAST  4u

static void say_accusation(struct lab *lab, uint32_t from, const struct accusation *a)
{
    struct message m = {.kind = MESSAGE_ACCUSE, .accusation = *a};
    lab_say(lab, from, &m);
}

/* These find peer 1, as the machine knows it now, to lose most packets. */
static void found_lossy(struct lab *lab, uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i <= last; i++) {
        struct accusation a = lab_accuse_as(lab, 1, i, ACCUSATION_LOSSY);
        say_accusation(lab, i, &a);
    }
}

/* What three say of peer 1 as the machine knows it now, in one accusation. */
static struct accusation proof(struct lab *lab, enum accusation_kind kind)
{
    struct accusation all = lab_accuse_as(lab, 1, FIRST, kind);
    for (uint32_t i = FIRST + 1; i <= LAST; i++) {
        struct accusation a = lab_accuse_as(lab, 1, i, kind);
        assert_true(accusation_add(&all, &a.vote[0]));
    }
    return all;
}

static void refute(struct lab *lab, uint32_t peer)
{
    lab->peer[peer].head.inc++;
    lab_sign(lab, peer);
    struct offer o = {.head = lab->peer[peer].head};
    lab_say_record(lab, 5, &o);
}

static bool is_shunned(struct lab *lab)
{
    return lab_state(lab, 1) == MEMBER_UNREACHABLE && lab_member(lab, 1)->lossy;
}

/* gossip.md 4.1, S10: a packet that came through does not refute what was measured. */
static void test_the_lossy_are_shunned_whatever_they_say_and_then_welcome(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    for (uint32_t i = 2; i <= 4; i++) {
        assert_true(lab_state(&lab, 1) <= MEMBER_SUSPECT);
        struct accusation a = lab_accuse_as(&lab, 1, i, ACCUSATION_LOSSY);
        say_accusation(&lab, i, &a);
    }
    assert_int_equal(lab_state(&lab, 1), MEMBER_UNREACHABLE);
    struct gossip_member seen;
    assert_int_equal(gossip_member_get(lab.g, &lab.peer[1].persona.id, &seen), ERR_OK);
    assert_true(seen.lossy);
    refute(&lab, 1);
    assert_int_equal(lab_state(&lab, 1), MEMBER_UNREACHABLE);
    lab_run(&lab, SUSPICION_SHUN_MS - 1000, ALL);
    assert_int_equal(lab_state(&lab, 1), MEMBER_UNREACHABLE); /* not dead after the hold */
    lab_run(&lab, 2000, ALL);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    lab_fini(&lab);
}

/* What stood against it is void some time after it refuted, and nothing stands anew: neither those
 * who ask for what they missed nor the next rumours hear of it. */
static void test_a_false_vote_against_the_lossy_that_refuted_leaves_nothing(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    found_lossy(&lab, 2, 4);
    refute(&lab, 1);
    assert_int_equal(lab_state(&lab, 1), MEMBER_UNREACHABLE);
    lab_run(&lab, REFUTED_MS, ALL);
    struct accusation forged = lab_accuse_as(&lab, 1, 5, ACCUSATION_LOSSY);
    forged.vote[0].sig[0] ^= 1;
    say_accusation(&lab, 6, &forged);
    assert_null(member_votes(lab_member(&lab, 1)));
    lab_run(&lab, 2000, ALL);
    suspicion_remind(lab.g, lab_member(&lab, 7));
    assert_true(list_empty(&lab.g->digest.accused_list));
    lab_fini(&lab);
}

static void test_the_lossy_that_restart_or_die_are_lossy_no_more(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    for (int again = 0; again < 2; again++) {
        for (uint32_t i = 2; i <= 4; i++) {
            struct accusation a = lab_accuse_as(&lab, 1, i, ACCUSATION_LOSSY);
            say_accusation(&lab, i, &a);
        }
        assert_int_equal(lab_state(&lab, 1), MEMBER_UNREACHABLE);
        if (again == 1) break;
        lab.peer[1].head.epoch++;
        lab_sign(&lab, 1);
        struct offer o = {.head = lab.peer[1].head};
        lab_say_record(&lab, 5, &o);
        assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    }
    for (uint32_t i = 5; i <= 7; i++) {
        struct accusation a = lab_accuse_as(&lab, 1, i, ACCUSATION_REFUSED);
        say_accusation(&lab, i, &a);
    }
    assert_int_equal(lab_state(&lab, 1), MEMBER_DEAD);
    lab_fini(&lab);
}

static void test_silence_of_the_lossy_is_nothing_new(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    found_lossy(&lab, 2, 4);
    refute(&lab, 1);
    lab_run(&lab, 1000, ALL);
    lab_forget(&lab);
    for (uint32_t i = 2; i <= 4; i++) {
        struct accusation a = lab_accuse(&lab, 1, i);
        say_accusation(&lab, i, &a);
    }
    lab_run(&lab, 500, ALL);
    assert_int_equal(lab_count(&lab, LAB_ANYONE, MESSAGE_ACCUSE), 0);
    lab_fini(&lab);
}

/* S10 at 1 000 nodes: the refutation overtakes the votes, and who gets it first hears of them too
 * late. */
static void test_the_votes_that_a_refutation_overtook_still_shun(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    struct accusation a = proof(&lab, ACCUSATION_LOSSY);
    refute(&lab, 1);
    lab_run(&lab, REFUTED_MS / 2, ALL);
    say_accusation(&lab, 6, &a);
    assert_true(is_shunned(&lab));
    assert_int_equal(lab_last(&lab, 6, MESSAGE_RECORD)->offer.head.inc, 1); /* it did not know */
    lab_fini(&lab);
}

static void test_votes_before_and_after_a_refutation_add_up_and_are_told_on(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    found_lossy(&lab, 2, 3);
    refute(&lab, 1);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    lab_forget(&lab);
    found_lossy(&lab, 4, 4);
    assert_true(is_shunned(&lab));
    lab_run(&lab, 500, ALL);
    const struct message *m = lab_last(&lab, LAB_ANYONE, MESSAGE_ACCUSE);
    assert_non_null(m);
    assert_int_equal(m->accusation.inc, 1);
    assert_int_equal(accusation_count(&m->accusation, ACCUSATION_LOSSY), 3);
    assert_int_equal(accusation_count_now(&m->accusation), 1);
    lab_fini(&lab);
}

/* Who keeps signed votes shuns nobody who is well again, not even one that refutes all the time. */
static void test_replayed_votes_of_long_ago_shun_nobody(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    struct accusation a = proof(&lab, ACCUSATION_LOSSY);
    for (uint32_t ms = 0; ms < REFUTED_MS; ms += 1000) {
        refute(&lab, 1);
        lab_run(&lab, 1000, ALL);
    }
    for (uint32_t replay = 0; replay < 3; replay++) {
        struct accusation now = a;
        if (replay == 1) accusation_move(&now, lab_member(&lab, 1)->head->inc);
        if (replay == 2) accusation_move(&now, lab_member(&lab, 1)->head->inc + 1);
        lab_forget(&lab);
        say_accusation(&lab, 6, &now);
        assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
        assert_null(member_votes(lab_member(&lab, 1)));
        lab_run(&lab, 500, ALL);
        assert_int_equal(lab_count(&lab, LAB_ANYONE, MESSAGE_ACCUSE), 0);
    }
    lab_fini(&lab);
}

static void test_the_same_votes_do_not_shun_twice(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    struct accusation a = proof(&lab, ACCUSATION_LOSSY);
    say_accusation(&lab, 6, &a);
    lab_run(&lab, 5000, ALL);
    refute(&lab, 1);
    lab_run(&lab, 5000, ALL);
    say_accusation(&lab, 6, &a);
    lab_run(&lab, SUSPICION_SHUN_MS - 11000, ALL);
    assert_true(is_shunned(&lab));
    lab_run(&lab, 2000, ALL);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    say_accusation(&lab, 6, &a);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    lab_fini(&lab);
}

/* One liar among the watchers does not keep it out with the help of votes that were true. */
static void test_a_single_new_vote_does_not_lengthen_the_shunning(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    found_lossy(&lab, 2, 4);
    lab_run(&lab, 5000, ALL);
    refute(&lab, 1);
    found_lossy(&lab, 5, 6);
    lab_run(&lab, SUSPICION_SHUN_MS - 6000, ALL);
    assert_true(is_shunned(&lab));
    lab_run(&lab, 2000, ALL);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    lab_fini(&lab);
}

static void test_as_many_new_votes_lengthen_the_shunning(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    found_lossy(&lab, 2, 4);
    lab_run(&lab, 5000, ALL);
    refute(&lab, 1);
    found_lossy(&lab, 5, 7);
    lab_run(&lab, SUSPICION_SHUN_MS - 1000, ALL);
    assert_true(is_shunned(&lab));
    lab_run(&lab, 2000, ALL);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    lab_fini(&lab);
}

static void test_silence_of_a_former_incarnation_is_void(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    struct accusation silent = proof(&lab, ACCUSATION_SILENT);
    found_lossy(&lab, 2, 3);
    refute(&lab, 1);
    say_accusation(&lab, 6, &silent);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    /* With what was measured before, one who says now that it is silent is still one. */
    struct accusation a = lab_accuse(&lab, 1, 4);
    say_accusation(&lab, 4, &a);
    lab_run(&lab, 5000, ALL & ~2u);
    assert_true(lab_state(&lab, 1) < MEMBER_UNREACHABLE);
    lab_fini(&lab);
}

static void test_another_life_has_nothing_to_do_with_the_votes(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    struct accusation a = proof(&lab, ACCUSATION_LOSSY);
    refute(&lab, 1);
    lab.peer[1].head.epoch++;
    lab.peer[1].head.inc = 1;
    lab_sign(&lab, 1);
    struct offer o = {.head = lab.peer[1].head};
    lab_say_record(&lab, 5, &o);
    assert_int_equal(lab_member(&lab, 1)->head->epoch, lab.peer[1].head.epoch);
    say_accusation(&lab, 6, &a);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    /* Nor has this life left an incarnation that we know of. */
    a.epoch++;
    for (uint32_t i = 0; i < a.count; i++) {
        const struct persona *who = &lab.peer[FIRST + i].persona;
        accusation_sign(fake_crypto_ops(), persona_key(who), &who->id, &a, ACCUSATION_LOSSY,
                        &a.vote[i]);
    }
    say_accusation(&lab, 6, &a);
    assert_int_equal(lab_state(&lab, 1), MEMBER_ALIVE);
    lab_fini(&lab);
}

/* What is remembered of a refutation takes no memory for longer than it counts. */
static void test_nothing_is_kept_of_who_refuted_long_ago(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    found_lossy(&lab, 2, 3);
    refute(&lab, 1);
    lab_run(&lab, 5000, ALL);
    assert_non_null(lab_member(&lab, 1)->care);
    lab_run(&lab, 2 * REFUTED_MS, ALL);
    assert_null(lab_member(&lab, 1)->care);
    lab_fini(&lab);
}

/* They hear, though little of what they say is heard. */
static void test_the_shunned_are_told_rumours_and_the_silent_are_not(void **state)
{
    (void)state;
    for (int lossy = 0; lossy < 2; lossy++) {
        struct lab lab;
        lab_init(&lab, 8);
        struct accusation a = proof(&lab, lossy ? ACCUSATION_LOSSY : ACCUSATION_SILENT);
        say_accusation(&lab, 6, &a);
        lab_run(&lab, 4000, ALL & ~2u);
        assert_int_equal(lab_state(&lab, 1), MEMBER_UNREACHABLE);
        lab_forget(&lab);
        for (uint32_t i = 2; i <= 4; i++) {
            struct message m = {.kind = MESSAGE_ACCUSE,
                                .accusation = lab_accuse_as(&lab, 7, i, ACCUSATION_REFUSED)};
            lab_say(&lab, i, &m);
        }
        lab_run(&lab, 1500, ALL & ~2u);
        assert_int_equal(lab_count(&lab, 1, MESSAGE_ACCUSE) > 0, lossy);
        lab_fini(&lab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_lossy_are_shunned_whatever_they_say_and_then_welcome),
        cmocka_unit_test(test_a_false_vote_against_the_lossy_that_refuted_leaves_nothing),
        cmocka_unit_test(test_the_lossy_that_restart_or_die_are_lossy_no_more),
        cmocka_unit_test(test_silence_of_the_lossy_is_nothing_new),
        cmocka_unit_test(test_the_votes_that_a_refutation_overtook_still_shun),
        cmocka_unit_test(test_votes_before_and_after_a_refutation_add_up_and_are_told_on),
        cmocka_unit_test(test_replayed_votes_of_long_ago_shun_nobody),
        cmocka_unit_test(test_the_same_votes_do_not_shun_twice),
        cmocka_unit_test(test_a_single_new_vote_does_not_lengthen_the_shunning),
        cmocka_unit_test(test_as_many_new_votes_lengthen_the_shunning),
        cmocka_unit_test(test_silence_of_a_former_incarnation_is_void),
        cmocka_unit_test(test_another_life_has_nothing_to_do_with_the_votes),
        cmocka_unit_test(test_nothing_is_kept_of_who_refuted_long_ago),
        cmocka_unit_test(test_the_shunned_are_told_rumours_and_the_silent_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
