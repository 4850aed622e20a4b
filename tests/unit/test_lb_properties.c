/* Statistical properties of the balancer in virtual time: shares, slow start, bounded load, and a
 * queueing model of several callers and endpoints. Seeds are fixed, so every run is the same. */
#include "proxy/traffic/lb.h"

#include "core/base/check.h"
#include "core/base/hash.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define ENDPOINTS 10u
#define CALLERS   4u
#define SERVERS   16u     /* requests that an endpoint works on at once */
#define REQUESTS  120000u /* of a run of the queueing model */
#define WARM_UP   20000u  /* of these are not counted */
#define SERVE_MS  10.0

/* One upstream, and what each caller knows of it. */
struct rig {
    struct snapshot_endpoint endpoint[ENDPOINTS];
    struct snapshot_upstream upstream;
    struct snapshot snapshot[CALLERS];
    struct endpoint_table table[CALLERS];
    struct view *view[CALLERS];
    struct arena arena;
    struct rng rng;
    uint64_t now_ms;
    uint64_t hash;
    bool hashed;
};

static void rig_up(struct rig *r, enum config_balance balance, uint64_t seed)
{
    static const struct hash_key key = {{3}};
    *r = (struct rig){.now_ms = 1000000};
    for (size_t i = 0; i < ENDPOINTS; i++)
        r->endpoint[i] = (struct snapshot_endpoint){
            .id = hash_mix(i + 1), .weight = 100, .status = ENDPOINT_UP, .local_service = -1};
    r->upstream = (struct snapshot_upstream){.balance = balance,
                                             .endpoint = r->endpoint,
                                             .endpoint_count = ENDPOINTS,
                                             .weight_max = 100,
                                             .weight_total = 100ull * ENDPOINTS};
    arena_init(&r->arena, 65536, 1u << 20);
    rng_seed(&r->rng, seed);
    for (size_t c = 0; c < CALLERS; c++) {
        endpoint_state_table_init(&r->table[c], &key);
        r->snapshot[c] = (struct snapshot){.upstream = &r->upstream, .upstream_count = 1};
        assert_int_equal(view_new(&r->snapshot[c], &r->table[c], r->now_ms, &r->view[c]), ERR_OK);
    }
}

static void rig_down(struct rig *r)
{
    for (size_t c = 0; c < CALLERS; c++) {
        assert_ptr_equal(view_unpin(r->view[c], &r->table[c]), &r->snapshot[c]);
        endpoint_state_table_fini(&r->table[c]);
    }
    arena_fini(&r->arena);
}

static struct endpoint_state *live(struct rig *r, size_t caller, size_t i)
{
    return view_endpoint(r->view[caller], &r->upstream, i);
}

static size_t pick(struct rig *r, size_t caller)
{
    struct lb_request req = {.view = r->view[caller],
                             .upstream = &r->upstream,
                             .hashed = r->hashed,
                             .hash = r->hash,
                             .now_ms = r->now_ms,
                             .rng = &r->rng};
    size_t at = 0;
    assert_int_equal(lb_pick(&req, &at), ERR_OK);
    return at;
}

/* --- shares --- */

/* Pearson's chi-square of `picks` picks against the weights. */
static double chi_square(struct rig *r, unsigned picks)
{
    double seen[ENDPOINTS] = {0}, total = 0, sum = 0;
    for (unsigned i = 0; i < picks; i++)
        seen[pick(r, i % CALLERS)]++;
    for (size_t i = 0; i < ENDPOINTS; i++)
        total += r->endpoint[i].weight;
    for (size_t i = 0; i < ENDPOINTS; i++) {
        double want = picks * r->endpoint[i].weight / total;
        sum += (seen[i] - want) * (seen[i] - want) / want;
    }
    return sum;
}

static void test_picks_of_an_idle_service_pass_chi_square(void **state)
{
    (void)state;
    static const enum config_balance policy[] = {BALANCE_LEAST_LOADED, BALANCE_PEAK_EWMA,
                                                 BALANCE_ROUND_ROBIN};
    for (size_t p = 0; p < ARRAY_LEN(policy); p++) {
        struct rig r;
        rig_up(&r, policy[p], 11 + p);
        /* 9 degrees of freedom: 27.9 is passed once in a thousand by chance. */
        double even = chi_square(&r, 100000);
        if (even > 27.9) fail_msg("policy %zu, even weights: %.1f", p, even);
        if (policy[p] == BALANCE_ROUND_ROBIN) assert_true(even < 0.001);
        rig_down(&r);
    }
}

static void test_weighted_draws_pass_chi_square(void **state)
{
    (void)state;
    static const enum config_balance policy[] = {BALANCE_LEAST_LOADED, BALANCE_PEAK_EWMA};
    for (size_t k = 0; k < ARRAY_LEN(policy); k++) {
        struct rig r;
        rig_up(&r, policy[k], 5);
        for (size_t i = 0; i < ENDPOINTS; i++)
            r.endpoint[i].weight = (uint32_t)(10 * (i + 1));
        /* The first draw is by weight and wins every tie. */
        double weighted = chi_square(&r, 100000);
        if (weighted > 27.9) fail_msg("policy %zu: %.1f", k, weighted);
        rig_down(&r);
    }
}

/* --- slow start --- */

/* The share of the newcomer at each twentieth of its slow start, against that of its weight. */
static void expect_ramp(enum config_balance balance, unsigned picks)
{
    struct rig r;
    rig_up(&r, balance, 6);
    uint64_t begun_ms = r.now_ms;
    r.upstream.slow_start_ms = 30000;
    live(&r, 0, 3)->warm_from_ms = begun_ms;
    for (unsigned step = 0; step <= 20; step++) {
        unsigned seen = 0;
        r.now_ms = begun_ms + step * 1500;
        for (unsigned i = 0; i < picks; i++)
            seen += pick(&r, 0) == 3;
        double part = step < 2 ? 0.1 : step / 20.0;
        double want = part / (ENDPOINTS - 1 + part), got = (double)seen / picks;
        if (got < want * 0.95 || got > want * 1.05)
            fail_msg("policy %d at %u/20: %.4f, not %.4f", (int)balance, step, got, want);
    }
    rig_down(&r);
}

static void test_slow_start_is_a_ramp(void **state)
{
    (void)state;
    expect_ramp(BALANCE_LEAST_LOADED, 400000);
    expect_ramp(BALANCE_PEAK_EWMA, 400000);
    expect_ramp(BALANCE_ROUND_ROBIN, 20000);
}

static void test_who_comes_up_beside_others_begins_slowly(void **state)
{
    (void)state;
    struct rig r;
    struct view *next;
    rig_up(&r, BALANCE_LEAST_LOADED, 6);
    assert_int_equal(live(&r, 0, 3)->warm_from_ms, 0); /* all were new */
    for (unsigned up = 0; up <= 1; up++) {
        r.endpoint[3].status = up ? ENDPOINT_UP : ENDPOINT_DOWN;
        r.now_ms += 1000;
        assert_int_equal(view_new(&r.snapshot[0], &r.table[0], r.now_ms, &next), ERR_OK);
        assert_ptr_equal(view_unpin(r.view[0], &r.table[0]), &r.snapshot[0]);
        r.view[0] = next;
    }
    assert_int_equal(live(&r, 0, 3)->warm_from_ms, r.now_ms);
    assert_int_equal(live(&r, 0, 2)->warm_from_ms, 0);
    rig_down(&r);
}

/* --- hash policies --- */

static void hash_up(struct rig *r, enum config_balance balance)
{
    struct lb_table_entry entry[ENDPOINTS];
    rig_up(r, balance, 8);
    for (size_t i = 0; i < ENDPOINTS; i++)
        entry[i] = (struct lb_table_entry){r->endpoint[i].id, r->endpoint[i].weight};
    enum err err = balance == BALANCE_RING
                       ? lb_table_ring(entry, ENDPOINTS, &r->arena, &r->upstream.table)
                       : lb_table_maglev(entry, ENDPOINTS, &r->arena, &r->upstream.table);
    assert_int_equal(err, ERR_OK);
    r->hashed = true;
}

static void test_a_user_stays_and_only_users_of_a_failed_endpoint_move(void **state)
{
    (void)state;
    for (unsigned b = BALANCE_HASH; b <= BALANCE_RING; b++) {
        struct rig r;
        unsigned to[ENDPOINTS] = {0}, moved = 0;
        hash_up(&r, (enum config_balance)b);
        for (uint64_t user = 0; user < 5000; user++) {
            r.hash = hash_mix(user);
            size_t home = pick(&r, 0);
            assert_int_equal(pick(&r, 1), home);
            r.endpoint[4].status = ENDPOINT_DOWN;
            size_t away = pick(&r, 0);
            r.endpoint[4].status = ENDPOINT_UP;
            if (home != 4) assert_int_equal(away, home);
            moved += home == 4;
            to[away] += home == 4;
        }
        /* They spread over the nine others. */
        assert_in_range(moved, 400, 600);
        for (size_t i = 0; i < ENDPOINTS; i++)
            assert_in_range(to[i], i == 4 ? 0 : moved / 27, i == 4 ? 0 : moved / 3);
        rig_down(&r);
    }
}

/* One user makes half of the load: nobody holds more than 5/4 of the mean, or a few. */
static void test_a_hot_user_overloads_nobody(void **state)
{
    (void)state;
    for (unsigned b = BALANCE_HASH; b <= BALANCE_RING; b++) {
        struct rig r;
        hash_up(&r, (enum config_balance)b);
        for (unsigned all = 1; all <= 2000; all++) {
            r.hash = hash_mix(all % 2 ? 42 : all);
            struct endpoint_state *e = live(&r, 0, pick(&r, 0));
            e->in_flight++;
            double bound = ceil(1.25 * all / ENDPOINTS);
            assert_true(e->in_flight <= (bound < 8 ? 8 : bound));
        }
        for (size_t i = 0; i < ENDPOINTS; i++)
            live(&r, 0, i)->in_flight = 0;
        rig_down(&r);
    }
}

/* --- the queueing model --- */

struct job {
    double arrived_ms, begun_ms, done_ms;
    uint32_t caller, at;
};

/* Endpoints of SERVERS servers each and one queue; arrivals are Poisson, service is exponential. */
struct model {
    struct rig rig;
    double serve_ms[ENDPOINTS];
    double free_ms[ENDPOINTS][SERVERS]; /* when each server is free */
    uint32_t held[ENDPOINTS];           /* requests there, of all callers */
    struct job *job, **running;         /* a binary heap by done_ms */
    size_t running_count;
    double *latency_ms;
    size_t counted;
};

static struct model model;

static double exponential(struct rng *rng, double mean)
{
    return -log(1 - rng_unit(rng)) * mean;
}

static void swap_jobs(size_t a, size_t b)
{
    struct job *held = model.running[a];
    model.running[a] = model.running[b];
    model.running[b] = held;
}

static void push(struct job *job)
{
    size_t at = model.running_count++;
    model.running[at] = job;
    for (; at > 0 && model.running[(at - 1) / 2]->done_ms > job->done_ms; at = (at - 1) / 2)
        swap_jobs(at, (at - 1) / 2);
}

static struct job *pop(void)
{
    struct job *first = model.running[0];
    model.running[0] = model.running[--model.running_count];
    for (size_t at = 0;;) {
        size_t child = 2 * at + 1;
        if (child >= model.running_count) return first;
        if (child + 1 < model.running_count &&
            model.running[child + 1]->done_ms < model.running[child]->done_ms)
            child++;
        if (model.running[at]->done_ms <= model.running[child]->done_ms) return first;
        swap_jobs(at, child);
        at = child;
    }
}

/* Its response reaches the caller, with the stamp of the endpoint. */
static void finish(struct job *job)
{
    struct endpoint_state *e = live(&model.rig, job->caller, job->at);
    uint64_t now_ms = model.rig.now_ms;
    double latency_ms = job->done_ms - job->arrived_ms;
    endpoint_state_stamped(e, model.held[job->at], now_ms);
    endpoint_state_answered(e, (uint64_t)(latency_ms * 1000), now_ms);
    e->in_flight--;
    model.held[job->at]--;
    if (job >= model.job + WARM_UP) model.latency_ms[model.counted++] = latency_ms;
}

/* Who knows everything: the endpoint where one more request is expected to end first. */
static size_t oracle(void)
{
    size_t best = 0;
    double least = HUGE_VAL;
    for (size_t i = 0; i < ENDPOINTS; i++) {
        double ahead = model.held[i] < SERVERS ? 0 : model.held[i] - SERVERS + 1.0;
        double expected = model.serve_ms[i] * (1 + ahead / SERVERS);
        if (expected < least) best = i;
        if (expected < least) least = expected;
    }
    return best;
}

static void arrive(struct job *job, bool by_oracle)
{
    size_t server = 0;
    job->at = (uint32_t)(by_oracle ? oracle() : pick(&model.rig, job->caller));
    live(&model.rig, job->caller, job->at)->in_flight++;
    model.held[job->at]++;
    double *free_ms = model.free_ms[job->at];
    for (size_t i = 1; i < SERVERS; i++)
        if (free_ms[i] < free_ms[server]) server = i;
    job->begun_ms = free_ms[server] > job->arrived_ms ? free_ms[server] : job->arrived_ms;
    job->done_ms = job->begun_ms + exponential(&model.rig.rng, model.serve_ms[job->at]);
    free_ms[server] = job->done_ms;
    push(job);
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* The 99th percentile of a run at `used` of the capacity, the last endpoint `factor` times as slow.
 */
static double p99_ms(enum config_balance balance, bool by_oracle, double factor, double used)
{
    double now_ms = 0, rate = 0;
    rig_up(&model.rig, balance, 21);
    memset(model.held, 0, sizeof model.held);
    memset(model.free_ms, 0, sizeof model.free_ms);
    model.job = calloc(REQUESTS, sizeof *model.job);
    model.running = calloc(REQUESTS, sizeof *model.running);
    model.latency_ms = calloc(REQUESTS, sizeof *model.latency_ms);
    model.running_count = model.counted = 0;
    assert_true(model.job != NULL && model.running != NULL && model.latency_ms != NULL);
    for (size_t i = 0; i < ENDPOINTS; i++) {
        model.serve_ms[i] = i + 1 < ENDPOINTS ? SERVE_MS : SERVE_MS * factor;
        rate += SERVERS / model.serve_ms[i] * used;
    }
    for (size_t n = 0; n < REQUESTS || model.running_count > 0;) {
        struct job *job = n < REQUESTS ? &model.job[n] : NULL;
        if (job != NULL && job->arrived_ms == 0)
            job->arrived_ms = now_ms + exponential(&model.rig.rng, 1 / rate);
        bool ends = job == NULL ||
                    (model.running_count > 0 && model.running[0]->done_ms <= job->arrived_ms);
        now_ms = ends ? model.running[0]->done_ms : job->arrived_ms;
        model.rig.now_ms = 1000000 + (uint64_t)now_ms;
        if (ends) {
            finish(pop());
            continue;
        }
        job->caller = (uint32_t)rng_below(&model.rig.rng, CALLERS);
        arrive(job, by_oracle);
        n++;
    }
    qsort(model.latency_ms, model.counted, sizeof *model.latency_ms, by_value);
    double p99 = model.latency_ms[model.counted * 99 / 100];
    free(model.job);
    free(model.running);
    free(model.latency_ms);
    rig_down(&model.rig);
    return p99;
}

static void test_a_slow_endpoint_costs_little_over_an_oracle(void **state)
{
    (void)state;
    static const double used[] = {0.3, 0.5, 0.7};
    for (size_t u = 0; u < ARRAY_LEN(used); u++) {
        double best = p99_ms(BALANCE_LEAST_LOADED, true, 3, used[u]);
        double load = p99_ms(BALANCE_LEAST_LOADED, false, 3, used[u]);
        double ewma = p99_ms(BALANCE_PEAK_EWMA, false, 3, used[u]);
        double turn = p99_ms(BALANCE_ROUND_ROBIN, false, 3, used[u]);
        print_message("p99 at %.0f %%: oracle %.1f ms, least-loaded %.2f times that, peak-ewma "
                      "%.2f, round-robin %.2f\n",
                      used[u] * 100, best, load / best, ewma / best, turn / best);
        assert_true(load <= best * 1.3);
        assert_true(ewma <= best * 1.3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_picks_of_an_idle_service_pass_chi_square),
        cmocka_unit_test(test_weighted_draws_pass_chi_square),
        cmocka_unit_test(test_slow_start_is_a_ramp),
        cmocka_unit_test(test_who_comes_up_beside_others_begins_slowly),
        cmocka_unit_test(test_a_user_stays_and_only_users_of_a_failed_endpoint_move),
        cmocka_unit_test(test_a_hot_user_overloads_nobody),
        cmocka_unit_test(test_a_slow_endpoint_costs_little_over_an_oracle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
