#include "proxy/snapshot/subset.h"

#include "core/base/check.h"
#include "core/base/hash.h"
#include "proxy/traffic/lb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ENDPOINTS 200u

struct rig {
    struct config_upstream from;
    struct config_split split[2];
    struct snapshot_endpoint endpoint[ENDPOINTS];
    struct snapshot_upstream to;
    struct snapshot snapshot;
    struct endpoint_table table;
    struct view *view;
    struct arena arena;
    struct rng rng;
    uint32_t worker, workers;
    unsigned picks[ENDPOINTS];
};

static struct rig rig;

static void rig_up(size_t count)
{
    static const struct hash_key key = {{9}};
    rig = (struct rig){.from = {.aperture = CONFIG_APERTURE, .split = rig.split}};
    for (size_t i = 0; i < count; i++)
        rig.endpoint[i] = (struct snapshot_endpoint){
            .id = hash_mix(i + 1), .weight = 100, .status = ENDPOINT_UP, .local_service = -1};
    rig.to = (struct snapshot_upstream){
        .endpoint = rig.endpoint, .endpoint_count = count, .weight_max = 100};
    arena_init(&rig.arena, 65536, 1u << 20);
    rng_seed(&rig.rng, 4);
    endpoint_state_table_init(&rig.table, &key);
}

static void build(uint64_t self)
{
    assert_int_equal(subset_build(&rig.from, self, &rig.arena, &rig.to), ERR_OK);
    rig.snapshot = (struct snapshot){.upstream = &rig.to, .upstream_count = 1};
}

static void pick_many(unsigned times)
{
    assert_int_equal(view_new(&rig.snapshot, &rig.table, 1000, &rig.view), ERR_OK);
    struct lb_request req = {.view = rig.view,
                             .upstream = &rig.to,
                             .worker = rig.worker,
                             .workers = rig.workers,
                             .now_ms = 1000,
                             .rng = &rig.rng};
    memset(rig.picks, 0, sizeof rig.picks);
    for (unsigned i = 0; i < times; i++) {
        size_t at;
        assert_int_equal(lb_pick(&req, &at), ERR_OK);
        rig.picks[at]++;
    }
    assert_ptr_equal(view_unpin(rig.view, &rig.table), &rig.snapshot);
}

static void rig_down(void)
{
    endpoint_state_table_fini(&rig.table);
    arena_fini(&rig.arena);
}

static unsigned sum(size_t from, size_t to)
{
    unsigned n = 0;
    for (size_t i = from; i < to; i++)
        n += rig.picks[i];
    return n;
}

static unsigned used(void)
{
    unsigned n = 0;
    for (size_t i = 0; i < ENDPOINTS; i++)
        n += rig.picks[i] > 0;
    return n;
}

static void test_a_small_service_of_one_zone_is_one_pool(void **state)
{
    (void)state;
    rig_up(CONFIG_APERTURE);
    build(1);
    assert_int_equal(rig.to.group_count, 0);
    assert_false(rig.to.panic);
    rig_down();
}

static void test_requests_stay_in_the_zone_while_it_is_well(void **state)
{
    (void)state;
    /* Of ten near endpoints so many are up, and this share of requests stays. */
    static const struct {
        size_t up;
        double share;
    } row[] = {{10, 1}, {7, 1}, {6, 0.857}, {3, 0.428}, {0, 0}};
    for (size_t r = 0; r < ARRAY_LEN(row); r++) {
        rig_up(20);
        for (size_t i = 0; i < 10; i++) {
            rig.endpoint[i].near = true;
            rig.endpoint[i].status = i < row[r].up ? ENDPOINT_UP : ENDPOINT_DOWN;
        }
        build(1);
        pick_many(10000);
        double got = sum(0, 10) / 10000.0;
        if (got < row[r].share - 0.02 || got > row[r].share + 0.02)
            fail_msg("%zu up: %.3f", row[r].up, got);
        assert_int_equal(sum(row[r].up, 10), 0);
        rig_down();
    }
}

static void test_a_zone_with_all_there_is_keeps_all(void **state)
{
    (void)state;
    rig_up(6);
    for (size_t i = 0; i < 3; i++)
        rig.endpoint[i].near = true;
    for (size_t i = 2; i < 6; i++)
        rig.endpoint[i].status = ENDPOINT_DOWN;
    build(1);
    pick_many(1000);
    assert_int_equal(sum(0, 2), 1000);
    rig_down();
}

static void test_a_panic_spreads_over_those_that_are_down_too(void **state)
{
    (void)state;
    rig_up(20);
    rig.from.panic_percent = 10;
    for (size_t i = 2; i < 20; i++)
        rig.endpoint[i].status = i % 2 ? ENDPOINT_DOWN : ENDPOINT_UNREACHABLE;
    build(1);
    pick_many(2000);
    assert_int_equal(sum(0, 2), 2000); /* a tenth is up: no panic */
    rig.endpoint[1].status = ENDPOINT_DOWN;
    build(1);
    assert_true(rig.to.panic);
    pick_many(20000);
    for (size_t i = 0; i < 20; i++)
        assert_in_range(rig.picks[i], 800, 1200);
    rig_down();
}

/* 5 % and 20 % of the requests for two versions, the rest for what is neither. */
static void test_a_split_has_its_percentages(void **state)
{
    (void)state;
    static struct service_tag v2 = {"version", "2"}, v3 = {"version", "3"};
    rig_up(9);
    rig.split[0] = (struct config_split){.tag = &v2, .tag_count = 1, .percent = 5};
    rig.split[1] = (struct config_split){.tag = &v3, .tag_count = 1, .percent = 20};
    rig.from.split_count = 2;
    assert_int_equal(subset_group(&rig.from, &v2, 1), 1);
    assert_int_equal(subset_group(&rig.from, &v3, 1), 2);
    assert_int_equal(subset_group(&rig.from, NULL, 0), 0);
    rig.endpoint[0].group = 1;
    rig.endpoint[1].group = rig.endpoint[2].group = 2;
    build(1);
    pick_many(40000);
    assert_in_range(sum(0, 1), 1800, 2200);
    assert_in_range(sum(1, 3), 7700, 8300);
    /* A version of which none is up leaves its share to the others. */
    rig.endpoint[0].status = ENDPOINT_DOWN;
    build(1);
    pick_many(4000);
    assert_int_equal(rig.picks[0], 0);
    rig_down();
}

static void test_an_aperture_bounds_the_endpoints_of_a_host(void **state)
{
    (void)state;
    unsigned callers[ENDPOINTS] = {0}, least = UINT32_MAX, most = 0;
    for (uint64_t host = 0; host < 400; host++) {
        rig_up(ENDPOINTS);
        build(hash_mix(1000 + host));
        pick_many(2000);
        assert_int_equal(used(), CONFIG_APERTURE);
        for (size_t i = 0; i < ENDPOINTS; i++)
            callers[i] += rig.picks[i] > 0;
        rig_down();
    }
    for (size_t i = 0; i < ENDPOINTS; i++) {
        if (callers[i] < least) least = callers[i];
        if (callers[i] > most) most = callers[i];
    }
    /* 40 callers each in the mean, binomial: within four and a half deviations. */
    assert_in_range(least, 13, 40);
    assert_in_range(most, 40, 67);
}

static void test_one_that_goes_changes_one_of_an_aperture(void **state)
{
    (void)state;
    unsigned before[ENDPOINTS];
    unsigned changed = 0;
    size_t gone = 0;
    rig_up(ENDPOINTS);
    build(7);
    pick_many(4000);
    memcpy(before, rig.picks, sizeof before);
    while (before[gone] == 0)
        gone++;
    rig.endpoint[gone].status = ENDPOINT_DOWN;
    build(7);
    pick_many(4000);
    for (size_t i = 0; i < ENDPOINTS; i++)
        changed += (before[i] > 0) != (rig.picks[i] > 0);
    assert_int_equal(changed, 2);
    rig_down();
}

/* Requests are balanced one by one, so a newcomer has its share of all callers together with the
 * first snapshot that names it, though each calls 20 of 200; who calls it has let one other go. */
static void test_a_newcomer_has_its_share_at_once(void **state)
{
    (void)state;
    const unsigned hosts = 400, each = 200;
    unsigned callers = 0;
    size_t before = 0, after = 0;
    for (uint64_t host = 0; host < hosts; host++) {
        rig_up(ENDPOINTS);
        rig.endpoint[77].status = ENDPOINT_DOWN;
        build(hash_mix(1000 + host));
        pick_many(each);
        before += rig.picks[77];
        rig.endpoint[77].status = ENDPOINT_UP;
        build(hash_mix(1000 + host));
        pick_many(each); /* at the same moment */
        after += rig.picks[77];
        callers += rig.picks[77] > 0;
        assert_true(used() <= CONFIG_APERTURE);
        rig_down();
    }
    assert_int_equal(before, 0);
    assert_in_range(callers, 13, 67); /* 40 in the mean */
    assert_in_range(after, callers * each / CONFIG_APERTURE * 3 / 4,
                    callers * each / CONFIG_APERTURE * 5 / 4);
}

static void test_tags_must_all_be_there(void **state)
{
    (void)state;
    static const struct service_tag have[] = {{"a", "1"}, {"b", "2"}};
    static const struct service_tag want[] = {{"b", "2"}, {"a", "1"}, {"c", "3"}};
    assert_true(subset_tagged(want, 0, NULL, 0));
    assert_true(subset_tagged(want, 2, have, 2));
    assert_false(subset_tagged(want, 3, have, 2));
    assert_false(subset_tagged(want, 1, have, 1));
}

/* What worker `w` of `workers` uses of a large service; noted in `seen`. */
static unsigned used_by(uint32_t w, uint32_t workers, enum config_balance balance, bool *seen)
{
    rig.worker = w;
    rig.workers = workers;
    rig.to.balance = balance;
    pick_many(2000);
    for (size_t i = 0; i < ENDPOINTS; i++)
        seen[i] |= rig.picks[i] > 0;
    return used();
}

static void test_workers_share_an_aperture_out(void **state)
{
    static const enum config_balance balances[] = {BALANCE_LEAST_LOADED, BALANCE_ROUND_ROBIN};
    (void)state;
    for (uint32_t workers = 1; workers <= 64; workers *= 2) {
        for (size_t b = 0; b < ARRAY_LEN(balances); b++) {
            bool seen[ENDPOINTS] = {false};
            unsigned all = 0;
            rig_up(ENDPOINTS);
            build(1);
            uint32_t each = CONFIG_APERTURE / workers;
            if (each < LB_SLICE_MIN) each = LB_SLICE_MIN;
            for (uint32_t w = 0; w < workers; w++)
                assert_int_equal(used_by(w, workers, balances[b], seen), each);
            for (size_t i = 0; i < ENDPOINTS; i++)
                all += seen[i];
            assert_int_equal(all, CONFIG_APERTURE);
            rig_down();
        }
    }
}

/* Where nobody of a worker's own is up, it takes the others' of the pool. */
static void test_a_worker_whose_slice_is_gone_uses_the_pool(void **state)
{
    (void)state;
    bool seen[ENDPOINTS] = {false}, later[ENDPOINTS] = {false};
    rig_up(ENDPOINTS);
    build(1);
    assert_int_equal(used_by(1, 2, BALANCE_LEAST_LOADED, seen), CONFIG_APERTURE / 2);
    for (size_t i = 0; i < ENDPOINTS; i++)
        if (seen[i]) rig.endpoint[i].status = ENDPOINT_DOWN;
    assert_int_equal(used_by(1, 2, BALANCE_LEAST_LOADED, later), CONFIG_APERTURE / 2);
    for (size_t i = 0; i < ENDPOINTS; i++)
        assert_false(seen[i] && later[i]);
    rig_down();
}

static void test_a_service_that_fits_is_everybodys(void **state)
{
    (void)state;
    bool seen[ENDPOINTS] = {false};
    rig_up(CONFIG_APERTURE);
    build(1);
    assert_int_equal(used_by(1, 2, BALANCE_LEAST_LOADED, seen), CONFIG_APERTURE);
    rig_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_small_service_of_one_zone_is_one_pool),
        cmocka_unit_test(test_requests_stay_in_the_zone_while_it_is_well),
        cmocka_unit_test(test_a_zone_with_all_there_is_keeps_all),
        cmocka_unit_test(test_a_panic_spreads_over_those_that_are_down_too),
        cmocka_unit_test(test_a_split_has_its_percentages),
        cmocka_unit_test(test_an_aperture_bounds_the_endpoints_of_a_host),
        cmocka_unit_test(test_one_that_goes_changes_one_of_an_aperture),
        cmocka_unit_test(test_a_newcomer_has_its_share_at_once),
        cmocka_unit_test(test_tags_must_all_be_there),
        cmocka_unit_test(test_workers_share_an_aperture_out),
        cmocka_unit_test(test_a_worker_whose_slice_is_gone_uses_the_pool),
        cmocka_unit_test(test_a_service_that_fits_is_everybodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
