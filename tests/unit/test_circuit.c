#include "proxy/traffic/outlier.h"

#include "core/base/check.h"
#include "proxy/traffic/lb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ENDPOINTS 4u
#define OK        true
#define BAD       false

struct rig {
    struct snapshot_endpoint endpoint[ENDPOINTS];
    struct snapshot_upstream upstream;
    struct snapshot snapshot;
    struct endpoint_table table;
    struct view *view;
    struct rng rng;
    uint64_t now_ms;
};

static struct rig rig;

static int setup(void **state)
{
    static const struct hash_key key = {{5}};
    (void)state;
    rig = (struct rig){.now_ms = 1000000};
    for (size_t i = 0; i < ENDPOINTS; i++)
        rig.endpoint[i] = (struct snapshot_endpoint){
            .id = 100 + i, .weight = 100, .status = ENDPOINT_UP, .local_service = -1};
    rig.upstream = (struct snapshot_upstream){
        .endpoint = rig.endpoint,
        .endpoint_count = ENDPOINTS,
        .weight_max = 100,
        .eject = {.after = 5, .for_ms = 10000, .max_percent = 50},
    };
    rig.snapshot = (struct snapshot){.upstream = &rig.upstream, .upstream_count = 1};
    endpoint_state_table_init(&rig.table, &key);
    rng_seed(&rig.rng, 1);
    assert_int_equal(view_new(&rig.snapshot, &rig.table, rig.now_ms, &rig.view), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_ptr_equal(view_unpin(rig.view, &rig.table), &rig.snapshot);
    endpoint_state_table_fini(&rig.table);
    return 0;
}

static struct circuit *circuit(size_t i)
{
    return &view_endpoint(rig.view, &rig.upstream, i)->circuit;
}

static enum circuit_change report(size_t i, bool ok)
{
    return outlier_report(rig.view, &rig.upstream, i, ok, false, rig.now_ms);
}

static void fail_times(size_t i, unsigned times)
{
    for (unsigned n = 0; n < times; n++)
        (void)report(i, BAD);
}

/* Share of endpoint `i` of many picks; picked is what a pick makes of a circuit, once. */
static unsigned picks_of(size_t i, unsigned times)
{
    unsigned n = 0;
    struct lb_request req = {
        .view = rig.view, .upstream = &rig.upstream, .now_ms = rig.now_ms, .rng = &rig.rng};
    for (unsigned k = 0; k < times; k++) {
        size_t at;
        assert_int_equal(lb_pick(&req, &at), ERR_OK);
        n += at == i;
    }
    return n;
}

static void test_failures_in_a_row_open_it_and_it_gets_nothing(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(report(1, BAD), CIRCUIT_SAME);
    assert_int_equal(report(1, OK), CIRCUIT_SAME);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(report(1, BAD), CIRCUIT_SAME);
    assert_int_equal(report(1, BAD), CIRCUIT_OPENED);
    assert_int_equal(circuit(1)->state, CIRCUIT_OPEN);
    assert_int_equal(circuit(1)->cause, CIRCUIT_CONSECUTIVE);
    assert_int_equal(picks_of(1, 500), 0);
    /* Answers to what was sent before prove nothing. */
    assert_int_equal(report(1, OK), CIRCUIT_SAME);
    assert_int_equal(report(1, BAD), CIRCUIT_SAME);
    assert_int_equal(picks_of(1, 500), 0);
}

static void test_one_probe_decides_when_the_time_is_over(void **state)
{
    (void)state;
    fail_times(1, 5);
    rig.now_ms += 9999;
    assert_false(circuit_picked(circuit(1), rig.now_ms));
    rig.now_ms += 1;
    assert_true(picks_of(1, 500) > 0);
    assert_true(circuit_picked(circuit(1), rig.now_ms));
    assert_int_equal(circuit(1)->state, CIRCUIT_HALF_OPEN);
    assert_int_equal(picks_of(1, 500), 0); /* the probe is under way */
    assert_false(circuit_picked(circuit(1), rig.now_ms));
    circuit_unproved(circuit(1)); /* its client went away */
    assert_true(circuit_picked(circuit(1), rig.now_ms));
    assert_int_equal(outlier_report(rig.view, &rig.upstream, 1, OK, true, rig.now_ms),
                     CIRCUIT_CLOSES);
    assert_true(picks_of(1, 500) > 50);
    fail_times(1, 4);
    assert_int_equal(circuit(1)->state, CIRCUIT_CLOSED);
}

static void test_each_failed_probe_keeps_it_open_for_longer(void **state)
{
    (void)state;
    fail_times(1, 5);
    for (unsigned times = 2; times <= 12; times++) {
        rig.now_ms = circuit(1)->until_ms;
        assert_true(circuit_picked(circuit(1), rig.now_ms));
        assert_int_equal(outlier_report(rig.view, &rig.upstream, 1, BAD, true, rig.now_ms),
                         CIRCUIT_SAME);
        unsigned want = times < CIRCUIT_TIMES_MAX ? times : CIRCUIT_TIMES_MAX;
        assert_int_equal(circuit(1)->until_ms - rig.now_ms, 10000 * want);
    }
}

/* Two of four may be ejected. With the third all are in rotation again: it is not the endpoints. */
static void test_too_many_open_circuits_eject_nobody(void **state)
{
    (void)state;
    struct edge_state *edge = view_edge(rig.view, &rig.upstream);
    fail_times(0, 5);
    fail_times(1, 5);
    assert_int_equal(picks_of(0, 500) + picks_of(1, 500), 0);
    assert_false(edge->suspended);
    fail_times(2, 5);
    assert_true(edge->suspended);
    fail_times(3, 5);
    for (size_t i = 0; i < ENDPOINTS; i++)
        assert_in_range(picks_of(i, 4000), 800, 1200);
    /* The first success of one that is held closes it. */
    assert_int_equal(report(3, OK), CIRCUIT_CLOSES);
    assert_true(edge->suspended);
    assert_int_equal(report(2, OK), CIRCUIT_CLOSES);
    assert_false(edge->suspended);
    assert_int_equal(picks_of(0, 500) + picks_of(1, 500), 0);
}

static void test_the_only_endpoint_is_never_ejected(void **state)
{
    (void)state;
    rig.upstream.endpoint_count = 1;
    fail_times(0, 50);
    assert_int_equal(circuit(0)->state, CIRCUIT_OPEN);
    assert_true(circuit(0)->held);
    assert_int_equal(picks_of(0, 100), 100);
    rig.upstream.endpoint_count = ENDPOINTS;
}

static void test_rate_ejects_who_fails_more_than_the_others(void **state)
{
    (void)state;
    rig.upstream.eject.after = 0;
    rig.upstream.eject.rate_percent = 40;
    for (unsigned i = 0; i < 60; i++)
        for (size_t at = 0; at < ENDPOINTS; at++)
            (void)report(at, i % 2 == 0 ? BAD : OK);
    for (size_t at = 0; at < ENDPOINTS; at++)
        assert_int_equal(circuit(at)->state, CIRCUIT_CLOSED); /* all alike */
    rig.now_ms += CIRCUIT_WINDOW_MS;
    for (unsigned i = 0; i < 40; i++)
        for (size_t at = 0; at < ENDPOINTS; at++)
            (void)report(at, at == 2 && i % 2 == 0 ? BAD : OK);
    assert_int_equal(circuit(2)->state, CIRCUIT_OPEN);
    assert_int_equal(circuit(2)->cause, CIRCUIT_RATE);
    assert_int_equal(circuit(1)->state, CIRCUIT_CLOSED);
}

static void test_latency_ejects_who_is_much_slower(void **state)
{
    (void)state;
    rig.upstream.eject.latency_times = 4;
    for (unsigned i = 0; i < 100; i++) {
        rig.now_ms += 50;
        for (size_t at = 0; at < ENDPOINTS; at++) {
            struct endpoint_state *e = view_endpoint(rig.view, &rig.upstream, at);
            endpoint_state_answered(e, at == 3 ? 100000 : at == 2 ? 30000 : 10000, rig.now_ms);
            (void)report(at, OK);
        }
    }
    assert_int_equal(circuit(3)->state, CIRCUIT_OPEN);
    assert_int_equal(circuit(3)->cause, CIRCUIT_LATENCY);
    assert_int_equal(circuit(2)->state, CIRCUIT_CLOSED);
}

static void test_a_reset_and_a_new_life_close_it(void **state)
{
    (void)state;
    struct view *next;
    for (unsigned how = 0; how <= 1; how++) {
        fail_times(1, 5);
        assert_int_equal(circuit(1)->state, CIRCUIT_OPEN);
        if (how == 0) rig.upstream.resets++;
        for (unsigned up = 0; up <= 1; up++) {
            if (how == 1) rig.endpoint[1].status = up ? ENDPOINT_UP : ENDPOINT_DOWN;
            assert_int_equal(view_new(&rig.snapshot, &rig.table, rig.now_ms, &next), ERR_OK);
            assert_ptr_equal(view_unpin(rig.view, &rig.table), &rig.snapshot);
            rig.view = next;
        }
        assert_int_equal(circuit(1)->state, CIRCUIT_CLOSED);
    }
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_failures_in_a_row_open_it_and_it_gets_nothing),
        ROW(test_one_probe_decides_when_the_time_is_over),
        ROW(test_each_failed_probe_keeps_it_open_for_longer),
        ROW(test_too_many_open_circuits_eject_nobody),
        ROW(test_the_only_endpoint_is_never_ejected),
        ROW(test_rate_ejects_who_fails_more_than_the_others),
        ROW(test_latency_ejects_who_is_much_slower),
        ROW(test_a_reset_and_a_new_life_close_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
