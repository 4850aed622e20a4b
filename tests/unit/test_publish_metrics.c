#include "proxy/observe/metrics.h"

#include "core/base/check.h"
#include "tests/unit/support_prom.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define REQUESTS 20000u
#define PEERS    50u

struct writer {
    struct metrics_shard *shard;
    atomic_bool done; /* release after the last write, acquire by the reader */
};

static void *writer_main(void *arg)
{
    struct writer *w = arg;
    char peer[16];
    for (unsigned i = 0; i < REQUESTS; i++) {
        snprintf(peer, sizeof(peer), "p%u", i % PEERS);
        struct metrics_exchange x = {
            .labels = {DIRECTION_INBOUND, SPAN_LIT("api"), span_str(peer)},
            .status = 200 + i % 7,
            .duration_us = i,
            .was_in_flight = true,
            .verdict = i % 3 ? "allow" : "deny",
            .rule = i % 5 ? "a" : "b",
            .layer = "host",
        };
        metrics_in_flight(w->shard, &x.labels);
        metrics_request(w->shard, &x);
        metrics_handshake(w->shard, i % 2, i % 11 ? "ok" : "expired", i);
        metrics_count(w->shard, METRICS_LINK_SENDS, 1);
    }
    atomic_store_explicit(&w->done, true, memory_order_release);
    return NULL;
}

static void test_scrapes_see_whole_series_while_workers_write(void **state)
{
    (void)state;
    struct writer w[2];
    struct metrics_shard *shard[2];
    pthread_t thread[2];
    double seen = 0;
    unsigned scrapes = 0;
    bool done = false;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(metrics_shard_new(&shard[i]), ERR_OK);
        w[i].shard = shard[i];
        atomic_init(&w[i].done, false);
        assert_int_equal(pthread_create(&thread[i], NULL, writer_main, &w[i]), 0);
    }
    while (!done) {
        struct strbuf out;
        done = atomic_load_explicit(&w[0].done, memory_order_acquire) &&
               atomic_load_explicit(&w[1].done, memory_order_acquire);
        strbuf_init(&out, 16u * 1024 * 1024);
        metrics_render(shard, 2, &out);
        assert_true(strbuf_ok(&out));
        struct span text = strbuf_view(&out);
        support_prom_check(text);
        double now = support_prom_value(text, "parley_link_sends_total");
        assert_true(now >= seen);
        seen = now;
        scrapes++;
        if (done) {
            assert_true(seen > 2 * REQUESTS - 0.5 && seen < 2 * REQUESTS + 0.5);
            assert_true(support_prom_value(text, "parley_requests_in_flight{direction=\"inbound\","
                                                 "service=\"api\",peer=\"p7\"}") < 0.5);
        }
        strbuf_fini(&out);
    }
    assert_true(scrapes > 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
        metrics_shard_free(shard[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scrapes_see_whole_series_while_workers_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
