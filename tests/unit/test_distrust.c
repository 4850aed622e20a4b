#include "gossip/distrust.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static const struct node_id liar = {{1}}, honest = {{2}};

static void test_the_sixth_refuted_accusation_in_a_minute_mutes_for_ten(void **state)
{
    (void)state;
    struct distrust d = {0};
    for (uint32_t i = 0; i < DISTRUST_REFUTED; i++)
        assert_false(distrust_note(&d, &liar, 1000 + i * 1000));
    assert_false(distrust_muted(&d, &liar, 6000));
    assert_true(distrust_note(&d, &liar, 7000));
    assert_true(distrust_muted(&d, &liar, 7000));
    assert_true(distrust_muted(&d, &liar, 7000 + DISTRUST_MUTED_MS - 1));
    assert_false(distrust_muted(&d, &liar, 7000 + DISTRUST_MUTED_MS));
    assert_false(distrust_muted(&d, &honest, 7000));
}

static void test_a_refuted_accusation_now_and_then_does_no_harm(void **state)
{
    (void)state;
    struct distrust d = {0};
    for (uint32_t i = 0; i < 100; i++)
        assert_false(distrust_note(&d, &honest, 1 + i * (DISTRUST_WINDOW_MS / DISTRUST_REFUTED)));
}

static void test_a_full_table_gives_up_the_one_noted_least_lately(void **state)
{
    (void)state;
    struct distrust d = {0};
    for (uint32_t i = 0; i <= DISTRUST_REFUTED; i++)
        (void)distrust_note(&d, &liar, 5000);
    for (uint32_t i = 0; i < DISTRUST_SLOTS - 1; i++) {
        struct node_id id = {{9, (uint8_t)i}};
        (void)distrust_note(&d, &id, 4000 + i);
    }
    (void)distrust_note(&d, &honest, 6000);
    assert_int_equal(d.used, DISTRUST_SLOTS);
    assert_true(distrust_muted(&d, &liar, 6000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_sixth_refuted_accusation_in_a_minute_mutes_for_ten),
        cmocka_unit_test(test_a_refuted_accusation_now_and_then_does_no_harm),
        cmocka_unit_test(test_a_full_table_gives_up_the_one_noted_least_lately),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
