/* When an idle connection to an application is used again, in virtual time. */
#include "proxy/traffic/keepalive.h"

#include "core/base/check.h"
#include "core/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define NOW UINT64_C(1000000)

static uint64_t safe(const struct keepalive *k, uint64_t now_ms)
{
    return keepalive_limit_ms(k, true, now_ms);
}

static uint64_t risky(const struct keepalive *k, uint64_t now_ms)
{
    return keepalive_limit_ms(k, false, now_ms);
}

static void test_nothing_known_is_below_common_servers(void **state)
{
    (void)state;
    struct keepalive k = {.said_ms = 0};
    assert_int_equal(safe(&k, NOW), KEEPALIVE_UNKNOWN_MS);
    assert_int_equal(risky(&k, NOW), KEEPALIVE_RISKY_MS);
}

static void test_what_it_says_counts_for_a_minute(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        uint64_t safe_ms, risky_ms;
    } cases[] = {
        {"timeout=5", 3750, 2500},
        {"timeout=5, max=1000", 3750, 2500},
        {"max=100 , Timeout = 2", 1500, 1000},
        {"timeout=1", 750, 500},
        {"timeout=0", 0, 0},
        {"timeout=75", 45000, 30000},
        {"timeout=18446744073709551615", 45000, 30000},
        {"timeout=18446744073709551616", KEEPALIVE_UNKNOWN_MS, KEEPALIVE_RISKY_MS},
        {"timeout=-1", KEEPALIVE_UNKNOWN_MS, KEEPALIVE_RISKY_MS},
        {"timeout=", KEEPALIVE_UNKNOWN_MS, KEEPALIVE_RISKY_MS},
        {"timeout", KEEPALIVE_UNKNOWN_MS, KEEPALIVE_RISKY_MS},
        {"max=5", KEEPALIVE_UNKNOWN_MS, KEEPALIVE_RISKY_MS},
        {",,=,", KEEPALIVE_UNKNOWN_MS, KEEPALIVE_RISKY_MS},
        {"", KEEPALIVE_UNKNOWN_MS, KEEPALIVE_RISKY_MS},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct keepalive k = {.said_ms = 0};
        keepalive_said(&k, span_str(cases[i].field), NOW);
        assert_int_equal(safe(&k, NOW), cases[i].safe_ms);
        assert_int_equal(risky(&k, NOW + KEEPALIVE_FADE_MS - 1), cases[i].risky_ms);
        assert_int_equal(safe(&k, NOW + KEEPALIVE_FADE_MS), KEEPALIVE_UNKNOWN_MS);
    }
}

static void test_what_it_did_counts_and_fades(void **state)
{
    (void)state;
    struct keepalive k = {.said_ms = 0};
    keepalive_closed(&k, 1000, NOW);
    assert_int_equal(safe(&k, NOW), 750);
    assert_int_equal(risky(&k, NOW), 500);
    keepalive_closed(&k, 3000, NOW); /* a longer rest says nothing new */
    assert_int_equal(safe(&k, NOW), 750);
    assert_int_equal(safe(&k, NOW + KEEPALIVE_FADE_MS), 1500);
    assert_int_equal(risky(&k, NOW + KEEPALIVE_FADE_MS), KEEPALIVE_RISKY_MS);
    keepalive_closed(&k, 1010, NOW + KEEPALIVE_FADE_MS); /* seen again */
    assert_int_equal(safe(&k, NOW + KEEPALIVE_FADE_MS), 757);
    assert_int_equal(safe(&k, NOW + 20 * KEEPALIVE_FADE_MS), KEEPALIVE_UNKNOWN_MS);
}

static void test_the_shorter_of_both_counts(void **state)
{
    (void)state;
    struct keepalive k = {.said_ms = 0};
    keepalive_said(&k, SPAN_LIT("timeout=30"), NOW);
    keepalive_closed(&k, 2000, NOW);
    assert_int_equal(safe(&k, NOW), 1500);
    keepalive_said(&k, SPAN_LIT("timeout=1"), NOW);
    assert_int_equal(safe(&k, NOW), 750);
}

static void test_who_is_restarted_at_once_has_said_nothing(void **state)
{
    (void)state;
    struct keepalive k = {.said_ms = 0};
    keepalive_closed(&k, KEEPALIVE_LEAST_MS - 1, NOW);
    keepalive_closed(&k, KEEPALIVE_MOST_MS, NOW);
    assert_int_equal(safe(&k, NOW), KEEPALIVE_UNKNOWN_MS);
}

/* An application that closes after `idle_ms`, and requests after rests of any length up to 6 s: how
 * many find the connection closed in their face, of those that rested longer than it bears. */
static unsigned races(uint64_t idle_ms, bool says, bool repeatable, unsigned *reused)
{
    struct keepalive k = {.said_ms = 0};
    struct rng rng;
    uint64_t now_ms = NOW;
    unsigned lost = 0;
    rng_seed(&rng, 5);
    *reused = 0;
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t rest_ms = rng_below(&rng, 6000), limit_ms = safe(&k, now_ms);
        now_ms += rest_ms;
        /* It rests until we close it, or the application does, whose FIN takes 2 ms to be seen:
         * what leaves just before that loses. */
        bool gone = limit_ms <= rest_ms || idle_ms + 2 < rest_ms;
        if (idle_ms < limit_ms && idle_ms + 2 < rest_ms) keepalive_closed(&k, idle_ms, now_ms);
        bool used = !gone && rest_ms < keepalive_limit_ms(&k, repeatable, now_ms);
        bool late = used && rest_ms + 2 >= idle_ms;
        if (late) {
            lost++;
            keepalive_closed(&k, rest_ms, now_ms);
        }
        *reused += used && !late;
        if (says) keepalive_said(&k, SPAN_LIT("timeout=5"), now_ms);
    }
    return lost;
}

static void test_races_are_rare_once_it_is_known(void **state)
{
    (void)state;
    unsigned reused;
    /* 20 000 requests over 16 hours. One that says what it does is never too late for. */
    assert_int_equal(races(5000, true, true, &reused), 0);
    assert_in_range(reused, 20000 / 2, 20000 * 2 / 3);
    assert_int_equal(races(5000, true, false, &reused), 0);
    assert_in_range(reused, 20000 / 3, 20000 / 2);
    /* One that says nothing and closes after 2 s: with 4 s all the time it would be 16. */
    assert_true(races(2000, false, true, &reused) <= 4);
    assert_in_range(reused, 20000 / 5, 20000 / 3);
    assert_int_equal(races(2000, false, false, &reused), 0);
    assert_true(reused > 20000 / 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_known_is_below_common_servers),
        cmocka_unit_test(test_what_it_says_counts_for_a_minute),
        cmocka_unit_test(test_what_it_did_counts_and_fades),
        cmocka_unit_test(test_the_shorter_of_both_counts),
        cmocka_unit_test(test_who_is_restarted_at_once_has_said_nothing),
        cmocka_unit_test(test_races_are_rare_once_it_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
