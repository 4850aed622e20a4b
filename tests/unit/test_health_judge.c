/* Judgements in virtual time. */
#include "cmd/daemon/health_judge.h"

#include "core/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define START_MS 1000u

static const struct config_health how = {
    .interval_ms = 1000, .unhealthy_after = 3, .healthy_after = 2};

/* The judgement after each of the results: '+' passed, '-' failed, a second apart; one letter each:
 * 'u'p or 'd'own, a capital where it changed. */
static void expect(const char *results, const char *judged)
{
    struct health_judge j = {.health = HEALTH_UNKNOWN};
    assert_int_equal(strlen(results), strlen(judged));
    for (size_t i = 0; results[i] != '\0'; i++) {
        bool changed = health_judge_result(&j, &how, results[i] == '+', START_MS + i * 1000);
        char is = j.health == HEALTH_UP ? 'u' : 'd';
        if (changed) is = (char)(is - 'a' + 'A');
        if (is != judged[i]) print_error("result %zu of %s\n", i, results);
        assert_int_equal(is, judged[i]);
    }
}

static void test_the_first_result_counts_at_once(void **state)
{
    (void)state;
    expect("+", "U");
    expect("-", "D");
}

static void test_it_falls_and_rises_by_results_in_a_row(void **state)
{
    (void)state;
    expect("+---", "UuuD");
    expect("+--+--+---", "UuuuuuuuuD");
    expect("-+-++", "DdddU");
}

/* The third change within the window is the last: it goes down, and two passes do not bring it
 * back until ten seconds are over. */
static void test_one_that_flaps_is_held_down_for_ten_seconds(void **state)
{
    (void)state;
    expect("+---++---++++++++++++", "UuuDdUuuDdddddddddddU");
}

static void test_slow_changes_are_not_flapping(void **state)
{
    (void)state;
    struct health_judge j = {.health = HEALTH_UNKNOWN};
    uint64_t now_ms = START_MS;
    (void)health_judge_result(&j, &how, true, now_ms);
    for (unsigned i = 0; i < 20; i++) {
        bool ok = i % 2 == 1;
        now_ms += 16000;
        for (unsigned k = 0; k < 2; k++)
            (void)health_judge_result(&j, &how, ok, now_ms);
        assert_true(health_judge_result(&j, &how, ok, now_ms) != ok);
        assert_int_equal(j.health, ok ? HEALTH_UP : HEALTH_DOWN);
    }
}

/* A mesh of such services is told of at most so many changes, whatever they do. */
static void test_a_service_that_changes_always_costs_few_changes(void **state)
{
    (void)state;
    static const struct config_health quick = {
        .interval_ms = 100, .unhealthy_after = 1, .healthy_after = 1};
    struct health_judge j = {.health = HEALTH_UNKNOWN};
    unsigned changes = 0;
    for (uint64_t i = 0; i < 6000; i++) /* ten minutes */
        changes += health_judge_result(&j, &quick, i % 2 == 0, START_MS + i * 100);
    assert_true(changes <= 4 * (600 / 10 + 1));
    assert_true(changes >= 60);
}

/* Hosts that started together do not check together. */
static void test_the_next_check_is_an_interval_away_give_or_take_a_tenth(void **state)
{
    (void)state;
    struct rng rng;
    unsigned below = 0, count = 20000;
    uint64_t least = UINT64_MAX, most = 0;
    rng_seed(&rng, 11);
    for (unsigned i = 0; i < count; i++) {
        uint64_t next = health_judge_next_ms(&how, START_MS, &rng) - START_MS;
        assert_in_range(next, 900, 1100);
        below += next < 1000;
        least = next < least ? next : least;
        most = next > most ? next : most;
    }
    assert_in_range(below, count * 47 / 100, count * 53 / 100);
    assert_true(least < 905 && most > 1095);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_result_counts_at_once),
        cmocka_unit_test(test_it_falls_and_rises_by_results_in_a_row),
        cmocka_unit_test(test_one_that_flaps_is_held_down_for_ten_seconds),
        cmocka_unit_test(test_slow_changes_are_not_flapping),
        cmocka_unit_test(test_a_service_that_changes_always_costs_few_changes),
        cmocka_unit_test(test_the_next_check_is_an_interval_away_give_or_take_a_tenth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
