#include "cmd/verbs/testapp_pace.h"
#include "core/base/check.h"
#include "core/io/sock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static void test_rate_is_kept_over_a_second(void **state)
{
    static const uint64_t rates[] = {1, 3, 7, 20, 999, 1000, 30000};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        assert_int_equal(testapp_pace_due(0, rates[i]), 1);
        assert_int_equal(testapp_pace_due(999999, rates[i]), rates[i]);
        assert_int_equal(testapp_pace_due(1000000, rates[i]), rates[i] + 1);
        assert_int_equal(testapp_pace_due(86400 * UINT64_C(1000000), rates[i]),
                         86400 * rates[i] + 1);
    }
}

/* Else a timer set for a request would fire, find it not due and be set again for the past. */
static void test_request_is_due_at_its_due_time_and_not_before(void **state)
{
    static const uint64_t rates[] = {1, 3, 7, 20, 300, 999, 100000};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        for (uint64_t n = 1; n < 3000; n++) {
            uint64_t at_us = testapp_pace_due_us(n, rates[i]);
            assert_true(testapp_pace_due(at_us, rates[i]) > n);
            assert_true(testapp_pace_due(at_us - 1, rates[i]) <= n);
        }
    }
}

struct seen {
    struct loop *loop;
    unsigned results, timeouts, refused;
    uint64_t latency_us_max;
};

static void on_result(void *owner, const struct testapp_client_result *result, uint64_t latency_us)
{
    struct seen *seen = owner;
    seen->results++;
    seen->timeouts += result->end == TESTAPP_CLIENT_TIMEOUT;
    seen->refused += result->end == TESTAPP_CLIENT_CONNECT;
    if (latency_us > seen->latency_us_max) seen->latency_us_max = latency_us;
}

static void on_done(void *owner)
{
    struct seen *seen = owner;
    loop_stop(seen->loop);
}

static struct testapp_pace_options options(struct seen *seen, const struct testapp_url *url)
{
    return (struct testapp_pace_options){.loop = seen->loop,
                                         .url = url,
                                         .method = "GET",
                                         .rate = 100,
                                         .for_ms = 100,
                                         .connections = 1,
                                         .on_result = on_result,
                                         .on_done = on_done,
                                         .owner = seen};
}

static void test_nobody_listens_and_all_are_counted(void **state)
{
    struct seen seen = {.loop = NULL};
    struct testapp_url url;
    struct testapp_pace *pace;
    const char *why;
    (void)state;
    /* Port 1 of a loopback address that nothing else uses. */
    assert_int_equal(testapp_url_parse("http://127.0.0.47:1/", &url, &why), ERR_OK);
    assert_int_equal(loop_new(&seen.loop), ERR_OK);
    struct testapp_pace_options o = options(&seen, &url);
    assert_int_equal(testapp_pace_new(&o, &pace), ERR_OK);
    loop_run(seen.loop);
    assert_int_equal(seen.results, 10);
    assert_int_equal(seen.refused, 10);
    testapp_pace_free(pace);
    loop_free(seen.loop);
}

/* A listener that never answers holds the only connection: what is due behind it waits, is given
 * up, and its wait is part of the latency. */
static void test_waiting_for_a_connection_counts_as_latency(void **state)
{
    struct seen seen = {.loop = NULL};
    struct testapp_url url = {.path = "/", .authority = "127.0.0.1"};
    struct testapp_pace *pace;
    int fd;
    (void)state;
    url.to.addr = (struct addr){.ip = {127, 0, 0, 1}, .family = ADDR_IP4};
    assert_int_equal(sock_listen(&url.to.addr, 0, &fd), ERR_OK);
    url.to.addr = sock_local(fd);
    assert_int_equal(loop_new(&seen.loop), ERR_OK);
    struct testapp_pace_options o = options(&seen, &url);
    o.timeout_ms = 200;
    assert_int_equal(testapp_pace_new(&o, &pace), ERR_OK);
    loop_run(seen.loop);
    assert_int_equal(seen.results, 10);
    assert_int_equal(seen.timeouts, 10);
    assert_true(seen.latency_us_max >= o.timeout_ms * 1000u);
    testapp_pace_free(pace);
    loop_free(seen.loop);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate_is_kept_over_a_second),
        cmocka_unit_test(test_request_is_due_at_its_due_time_and_not_before),
        cmocka_unit_test(test_nobody_listens_and_all_are_counted),
        cmocka_unit_test(test_waiting_for_a_connection_counts_as_latency),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
