#include "proxy/traffic/endpoint_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct hash_key key = {{1, 2, 3}};

static void test_state_survives_while_any_view_names_it(void **state)
{
    (void)state;
    struct endpoint_table t;
    endpoint_state_table_init(&t, &key);
    struct endpoint_state *e = endpoint_state_hold(&t, 42);
    assert_non_null(e);
    e->picks_total = 7;
    assert_ptr_equal(endpoint_state_hold(&t, 42), e);
    endpoint_state_release(&t, e);
    assert_ptr_equal(endpoint_state_hold(&t, 42), e);
    assert_int_equal(e->picks_total, 7);
    endpoint_state_release(&t, e);
    endpoint_state_release(&t, e);
    assert_int_equal(t.map.count, 0);
    assert_int_equal(t.slab.objects_live, 0);
    e = endpoint_state_hold(&t, 42);
    assert_int_equal(e->picks_total, 0);
    endpoint_state_release(&t, e);
    endpoint_state_table_fini(&t);
}

static void test_state_stays_while_a_link_or_a_request_uses_it(void **state)
{
    (void)state;
    struct endpoint_table t;
    struct list link = {NULL, NULL};
    endpoint_state_table_init(&t, &key);
    struct endpoint_state *e = endpoint_state_hold(&t, 1);
    assert_non_null(e);
    list_push_back(&e->links, &link);
    e->in_flight = 1;
    endpoint_state_release(&t, e);
    assert_int_equal(t.map.count, 1);
    list_remove(&link);
    endpoint_state_settle(&t, e);
    assert_int_equal(t.map.count, 1);
    e->in_flight = 0;
    endpoint_state_settle(&t, e);
    assert_int_equal(t.map.count, 0);
    endpoint_state_table_fini(&t);
}

static void test_table_is_bounded(void **state)
{
    (void)state;
    struct endpoint_table t;
    endpoint_state_table_init(&t, &key);
    for (uint64_t id = 0; id < ENDPOINT_STATE_MAX; id++)
        assert_non_null(endpoint_state_hold(&t, id));
    assert_null(endpoint_state_hold(&t, ENDPOINT_STATE_MAX));
    struct endpoint_state *known = endpoint_state_hold(&t, 5);
    assert_non_null(known);
    assert_int_equal(known->views, 2);
    endpoint_state_table_fini(&t);
}

static void test_avoid_time_doubles_to_its_bound_and_ends_with_a_success(void **state)
{
    (void)state;
    static const uint64_t want_ms[] = {250, 500, 1000, 2000, 4000, 8000, 10000, 10000};
    struct endpoint_table t;
    endpoint_state_table_init(&t, &key);
    struct endpoint_state *e = endpoint_state_hold(&t, 1);
    assert_non_null(e);
    for (size_t i = 0; i < sizeof(want_ms) / sizeof(want_ms[0]); i++) {
        endpoint_state_failed(e, 1000);
        assert_int_equal(e->avoid_until_ms, 1000 + want_ms[i]);
    }
    e->failures = UINT32_MAX;
    endpoint_state_failed(e, 1000);
    assert_int_equal(e->failures, UINT32_MAX);
    assert_int_equal(e->avoid_until_ms, 11000);
    endpoint_state_succeeded(e);
    assert_int_equal(e->avoid_until_ms, 0);
    endpoint_state_failed(e, 1000);
    assert_int_equal(e->avoid_until_ms, 1250);
    endpoint_state_release(&t, e);
    endpoint_state_table_fini(&t);
}

static void test_others_load_is_what_the_stamp_has_beyond_ours_and_fades(void **state)
{
    (void)state;
    struct endpoint_state e = {.in_flight = 3};
    endpoint_state_stamped(&e, 43, 10000);
    assert_int_equal(endpoint_state_load(&e, 10000), 43);
    e.in_flight = 5;
    assert_int_equal(endpoint_state_load(&e, 10000), 45);
    assert_int_equal(endpoint_state_load(&e, 10000 + ENDPOINT_LOAD_MS / 2), 25);
    assert_int_equal(endpoint_state_load(&e, 10000 + ENDPOINT_LOAD_MS), 5);
    assert_int_equal(endpoint_state_load(&e, UINT64_MAX), 5);
    endpoint_state_stamped(&e, 2, 20000);
    assert_int_equal(endpoint_state_load(&e, 20000), 5);
}

static void test_a_slow_answer_counts_at_once_and_is_forgotten_with_time(void **state)
{
    (void)state;
    struct endpoint_state e = {.in_flight = 0};
    uint64_t now_ms = 5000;
    assert_int_equal(endpoint_state_peak_ns(&e, now_ms), 0);
    endpoint_state_answered(&e, 1000, now_ms);
    endpoint_state_answered(&e, 9000, ++now_ms);
    assert_int_equal(endpoint_state_peak_ns(&e, now_ms) / 1000, 9000);
    endpoint_state_answered(&e, 1000, now_ms);
    assert_int_equal(endpoint_state_peak_ns(&e, now_ms) / 1000, 9000);
    for (unsigned i = 0; i < ENDPOINT_LATENCY_MS; i++)
        endpoint_state_answered(&e, 1000, ++now_ms);
    /* After one time constant e^-1 of the excess is left. */
    assert_in_range(endpoint_state_peak_ns(&e, now_ms) / 1000, 3930, 3955);
    assert_in_range(endpoint_state_peak_ns(&e, now_ms + 3 * ENDPOINT_LATENCY_MS) / 1000, 980, 990);
    assert_int_equal(endpoint_state_peak_ns(&e, UINT64_MAX), 0);
}

static void test_the_mean_counts_once_there_are_answers_enough(void **state)
{
    (void)state;
    struct endpoint_state e = {.in_flight = 0};
    for (unsigned i = 0; i < ENDPOINT_ANSWERS; i++) {
        assert_int_equal(endpoint_state_mean_ns(&e, 5000), 0);
        endpoint_state_answered(&e, i % 2 ? 3000 : 1000, 5000);
    }
    assert_in_range(endpoint_state_mean_ns(&e, 5000) / 1000, 1990, 2010);
    endpoint_state_answered(&e, 18000, 5000);
    assert_in_range(endpoint_state_mean_ns(&e, 5000) / 1000, 2980, 3020);
    endpoint_state_answered(&e, UINT64_MAX, 5000);
    assert_true(endpoint_state_mean_ns(&e, 5000) / 1000000000 < 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_survives_while_any_view_names_it),
        cmocka_unit_test(test_state_stays_while_a_link_or_a_request_uses_it),
        cmocka_unit_test(test_table_is_bounded),
        cmocka_unit_test(test_avoid_time_doubles_to_its_bound_and_ends_with_a_success),
        cmocka_unit_test(test_others_load_is_what_the_stamp_has_beyond_ours_and_fades),
        cmocka_unit_test(test_a_slow_answer_counts_at_once_and_is_forgotten_with_time),
        cmocka_unit_test(test_the_mean_counts_once_there_are_answers_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
