/* Retry storms in virtual time: a chain of services, each calling the next through the balancer,
 * the circuits, the retry filter and the budget as http/attempt does, and a leaf that fails. */
#include "core/base/check.h"
#include "proxy/filters/retry.h"
#include "proxy/traffic/lb.h"
#include "proxy/traffic/outlier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HOPS      3u
#define ENDPOINTS 3u
#define START_MS  1000000u

enum leaf { LEAF_WELL, LEAF_503, LEAF_DEAD, LEAF_ONE_DEAD };

/* What service `h` knows of the one it calls. */
struct hop {
    struct snapshot_endpoint endpoint[ENDPOINTS];
    struct snapshot_upstream upstream;
    struct snapshot snapshot;
    struct endpoint_table table;
    struct view *view;
    const void *conf;
};

struct world {
    struct hop hop[HOPS];
    struct arena arena;
    struct rng rng;
    uint64_t now_ms;
    enum leaf leaf;
    unsigned arrivals;  /* attempts at the leaf */
    uint64_t opened_ms; /* when half of the circuits to the leaf were open; 0: not yet */
};

static struct world world;

static void setup_hop(struct hop *h, uint64_t number)
{
    static const struct hash_key key = {{6}};
    for (size_t i = 0; i < ENDPOINTS; i++)
        h->endpoint[i] = (struct snapshot_endpoint){
            .id = number * 100 + i, .weight = 100, .status = ENDPOINT_UP, .local_service = -1};
    h->upstream = (struct snapshot_upstream){
        .endpoint = h->endpoint,
        .endpoint_count = ENDPOINTS,
        .weight_max = 100,
        .retry = {.tries = 3,
                  .on_connect = true,
                  .on_reset = true,
                  .status = {503},
                  .status_count = 1,
                  .budget_percent = CONFIG_BUDGET_PERCENT},
        .eject = {.after = CONFIG_EJECT_AFTER,
                  .for_ms = CONFIG_EJECT_FOR_MS,
                  .max_percent = CONFIG_EJECT_MAX_PERCENT},
    };
    struct filter_config config = {.direction = DIRECTION_OUTBOUND, .retry = &h->upstream.retry};
    assert_int_equal(retry_filter.compile(&config, &world.arena, &h->conf, NULL), ERR_OK);
    h->snapshot = (struct snapshot){.upstream = &h->upstream, .upstream_count = 1};
    endpoint_state_table_init(&h->table, &key);
    assert_int_equal(view_new(&h->snapshot, &h->table, START_MS, &h->view), ERR_OK);
}

static int setup(void **state)
{
    (void)state;
    world = (struct world){.now_ms = START_MS};
    arena_init(&world.arena, 65536, 64u << 20);
    rng_seed(&world.rng, 12);
    for (size_t h = 0; h < HOPS; h++)
        setup_hop(&world.hop[h], h);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t h = 0; h < HOPS; h++) {
        assert_ptr_equal(view_unpin(world.hop[h].view, &world.hop[h].table),
                         &world.hop[h].snapshot);
        endpoint_state_table_fini(&world.hop[h].table);
    }
    arena_fini(&world.arena);
    return 0;
}

/* The leaf's answer: a status, or 0 when nobody is there. */
static unsigned leaf_answers(size_t at)
{
    world.arrivals++;
    if (world.leaf == LEAF_DEAD || (world.leaf == LEAF_ONE_DEAD && at == 0)) return 0;
    return world.leaf == LEAF_503 ? 503 : 200;
}

static void note_open(const struct hop *h)
{
    unsigned open = 0;
    for (size_t i = 0; i < ENDPOINTS; i++)
        open += view_endpoint(h->view, &h->upstream, i)->circuit.state != CIRCUIT_CLOSED;
    if (open * 2 >= ENDPOINTS && world.opened_ms == 0) world.opened_ms = world.now_ms;
}

/* One request from service `number` to the next; the status its application sees. An application
 * answers 503 when it cannot have what it needs. */
static unsigned call(size_t number)
{
    struct hop *h = &world.hop[number];
    struct edge_state *edge = view_edge(h->view, &h->upstream);
    struct filter_ctx ctx = {.conf = h->conf, .arena = &world.arena};
    struct lb_request req = {
        .view = h->view, .upstream = &h->upstream, .now_ms = world.now_ms, .rng = &world.rng};
    uint64_t tried[LB_TRIED_MAX];
    ctx.state = arena_alloc(&world.arena, retry_filter.state_size);
    assert_non_null(ctx.state);
    req.tried = tried;
    edge_state_request(edge, h->upstream.retry.budget_percent, 1, world.now_ms);
    for (;;) {
        size_t at;
        assert_int_equal(lb_pick(&req, &at), ERR_OK); /* never "none" */
        bool probe =
            circuit_picked(&view_endpoint(h->view, &h->upstream, at)->circuit, world.now_ms);
        tried[req.tried_count++] = h->endpoint[at].id;
        unsigned status = number + 1 == HOPS ? leaf_answers(at) : call(number + 1);
        (void)outlier_report(h->view, &h->upstream, at, status == 200, probe, world.now_ms);
        if (number + 1 == HOPS) note_open(h);
        struct filter_attempt a = {.failure = status == 0 ? REASON_CONN_REFUSED : REASON_NONE,
                                   .reached_application = status != 0,
                                   .attempts = (unsigned)req.tried_count,
                                   .replay_safe = true,
                                   .forbidden = edge->suspended,
                                   .status = status};
        bool again = status != 200 && req.tried_count < ENDPOINTS &&
                     retry_filter.attempt_end(&ctx, &a) == FILTER_RETRY &&
                     edge_state_pays(edge, status != 0);
        if (!again) return status == 200 ? 200 : 503;
    }
}

/* `requests` at `rate` a second from the first service; how many failed. */
static unsigned run(unsigned requests, unsigned rate)
{
    unsigned failed = 0;
    for (unsigned i = 0; i < requests; i++) {
        world.now_ms = START_MS + (uint64_t)i * 1000 / rate;
        failed += call(0) != 200;
    }
    return failed;
}

static void expect_amplification(unsigned requests, const char *what)
{
    double factor = (double)world.arrivals / requests;
    print_message("%s: %.3f attempts at the leaf a request\n", what, factor);
    assert_true(factor <= 1.2);
}

static void test_three_hops_and_a_dead_leaf_make_no_storm(void **state)
{
    (void)state;
    world.leaf = LEAF_DEAD;
    assert_int_equal(run(1000, 100), 1000);
    expect_amplification(1000, "leaf dead");
}

static void test_three_hops_and_a_leaf_of_503_make_no_storm(void **state)
{
    (void)state;
    world.leaf = LEAF_503;
    assert_int_equal(run(1000, 100), 1000);
    expect_amplification(1000, "leaf answers 503");
}

static void test_circuits_open_within_a_second(void **state)
{
    (void)state;
    world.leaf = LEAF_503;
    (void)run(100, 100);
    assert_true(world.opened_ms != 0 && world.opened_ms < START_MS + 1000);
}

/* All endpoints fail, so it is none of them: load stays spread over all, and call() has seen that
 * there always is one. */
static void test_a_leaf_that_fails_everywhere_is_still_spread(void **state)
{
    (void)state;
    struct hop *last = &world.hop[HOPS - 1];
    uint64_t picks[ENDPOINTS];
    world.leaf = LEAF_DEAD;
    (void)run(200, 100);
    for (size_t i = 0; i < ENDPOINTS; i++)
        picks[i] = view_endpoint(last->view, &last->upstream, i)->picks_total;
    world.arrivals = 0;
    for (unsigned i = 200; i < 3200; i++) {
        world.now_ms = START_MS + i * 10;
        assert_int_equal(call(0), 503);
    }
    for (size_t i = 0; i < ENDPOINTS; i++) {
        uint64_t got = view_endpoint(last->view, &last->upstream, i)->picks_total - picks[i];
        assert_in_range(got, world.arrivals / ENDPOINTS * 8 / 10,
                        world.arrivals / ENDPOINTS * 12 / 10);
    }
}

static void test_one_dead_endpoint_fails_no_request(void **state)
{
    (void)state;
    world.leaf = LEAF_ONE_DEAD;
    assert_int_equal(run(2000, 100), 0);
    assert_in_range(world.arrivals, 2001, 2020);
}

/* After an outage everything is as before: circuits close, and load is even. */
static void test_recovery_is_complete(void **state)
{
    (void)state;
    struct hop *last = &world.hop[HOPS - 1];
    world.leaf = LEAF_503;
    (void)run(1000, 100);
    world.leaf = LEAF_WELL;
    assert_int_equal(run(12000, 100), 0);
    for (size_t i = 0; i < ENDPOINTS; i++)
        assert_int_equal(view_endpoint(last->view, &last->upstream, i)->circuit.state,
                         CIRCUIT_CLOSED);
    assert_false(view_edge(last->view, &last->upstream)->suspended);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_three_hops_and_a_dead_leaf_make_no_storm),
        ROW(test_three_hops_and_a_leaf_of_503_make_no_storm),
        ROW(test_circuits_open_within_a_second),
        ROW(test_a_leaf_that_fails_everywhere_is_still_spread),
        ROW(test_one_dead_endpoint_fails_no_request),
        ROW(test_recovery_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
