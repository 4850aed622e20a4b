#include "proxy/observe/metrics.h"

#include "core/base/check.h"
#include "core/base/limits.h"
#include "tests/unit/support_prom.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define TEXT_BYTES_MAX (64u * 1024 * 1024)

static const struct metrics_labels web_api = {DIRECTION_INBOUND, {"api", 3}, {"web", 3}};

static struct metrics_shard *shard_new(void)
{
    struct metrics_shard *m = NULL;
    assert_int_equal(metrics_shard_new(&m), ERR_OK);
    return m;
}

/* Renders and checks the format. End with strbuf_fini. */
static struct span render(struct metrics_shard *const *m, size_t count, struct strbuf *out)
{
    strbuf_init(out, TEXT_BYTES_MAX);
    metrics_render(m, count, out);
    assert_true(strbuf_ok(out));
    support_prom_check(strbuf_view(out));
    return strbuf_view(out);
}

static void expect(struct span text, const char *sample, double want)
{
    double got = support_prom_value(text, sample);
    if (got < want - 1e-9 || got > want + 1e-9) fail_msg("%s is %f, not %f", sample, got, want);
}

static void test_an_empty_shard_renders_valid_text(void **state)
{
    (void)state;
    struct metrics_shard *m = shard_new();
    struct strbuf out;
    struct span text = render(&m, 1, &out);
    expect(text, "parley_metrics_series", 0);
    strbuf_fini(&out);
    render(NULL, 0, &out);
    strbuf_fini(&out);
    metrics_shard_free(m);
}

#define LABELS "direction=\"inbound\",service=\"api\",peer=\"web\""

static void test_an_exchange_is_counted_in_every_family(void **state)
{
    (void)state;
    struct metrics_shard *m = shard_new();
    struct metrics_exchange x = {.labels = web_api,
                                 .status = 200,
                                 .origin_app = true,
                                 .was_in_flight = true,
                                 .duration_us = 2500,
                                 .app_us = 2501,
                                 .rx_bytes = 10,
                                 .tx_bytes = 1000,
                                 .retries = 2,
                                 .grpc = true,
                                 .grpc_status = 14,
                                 .verdict = "allow",
                                 .rule = "r\"1",
                                 .layer = "host"};
    metrics_in_flight(m, &web_api);
    metrics_in_flight(m, &web_api);
    metrics_queued(m, &web_api, 1);
    metrics_queued(m, &web_api, 1);
    metrics_queued(m, &web_api, -1);
    metrics_request(m, &x);
    x.was_in_flight = false;
    x.grpc = false;
    x.status = 503;
    x.origin_app = false;
    x.reason = REASON_CONN_REFUSED;
    x.app_us = 0;
    x.duration_us = 20000000;
    metrics_request(m, &x);
    struct strbuf out;
    struct span t = render(&m, 1, &out);
    expect(t, "parley_requests_total{" LABELS ",code=\"200\",origin=\"app\"}", 1);
    expect(t, "parley_requests_total{" LABELS ",code=\"503\",origin=\"mesh\"}", 1);
    expect(t, "parley_request_duration_seconds_bucket{" LABELS ",le=\"0.001\"}", 0);
    expect(t, "parley_request_duration_seconds_bucket{" LABELS ",le=\"0.0025\"}", 1);
    expect(t, "parley_request_duration_seconds_bucket{" LABELS ",le=\"10\"}", 1);
    expect(t, "parley_request_duration_seconds_count{" LABELS "}", 2);
    expect(t, "parley_request_duration_seconds_sum{" LABELS "}", 20.0025);
    expect(t, "parley_app_duration_seconds_bucket{" LABELS ",le=\"0.0025\"}", 0);
    expect(t, "parley_app_duration_seconds_bucket{" LABELS ",le=\"0.005\"}", 1);
    expect(t, "parley_app_duration_seconds_count{" LABELS "}", 1);
    expect(t, "parley_failures_total{" LABELS ",reason=\"conn_refused\"}", 1);
    expect(t, "parley_retries_total{" LABELS ",result=\"success\"}", 2);
    expect(t, "parley_retries_total{" LABELS ",result=\"failure\"}", 2);
    expect(t, "parley_grpc_responses_total{" LABELS ",grpc_status=\"14\"}", 1);
    expect(t, "parley_requests_in_flight{" LABELS "}", 1);
    expect(t, "parley_requests_queued{" LABELS "}", 1);
    expect(t, "parley_request_bytes_total{" LABELS "}", 20);
    expect(t, "parley_response_bytes_total{" LABELS "}", 2000);
    expect(t,
           "parley_policy_decisions_total{" LABELS
           ",verdict=\"allow\",rule=\"r\\\"1\",layer=\"host\"}",
           2);
    strbuf_fini(&out);
    metrics_shard_free(m);
}

static void test_sessions_handshakes_and_counts_are_shown(void **state)
{
    (void)state;
    struct metrics_shard *m = shard_new();
    struct metrics_tcp x = {.labels = web_api,
                            .duration_us = 3000000,
                            .rx_bytes = 5,
                            .tx_bytes = 7,
                            .verdict = "audit",
                            .rule = "default-deny",
                            .layer = "default"};
    metrics_tcp_open(m, &web_api);
    metrics_tcp_open(m, &web_api);
    metrics_tcp_open(m, &web_api);
    metrics_tcp_close(m, &x);
    x.reason = REASON_IDLE_TIMEOUT;
    metrics_tcp_close(m, &x);
    metrics_handshake(m, true, "ok", 3000);
    metrics_handshake(m, true, "ok", 3000);
    metrics_handshake(m, false, "expired", 100);
    metrics_count(m, METRICS_BAD_HELLO, 3);
    metrics_count(m, METRICS_ACCEPT_ERRORS, 1);
    assert_int_equal(metrics_count_get(m, METRICS_BAD_HELLO), 3);
    struct strbuf out;
    struct span t = render(&m, 1, &out);
    expect(t, "parley_tcp_connections_total{" LABELS ",close=\"end\"}", 1);
    expect(t, "parley_tcp_connections_total{" LABELS ",close=\"idle_timeout\"}", 1);
    expect(t, "parley_tcp_open_connections{" LABELS "}", 1);
    expect(t, "parley_tcp_received_bytes_total{" LABELS "}", 10);
    expect(t, "parley_tcp_sent_bytes_total{" LABELS "}", 14);
    expect(t, "parley_tcp_duration_seconds_count{" LABELS "}", 2);
    expect(t,
           "parley_policy_decisions_total{" LABELS
           ",verdict=\"audit\",rule=\"default-deny\",layer=\"default\"}",
           2);
    expect(t, "parley_tls_handshakes_total{direction=\"inbound\",result=\"ok\",resumed=\"false\"}",
           2);
    expect(t,
           "parley_tls_handshakes_total{direction=\"outbound\",result=\"expired\","
           "resumed=\"false\"}",
           1);
    expect(t,
           "parley_tls_handshake_duration_seconds_sum{direction=\"inbound\",result=\"ok\","
           "resumed=\"false\"}",
           0.006);
    expect(t, "parley_bad_hellos_total", 3);
    expect(t, "parley_accept_errors_total", 1);
    strbuf_fini(&out);
    metrics_shard_free(m);
}

static void test_shards_are_summed_by_labels(void **state)
{
    (void)state;
    struct metrics_shard *m[3] = {shard_new(), shard_new(), shard_new()};
    struct metrics_exchange x = {.labels = web_api, .status = 200, .origin_app = true};
    for (size_t i = 0; i < 3; i++) {
        x.verdict = i == 1 ? "deny" : "allow";
        x.rule = "r";
        x.layer = "host";
        metrics_request(m[i], &x);
        metrics_handshake(m[i], true, i == 0 ? "ok" : "expired", 1);
    }
    x.labels.peer = SPAN_LIT("zeta");
    metrics_request(m[0], &x);
    struct strbuf out;
    struct span t = render(m, 3, &out);
    expect(t, "parley_requests_total{" LABELS ",code=\"200\",origin=\"app\"}", 3);
    expect(t, "parley_request_duration_seconds_count{" LABELS "}", 3);
    expect(t,
           "parley_policy_decisions_total{" LABELS ",verdict=\"allow\",rule=\"r\",layer=\"host\"}",
           2);
    expect(
        t,
        "parley_tls_handshakes_total{direction=\"inbound\",result=\"expired\",resumed=\"false\"}",
        2);
    expect(t, "parley_metrics_series", 4); /* two of http, two of policy */
    strbuf_fini(&out);
    for (size_t i = 0; i < 3; i++)
        metrics_shard_free(m[i]);
}

static void test_full_table_folds_into_other_and_loses_no_request(void **state)
{
    (void)state;
    struct metrics_shard *m = shard_new();
    struct metrics_exchange x = {.labels = web_api, .status = 200, .origin_app = true};
    char peer[32];
    unsigned events = METRIC_SERIES_MAX;
    for (unsigned i = 0; i < events; i++) {
        snprintf(peer, sizeof(peer), "peer-%u", i);
        x.labels.peer = span_str(peer);
        metrics_request(m, &x);
    }
    struct strbuf out;
    struct span t = render(&m, 1, &out);
    /* A tuple takes two entries: itself and its status code. */
    double other = support_prom_value(t, "parley_requests_total{direction=\"inbound\","
                                         "service=\"api\",peer=\"_other\",code=\"200\","
                                         "origin=\"app\"}");
    assert_true(other > METRIC_SERIES_MAX / 2 - 2 && other <= METRIC_SERIES_MAX / 2 + 2);
    assert_true(support_prom_value(t, "parley_metrics_series") <= METRIC_SERIES_MAX / 2 + 1);
    assert_true(support_prom_value(t, "parley_metrics_overflow_total") >= other);
    strbuf_fini(&out);
    /* Known tuples go on, and a new status of theirs counts in its class. */
    x.labels.peer = SPAN_LIT("peer-1");
    x.status = 418;
    metrics_request(m, &x);
    t = render(&m, 1, &out);
    expect(t,
           "parley_requests_total{direction=\"inbound\",service=\"api\",peer=\"peer-1\","
           "code=\"400\",origin=\"app\"}",
           1);
    strbuf_fini(&out);
    metrics_shard_free(m);
}

static void test_odd_values_stay_in_bounds(void **state)
{
    (void)state;
    struct metrics_shard *m = shard_new();
    char long_name[300];
    memset(long_name, 'n', sizeof(long_name));
    struct metrics_exchange x = {.labels = web_api, .status = 70000, .reason = REASON_COUNT};
    x.duration_us = UINT64_MAX;
    x.labels.peer = span_of(long_name, sizeof(long_name));
    x.labels.service = span_of(NULL, 0);
    x.verdict = "deny";
    long_name[299] = '\0';
    x.rule = long_name;
    x.layer = NULL;
    metrics_request(m, &x);
    struct strbuf out;
    render(&m, 1, &out);
    strbuf_fini(&out);
    metrics_shard_free(m);
}

static void test_a_warm_series_allocates_nothing(void **state)
{
    (void)state;
    struct metrics_shard *m = shard_new();
    struct metrics_exchange x = {.labels = web_api,
                                 .status = 200,
                                 .origin_app = true,
                                 .verdict = "allow",
                                 .rule = "r",
                                 .layer = "host"};
    struct metrics_labels other = web_api;
    other.peer = SPAN_LIT("jobs");
    metrics_request(m, &x);
    metrics_in_flight(m, &other);
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < 1000; i++) {
        metrics_in_flight(m, i % 2 ? &other : &web_api);
        metrics_request(m, &x);
    }
    assert_int_equal(mallinfo2().uordblks, before);
    metrics_shard_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_shard_renders_valid_text),
        cmocka_unit_test(test_an_exchange_is_counted_in_every_family),
        cmocka_unit_test(test_sessions_handshakes_and_counts_are_shown),
        cmocka_unit_test(test_shards_are_summed_by_labels),
        cmocka_unit_test(test_full_table_folds_into_other_and_loses_no_request),
        cmocka_unit_test(test_odd_values_stay_in_bounds),
        cmocka_unit_test(test_a_warm_series_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
