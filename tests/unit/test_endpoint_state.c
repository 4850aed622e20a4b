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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_survives_while_any_view_names_it),
        cmocka_unit_test(test_state_stays_while_a_link_or_a_request_uses_it),
        cmocka_unit_test(test_table_is_bounded),
        cmocka_unit_test(test_avoid_time_doubles_to_its_bound_and_ends_with_a_success),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
