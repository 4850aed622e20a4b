#include "gossip/awareness.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void test_the_score_stays_between_nought_and_eight(void **state)
{
    (void)state;
    struct awareness a = {0};
    awareness_good(&a);
    assert_int_equal(a.score, 0);
    for (int i = 0; i < 20; i++)
        awareness_bad(&a);
    assert_int_equal(a.score, AWARENESS_SCORE_MAX);
    awareness_good(&a);
    assert_int_equal(a.score, AWARENESS_SCORE_MAX - 1);
}

static void test_after_a_pause_nobody_is_judged_for_a_while(void **state)
{
    (void)state;
    struct awareness a = {0};
    awareness_paused(&a, 5000, 1000);
    assert_int_equal(a.score, 1);
    assert_true(awareness_quiet(&a, 5000));
    assert_true(awareness_quiet(&a, 5999));
    assert_false(awareness_quiet(&a, 6000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_score_stays_between_nought_and_eight),
        cmocka_unit_test(test_after_a_pause_nobody_is_judged_for_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
