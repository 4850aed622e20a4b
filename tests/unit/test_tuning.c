#include "gossip/tuning.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void test_spread_grows_with_the_logarithm(void **state)
{
    (void)state;
    struct tuning t = tuning_lan(1000);
    assert_int_equal(tuning_spread_ms(&t, 1), 300);
    assert_in_range(tuning_spread_ms(&t, 100), 620, 640); /* gossip.md 3.2: 0.63 s */
    assert_in_range(tuning_spread_ms(&t, 1000), 790, 810);
    assert_in_range(tuning_spread_ms(&t, 10000), 960, 980);
}

static void test_two_nodes_can_judge_each_other(void **state)
{
    (void)state;
    assert_int_equal(tuning_accusers_needed(1), 1);
    assert_int_equal(tuning_accusers_needed(2), 1);
    assert_int_equal(tuning_accusers_needed(3), 1);
    assert_int_equal(tuning_accusers_needed(4), 2);
    assert_int_equal(tuning_accusers_needed(5), 3);
    assert_int_equal(tuning_accusers_needed(1000), 3);
}

static void test_suspicion_shortens_with_every_accuser(void **state)
{
    (void)state;
    struct tuning t = tuning_lan(1000);
    uint32_t min = 2 * tuning_spread_ms(&t, 1000);
    uint32_t one = tuning_suspicion_ms(&t, 1000, 1, 3, 0);
    uint32_t two = tuning_suspicion_ms(&t, 1000, 2, 3, 0);
    assert_true(one < 6 * min);
    assert_true(two < one);
    assert_true(two > min);
    assert_in_range(tuning_suspicion_ms(&t, 1000, 3, 3, 0), min - 1, min + 1);
    assert_in_range(tuning_suspicion_ms(&t, 1000, 9, 3, 0), min - 1, min + 1);
}

static void test_poor_health_lengthens_a_lone_suspicion(void **state)
{
    (void)state;
    struct tuning t = tuning_lan(1000);
    assert_true(tuning_suspicion_ms(&t, 1000, 1, 3, 8) >
                4 * tuning_suspicion_ms(&t, 1000, 1, 3, 0));
    assert_int_equal(tuning_suspicion_ms(&t, 1000, 3, 3, 8),
                     tuning_suspicion_ms(&t, 1000, 3, 3, 0));
}

static void test_retransmits_are_log2_and_four(void **state)
{
    (void)state;
    assert_int_equal(tuning_log2_ceil(0), 0);
    assert_int_equal(tuning_log2_ceil(1), 0);
    assert_int_equal(tuning_log2_ceil(2), 1);
    assert_int_equal(tuning_log2_ceil(3), 2);
    assert_int_equal(tuning_log2_ceil(1024), 10);
    assert_int_equal(tuning_log2_ceil(1025), 11);
    assert_int_equal(tuning_log2_ceil(UINT32_MAX), 32);
    assert_int_equal(tuning_retransmits(1000), 14);
}

static void test_rto_follows_the_peer_between_its_bounds(void **state)
{
    (void)state;
    struct tuning t = tuning_lan(1000);
    struct tuning_rtt none = {0}, peer = {0}, far = {0};
    assert_int_equal(tuning_rto_ms(&t, &none, &none), t.rto_first_ms);
    for (int i = 0; i < 50; i++) {
        tuning_rtt_sample(&peer, 1000);
        tuning_rtt_sample(&far, 700000);
    }
    assert_in_range(peer.srtt_us, 900, 1100);
    assert_int_equal(tuning_rto_ms(&t, &peer, &none), t.rto_min_ms);
    assert_int_equal(tuning_rto_ms(&t, &far, &none), t.rto_max_ms);
}

static void test_the_least_rto_learns_how_late_answers_come(void **state)
{
    (void)state;
    struct tuning t = tuning_lan(1000);
    uint32_t late = 0, answers = 20000;
    assert_int_equal(t.rto_min_ms, 20);
    for (uint32_t i = 0; i < answers; i++) {
        bool stalled = i % 10 == 0; /* one in ten takes 60 ms */
        late += stalled && t.rto_min_ms < 60;
        tuning_rto_adapt(&t, stalled && t.rto_min_ms < 60);
        assert_in_range(t.rto_min_ms, 20, 150);
    }
    assert_true(late < answers / 80);
    for (int i = 0; i < 3000; i++)
        tuning_rto_adapt(&t, false);
    assert_int_equal(t.rto_min_ms, 20);
    for (int i = 0; i < 20; i++)
        tuning_rto_adapt(&t, true);
    assert_int_equal(t.rto_min_ms, 150);
}

static void test_a_first_contact_is_given_what_others_take_and_more(void **state)
{
    (void)state;
    struct tuning t = tuning_lan(1000);
    struct tuning_rtt none = {0}, others = {30000, 2500};
    assert_int_equal(tuning_rto_ms(&t, &none, &others), 30 + 10 + 1 + t.rto_min_ms);
}

static void test_verdict_is_an_rto_after_the_last_ping_but_at_most_a_period(void **state)
{
    (void)state;
    struct tuning t = tuning_lan(1000);
    assert_int_equal(tuning_verdict_ms(&t, 20, 2, 0), 110);
    assert_int_equal(tuning_verdict_ms(&t, 20, 2, 2), 330);
    assert_int_equal(tuning_verdict_ms(&t, 20, 10, 0), 270);
    assert_int_equal(tuning_verdict_ms(&t, 500, 2, 0), 1000);
}

static void test_the_more_is_lost_the_more_pings_a_verdict_needs(void **state)
{
    (void)state;
    assert_int_equal(tuning_pings(0.0), 2);
    assert_int_equal(tuning_pings(0.0099), 2);
    assert_int_equal(tuning_pings(0.0975), 4);
    assert_int_equal(tuning_pings(0.51), 14);
    assert_int_equal(tuning_pings(1.0), TUNING_PINGS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spread_grows_with_the_logarithm),
        cmocka_unit_test(test_two_nodes_can_judge_each_other),
        cmocka_unit_test(test_suspicion_shortens_with_every_accuser),
        cmocka_unit_test(test_poor_health_lengthens_a_lone_suspicion),
        cmocka_unit_test(test_retransmits_are_log2_and_four),
        cmocka_unit_test(test_rto_follows_the_peer_between_its_bounds),
        cmocka_unit_test(test_the_least_rto_learns_how_late_answers_come),
        cmocka_unit_test(test_a_first_contact_is_given_what_others_take_and_more),
        cmocka_unit_test(test_verdict_is_an_rto_after_the_last_ping_but_at_most_a_period),
        cmocka_unit_test(test_the_more_is_lost_the_more_pings_a_verdict_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
