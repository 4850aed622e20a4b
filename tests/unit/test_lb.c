#include "proxy/traffic/lb.h"

#include "core/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ENDPOINTS 6u

/* One upstream of hand-made endpoints in a view of its own; nothing else of a snapshot matters. */
struct rig {
    struct snapshot_endpoint endpoint[ENDPOINTS];
    struct snapshot_upstream upstream;
    struct snapshot snapshot;
    struct endpoint_table table;
    struct view *view;
    struct rng rng;
    uint64_t now_ms;
    uint64_t tried[LB_TRIED_MAX];
    size_t tried_count;
    unsigned picks[ENDPOINTS];
};

/* NULL: 100 each. */
static void set_weights(struct rig *r, const uint32_t *weight)
{
    r->upstream.weight_max = 0;
    for (size_t i = 0; i < r->upstream.endpoint_count; i++) {
        r->endpoint[i].weight = weight != NULL ? weight[i] : 100;
        if (r->endpoint[i].weight > r->upstream.weight_max)
            r->upstream.weight_max = r->endpoint[i].weight;
    }
}

static void rig_up(struct rig *r, size_t count, enum config_balance balance)
{
    static const struct hash_key key = {{7}};
    *r = (struct rig){.now_ms = 100000};
    for (size_t i = 0; i < count; i++)
        r->endpoint[i] = (struct snapshot_endpoint){
            .id = 100 + i, .weight = 100, .status = ENDPOINT_UP, .local_service = -1};
    r->upstream = (struct snapshot_upstream){
        .balance = balance, .endpoint = r->endpoint, .endpoint_count = count};
    set_weights(r, NULL);
    r->snapshot = (struct snapshot){.upstream = &r->upstream, .upstream_count = 1};
    endpoint_state_table_init(&r->table, &key);
    rng_seed(&r->rng, 1);
    assert_int_equal(view_new(&r->snapshot, &r->table, 1000, &r->view), ERR_OK);
}

static void rig_down(struct rig *r)
{
    assert_ptr_equal(view_unpin(r->view, &r->table), &r->snapshot);
    assert_int_equal(r->table.map.count, 0);
    endpoint_state_table_fini(&r->table);
}

static struct endpoint_state *live(struct rig *r, size_t i)
{
    return view_endpoint(r->view, &r->upstream, i);
}

static enum err pick(struct rig *r, size_t *out)
{
    struct lb_request req = {.view = r->view,
                             .upstream = &r->upstream,
                             .tried = r->tried,
                             .tried_count = r->tried_count,
                             .now_ms = r->now_ms,
                             .rng = &r->rng};
    enum err err = lb_pick(&req, out);
    if (err == ERR_OK) r->picks[*out]++;
    return err;
}

static void pick_many(struct rig *r, unsigned times)
{
    memset(r->picks, 0, sizeof(r->picks));
    for (unsigned i = 0; i < times; i++) {
        size_t at;
        assert_int_equal(pick(r, &at), ERR_OK);
    }
}

static void expect_share(const struct rig *r, size_t i, double share, double within)
{
    double total = 0;
    for (size_t k = 0; k < ENDPOINTS; k++)
        total += r->picks[k];
    double got = r->picks[i] / total;
    if (got < share - within || got > share + within)
        fail_msg("endpoint %zu has %.3f of the picks, not %.3f", i, got, share);
}

static void test_round_robin_is_exact_and_smooth(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r, 3, BALANCE_ROUND_ROBIN);
    set_weights(&r, (const uint32_t[]){5, 1, 1});
    size_t run = 0, before = ENDPOINTS;
    for (unsigned i = 0; i < 700; i++) {
        size_t at;
        assert_int_equal(pick(&r, &at), ERR_OK);
        run = at == before ? run + 1 : 1;
        before = at;
        if (at != 0) assert_int_equal(run, 1);
        assert_true(run <= 5);
    }
    assert_int_equal(r.picks[0], 500);
    assert_int_equal(r.picks[1], 100);
    assert_int_equal(r.picks[2], 100);
    rig_down(&r);
}

/* Of every three in a row each has one, also while one of them is not well. */
static void test_round_robin_goes_on_where_it_was(void **state)
{
    (void)state;
    struct rig r;
    size_t at;
    rig_up(&r, 4, BALANCE_ROUND_ROBIN);
    r.endpoint[2].status = ENDPOINT_DOWN;
    for (unsigned i = 0; i < 30; i++) {
        pick_many(&r, 3);
        for (size_t k = 0; k < 4; k++)
            assert_int_equal(r.picks[k], k != 2);
    }
    /* The one that comes back has its turn within a round. */
    r.endpoint[2].status = ENDPOINT_UP;
    pick_many(&r, 4);
    assert_int_equal(r.picks[2], 1);
    /* A weight that falls takes the shares at once with it. */
    set_weights(&r, (const uint32_t[]){1, 1, 2, 4});
    pick_many(&r, 16);
    set_weights(&r, (const uint32_t[]){1, 1, 1, 1});
    pick_many(&r, 8);
    pick_many(&r, 400);
    for (size_t k = 0; k < 4; k++)
        assert_int_equal(r.picks[k], 100);
    r.endpoint[0].status = r.endpoint[1].status = ENDPOINT_DOWN;
    r.endpoint[2].status = r.endpoint[3].status = ENDPOINT_DRAINING;
    assert_int_equal(pick(&r, &at), ERR_OK);
    assert_true(at < 2);
    rig_down(&r);
}

/* Unequal by as much as may be: exact over whole rounds, and nobody waits for a second one. */
static void test_round_robin_is_exact_for_far_apart_weights(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r, 4, BALANCE_ROUND_ROBIN);
    set_weights(&r, (const uint32_t[]){1, 1000, 10, 500});
    pick_many(&r, 1511 * 20);
    assert_in_range(r.picks[0], 19, 21);
    assert_in_range(r.picks[1], 19990, 20010);
    assert_in_range(r.picks[2], 199, 201);
    assert_in_range(r.picks[3], 9990, 10010);
    rig_down(&r);
}

static void test_workers_do_not_all_begin_with_the_same_endpoint(void **state)
{
    (void)state;
    struct rig r;
    unsigned first[ENDPOINTS] = {0};
    for (uint64_t worker = 0; worker < 600; worker++) {
        size_t at;
        rig_up(&r, ENDPOINTS, BALANCE_ROUND_ROBIN);
        rng_seed(&r.rng, worker);
        assert_int_equal(pick(&r, &at), ERR_OK);
        first[at]++;
        rig_down(&r);
    }
    for (size_t i = 0; i < ENDPOINTS; i++)
        assert_in_range(first[i], 60, 140);
}

static void test_idle_least_loaded_honours_weights(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r, 4, BALANCE_LEAST_LOADED);
    set_weights(&r, (const uint32_t[]){400, 300, 200, 100});
    pick_many(&r, 40000);
    for (size_t i = 0; i < 4; i++)
        expect_share(&r, i, 0.4 - 0.1 * (double)i, 0.02);
    rig_down(&r);
}

/* Every endpoint serves at a speed of its weight: requests in flight stay, then end oldest first.
 */
static void test_loaded_least_loaded_keeps_load_per_weight_level(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r, 4, BALANCE_LEAST_LOADED);
    set_weights(&r, (const uint32_t[]){300, 100, 100, 100});
    for (unsigned i = 0; i < 6000; i++) {
        size_t at;
        assert_int_equal(pick(&r, &at), ERR_OK);
        live(&r, at)->in_flight++;
    }
    for (size_t i = 0; i < 4; i++) {
        double want = 6000.0 * (i == 0 ? 0.5 : 1.0 / 6);
        assert_true(live(&r, i)->in_flight > want * 0.97);
        assert_true(live(&r, i)->in_flight < want * 1.03);
        live(&r, i)->in_flight = 0;
    }
    rig_down(&r);
}

/* Most endpoints are not to be picked, so that draws fail and the survey decides. */
static void test_weights_hold_among_few_of_many(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r, ENDPOINTS, BALANCE_LEAST_LOADED);
    set_weights(&r, (const uint32_t[]){900, 900, 10, 900, 30, 900});
    for (size_t i = 0; i < ENDPOINTS; i++)
        r.endpoint[i].status = i == 2 || i == 4 ? ENDPOINT_UP : ENDPOINT_DOWN;
    pick_many(&r, 20000);
    expect_share(&r, 2, 0.25, 0.02);
    expect_share(&r, 4, 0.75, 0.02);
    rig_down(&r);
}

static void test_a_slow_endpoint_gets_little_of_the_load(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r, 2, BALANCE_LEAST_LOADED);
    live(&r, 1)->in_flight = 50;
    pick_many(&r, 1000);
    assert_int_equal(r.picks[0], 1000);
    live(&r, 1)->in_flight = 0;
    rig_down(&r);
}

/* Ours are few; what its host says of others decides. */
static void test_load_that_others_make_counts_like_ours(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r, 2, BALANCE_LEAST_LOADED);
    endpoint_state_stamped(live(&r, 1), 40, r.now_ms);
    live(&r, 0)->in_flight = 1;
    pick_many(&r, 500);
    assert_int_equal(r.picks[0], 500);
    live(&r, 0)->in_flight = 39;
    pick_many(&r, 500);
    assert_int_equal(r.picks[0], 500);
    r.now_ms += ENDPOINT_LOAD_MS;
    pick_many(&r, 500);
    assert_int_equal(r.picks[1], 500);
    live(&r, 0)->in_flight = 0;
    rig_down(&r);
}

static void answer(struct rig *r, size_t i, uint64_t latency_us, unsigned times)
{
    for (unsigned n = 0; n < times; n++)
        endpoint_state_answered(live(r, i), latency_us, r->now_ms);
}

static void test_a_tie_under_load_goes_to_the_clearly_quicker(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r, 2, BALANCE_LEAST_LOADED);
    answer(&r, 0, 10000, ENDPOINT_ANSWERS);
    answer(&r, 1, 40000, ENDPOINT_ANSWERS - 1);
    pick_many(&r, 4000);
    expect_share(&r, 0, 0.5, 0.04); /* too few answers to tell */
    answer(&r, 1, 40000, 1);
    pick_many(&r, 4000);
    expect_share(&r, 0, 0.5, 0.04); /* nobody waits */
    live(&r, 0)->in_flight = live(&r, 1)->in_flight = 1;
    pick_many(&r, 500);
    assert_int_equal(r.picks[0], 500);
    live(&r, 0)->in_flight = 2;
    pick_many(&r, 500);
    assert_int_equal(r.picks[1], 500);
    live(&r, 0)->in_flight = 1;
    answer(&r, 1, 15000, 100);
    pick_many(&r, 4000);
    expect_share(&r, 0, 0.5, 0.04);
    live(&r, 0)->in_flight = live(&r, 1)->in_flight = 0;
    rig_down(&r);
}

static void test_peak_ewma_weighs_load_by_latency(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r, 2, BALANCE_PEAK_EWMA);
    live(&r, 0)->in_flight = 4;
    pick_many(&r, 300);
    assert_int_equal(r.picks[1], 300); /* latencies are not known: load decides */
    answer(&r, 0, 1000, 1);
    answer(&r, 1, 6000, 1);
    pick_many(&r, 300);
    assert_int_equal(r.picks[0], 300); /* 5 x 1 ms < 1 x 6 ms */
    live(&r, 0)->in_flight = 6;
    pick_many(&r, 300);
    assert_int_equal(r.picks[1], 300);
    live(&r, 0)->in_flight = 0;
    rig_down(&r);
}

static void test_avoid_time_is_skipped_until_it_ends(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r, 3, BALANCE_LEAST_LOADED);
    endpoint_state_failed(live(&r, 1), r.now_ms);
    pick_many(&r, 3000);
    assert_int_equal(r.picks[1], 0);
    expect_share(&r, 0, 0.5, 0.04);
    r.now_ms += ENDPOINT_AVOID_MS - 1;
    pick_many(&r, 100);
    assert_int_equal(r.picks[1], 0);
    r.now_ms += 1;
    pick_many(&r, 3000);
    expect_share(&r, 1, 1.0 / 3, 0.04);
    rig_down(&r);
}

static void test_ranks_are_used_in_order_down_to_the_last_endpoint(void **state)
{
    (void)state;
    /* DOWN and UNREACHABLE share a rank: one of each is avoided here, so the order is whole. */
    static const size_t want[] = {2, 4, 0, 1, 5};
    struct rig r;
    rig_up(&r, ENDPOINTS, BALANCE_ROUND_ROBIN);
    r.endpoint[0].status = ENDPOINT_DOWN;
    r.endpoint[1].status = ENDPOINT_UNREACHABLE;
    r.endpoint[3].status = ENDPOINT_DRAINING;
    r.endpoint[5].status = ENDPOINT_DRAINING;
    endpoint_state_failed(live(&r, 4), r.now_ms);
    endpoint_state_failed(live(&r, 1), r.now_ms);
    endpoint_state_failed(live(&r, 3), r.now_ms);
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        size_t at;
        assert_int_equal(pick(&r, &at), ERR_OK);
        assert_int_equal(at, want[i]);
        assert_int_equal(live(&r, at)->picks_total, 1);
        r.tried[r.tried_count++] = r.endpoint[at].id;
    }
    size_t last;
    assert_int_equal(pick(&r, &last), ERR_OK);
    assert_int_equal(last, 3);
    rig_down(&r);
}

static void test_tried_endpoints_are_never_picked_again(void **state)
{
    (void)state;
    for (unsigned balance = BALANCE_LEAST_LOADED; balance <= BALANCE_ROUND_ROBIN; balance++) {
        struct rig r;
        rig_up(&r, 5, (enum config_balance)balance);
        while (r.tried_count < 5) {
            size_t at;
            assert_int_equal(pick(&r, &at), ERR_OK);
            assert_int_equal(r.picks[at], 1);
            r.tried[r.tried_count++] = r.endpoint[at].id;
        }
        size_t at = 77;
        assert_int_equal(pick(&r, &at), ERR_NO_ENDPOINT);
        assert_int_equal(at, 77);
        rig_down(&r);
    }
}

/* Random states, statuses and tried sets: there is a pick exactly while an untried endpoint is
 * left.
 */
static void test_an_untried_endpoint_is_always_found(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r, ENDPOINTS, BALANCE_LEAST_LOADED);
    for (unsigned round = 0; round < 20000; round++) {
        uint32_t weight[ENDPOINTS];
        size_t at, count = (size_t)rng_below(&r.rng, ENDPOINTS + 1);
        r.upstream.endpoint_count = count;
        r.upstream.balance = round % 2 ? BALANCE_ROUND_ROBIN : BALANCE_LEAST_LOADED;
        for (size_t i = 0; i < count; i++) {
            r.endpoint[i].status = (enum endpoint_status)rng_below(&r.rng, 4);
            weight[i] = (uint32_t)rng_below(&r.rng, 3);
            live(&r, i)->avoid_until_ms = r.now_ms + rng_below(&r.rng, 2);
            live(&r, i)->in_flight = (uint32_t)rng_below(&r.rng, 4);
        }
        set_weights(&r, weight);
        r.tried_count = 0;
        for (size_t i = 0; i < count && r.tried_count < LB_TRIED_MAX; i++)
            if (rng_below(&r.rng, 2) == 0) r.tried[r.tried_count++] = r.endpoint[i].id;
        enum err err = pick(&r, &at);
        assert_int_equal(err, count > r.tried_count ? ERR_OK : ERR_NO_ENDPOINT);
        if (err != ERR_OK) continue;
        for (size_t i = 0; i < r.tried_count; i++)
            assert_int_not_equal(r.tried[i], r.endpoint[at].id);
    }
    r.upstream.endpoint_count = ENDPOINTS;
    for (size_t i = 0; i < ENDPOINTS; i++)
        live(&r, i)->in_flight = 0;
    rig_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_robin_is_exact_and_smooth),
        cmocka_unit_test(test_round_robin_goes_on_where_it_was),
        cmocka_unit_test(test_round_robin_is_exact_for_far_apart_weights),
        cmocka_unit_test(test_workers_do_not_all_begin_with_the_same_endpoint),
        cmocka_unit_test(test_idle_least_loaded_honours_weights),
        cmocka_unit_test(test_loaded_least_loaded_keeps_load_per_weight_level),
        cmocka_unit_test(test_weights_hold_among_few_of_many),
        cmocka_unit_test(test_a_slow_endpoint_gets_little_of_the_load),
        cmocka_unit_test(test_load_that_others_make_counts_like_ours),
        cmocka_unit_test(test_a_tie_under_load_goes_to_the_clearly_quicker),
        cmocka_unit_test(test_peak_ewma_weighs_load_by_latency),
        cmocka_unit_test(test_avoid_time_is_skipped_until_it_ends),
        cmocka_unit_test(test_ranks_are_used_in_order_down_to_the_last_endpoint),
        cmocka_unit_test(test_tried_endpoints_are_never_picked_again),
        cmocka_unit_test(test_an_untried_endpoint_is_always_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
