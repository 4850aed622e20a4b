#include "proxy/snapshot/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ENDPOINTS 4u

/* Two upstreams of two endpoints and a service; the first endpoint is this host's instance of it.
 */
struct rig {
    struct snapshot_endpoint endpoint[ENDPOINTS];
    struct snapshot_upstream upstream[2];
    struct snapshot_service service;
    struct snapshot snapshot;
    struct endpoint_table table;
};

static void rig_up(struct rig *r)
{
    static const struct hash_key key = {{4}};
    *r = (struct rig){.service = {.endpoint_id = 10}};
    for (size_t i = 0; i < ENDPOINTS; i++)
        r->endpoint[i].id = 10 + i;
    r->upstream[0] = (struct snapshot_upstream){.endpoint = r->endpoint, .endpoint_count = 2};
    r->upstream[1] = (struct snapshot_upstream){.endpoint = r->endpoint + 2, .endpoint_count = 2};
    r->snapshot = (struct snapshot){
        .upstream = r->upstream, .upstream_count = 2, .service = &r->service, .service_count = 1};
    endpoint_state_table_init(&r->table, &key);
}

static void test_states_are_found_beside_their_endpoints(void **state)
{
    (void)state;
    struct rig r;
    struct view *v;
    rig_up(&r);
    assert_int_equal(view_new(&r.snapshot, &r.table, 1000, &v), ERR_OK);
    for (size_t i = 0; i < ENDPOINTS; i++)
        assert_int_equal(view_endpoint(v, &r.upstream[i / 2], i % 2)->id, 10 + i);
    assert_ptr_equal(view_endpoints(v, &r.upstream[1])[0], view_endpoint(v, &r.upstream[1], 0));
    /* The instance here is one endpoint, called from outside or in the process. */
    assert_ptr_equal(view_local(v, &r.service), view_endpoint(v, &r.upstream[0], 0));
    assert_ptr_equal(view_unpin(v, &r.table), &r.snapshot);
    assert_int_equal(r.table.map.count, 0);
    endpoint_state_table_fini(&r.table);
}

static void test_the_last_pin_gives_the_snapshot_back(void **state)
{
    (void)state;
    struct rig r;
    struct view *v;
    rig_up(&r);
    assert_int_equal(view_new(&r.snapshot, &r.table, 1000, &v), ERR_OK);
    assert_ptr_equal(view_pin(v), v);
    assert_null(view_unpin(v, &r.table));
    assert_ptr_equal(view_unpin(v, &r.table), &r.snapshot);
    endpoint_state_table_fini(&r.table);
}

static void test_live_state_survives_the_change_of_snapshots(void **state)
{
    (void)state;
    struct rig r;
    struct view *before, *after;
    rig_up(&r);
    assert_int_equal(view_new(&r.snapshot, &r.table, 1000, &before), ERR_OK);
    endpoint_state_failed(view_endpoint(before, &r.upstream[1], 1), 1000);
    /* The next snapshot has lost the third endpoint and moved the fourth. */
    struct snapshot_upstream next_upstream[2] = {r.upstream[0], r.upstream[1]};
    next_upstream[1].endpoint++;
    next_upstream[1].endpoint_count = 1;
    struct snapshot next = r.snapshot;
    next.upstream = next_upstream;
    assert_int_equal(view_new(&next, &r.table, 1000, &after), ERR_OK);
    assert_ptr_equal(view_unpin(before, &r.table), &r.snapshot);
    assert_int_equal(r.table.map.count, 3);
    assert_int_equal(view_endpoint(after, &next_upstream[1], 0)->id, 13);
    assert_int_equal(view_endpoint(after, &next_upstream[1], 0)->avoid_until_ms, 1250);
    assert_ptr_equal(view_unpin(after, &r.table), &next);
    endpoint_state_table_fini(&r.table);
}

static void test_a_full_table_refuses_the_view_and_keeps_nothing(void **state)
{
    (void)state;
    struct rig r;
    struct view *v = NULL;
    rig_up(&r);
    for (uint64_t id = 0; id < ENDPOINT_STATE_MAX - 3; id++)
        assert_non_null(endpoint_state_hold(&r.table, 1000 + id));
    size_t before = r.table.map.count;
    assert_int_equal(view_new(&r.snapshot, &r.table, 1000, &v), ERR_FULL);
    assert_null(v);
    assert_int_equal(r.table.map.count, before);
    endpoint_state_table_fini(&r.table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states_are_found_beside_their_endpoints),
        cmocka_unit_test(test_the_last_pin_gives_the_snapshot_back),
        cmocka_unit_test(test_live_state_survives_the_change_of_snapshots),
        cmocka_unit_test(test_a_full_table_refuses_the_view_and_keeps_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
