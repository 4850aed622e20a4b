#include "core/base/check.h"
#include "core/io/clock.h"
#include "tests/unit/support_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PORT 17400u

static const char plain[] = "GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

static int setup(void **state)
{
    *state = support_rig_new(PORT, NULL);
    return 0;
}

static int teardown(void **state)
{
    support_rig_free(*state);
    return 0;
}

static int hang(struct support_rig *r)
{
    unsigned before = atomic_load(&r->requests);
    int fd = support_dial(r->api_addr);
    support_send(fd, "GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
    support_rig_await(r, before + 1);
    return fd;
}

/* By /metrics of the application's host. */
static unsigned queued(const struct support_rig *r)
{
    static const char name[] = "\nparley_requests_queued{direction=\"inbound\",service=\"api\","
                               "peer=\"web\"} ";
    struct strbuf text;
    strbuf_init(&text, 1u << 20);
    metrics_render(&r->api.metrics, 1, &text);
    const char *at = strstr(text.p, name);
    unsigned long n = at != NULL ? strtoul(at + sizeof name - 1, NULL, 10) : 999;
    strbuf_fini(&text);
    return (unsigned)n;
}

static unsigned waiting(const struct support_rig *r)
{
    return atomic_load_explicit(&r->api.gate.waiting, memory_order_relaxed);
}

static void await_waiting(const struct support_rig *r, unsigned count)
{
    for (unsigned i = 0; i < 30000 && waiting(r) != count; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(waiting(r), count);
}

/* Two are with the application, one waits for its turn, the next is told at once. */
static void test_the_queue_is_bounded_and_moves_on(void **state)
{
    struct support_rig *r = *state;
    support_rig_rules(r, PORT,
                      "allow = [\"web\"]\nlimits = { in_flight = 2, queue = 1, wait = \"60s\" }");
    int first = hang(r), second = hang(r);
    unsigned before = atomic_load(&r->requests);
    int third = support_dial(r->api_addr);
    support_send(third, plain);
    await_waiting(r, 1);
    support_rig_get(r, "/plain", "");
    assert_int_equal(queued(r), 1);
    assert_non_null(strstr(r->buf, "HTTP/1.1 503 "));
    assert_non_null(strstr(r->buf, "parley-reason: overloaded\r\n"));
    assert_int_equal(atomic_load(&r->requests), before);
    close(first);
    support_read(third, r->buf, sizeof r->buf, "\r\n\r\nok", NULL);
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
    assert_int_equal(atomic_load(&r->requests), before + 1);
    assert_int_equal(waiting(r), 0);
    assert_int_equal(queued(r), 0);
    close(third);
    close(second);
    support_rig_settle(r);
    assert_int_equal(atomic_load(&r->api.gate.inside), 0);
}

static void test_who_goes_away_or_waits_too_long_leaves_the_queue(void **state)
{
    struct support_rig *r = *state;
    support_rig_rules(r, PORT,
                      "allow = [\"web\"]\nlimits = { in_flight = 1, queue = 9, wait = \"60s\" }");
    int first = hang(r);
    int gone = support_dial(r->api_addr);
    support_send(gone, plain);
    await_waiting(r, 1);
    close(gone);
    await_waiting(r, 0);
    support_rig_rules(r, PORT,
                      "allow = [\"web\"]\nlimits = { in_flight = 1, queue = 9, wait = \"50ms\" }");
    support_rig_get(r, "/plain", "");
    assert_non_null(strstr(r->buf, "parley-reason: overloaded\r\n"));
    assert_int_equal(waiting(r), 0);
    close(first);
    support_rig_settle(r);
    support_rig_get(r, "/plain", "");
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
}

static void test_more_than_the_rate_is_429(void **state)
{
    struct support_rig *r = *state;
    unsigned limited = 0;
    support_rig_rules(r, PORT, "allow = [\"web\"]\nlimits = { rps = 1 }");
    unsigned before = atomic_load(&r->requests);
    for (unsigned i = 0; i < 100 && limited == 0; i++) {
        support_rig_get(r, "/plain", "");
        limited += strstr(r->buf, "HTTP/1.1 429 ") != NULL;
    }
    assert_int_equal(limited, 1);
    assert_non_null(strstr(r->buf, "parley-reason: rate_limited\r\n"));
    assert_true(atomic_load(&r->requests) > before);
    support_rig_rules(r, PORT, NULL);
    support_rig_marker(r);
}

static void test_heads_over_the_limits_are_refused(void **state)
{
    static const struct {
        const char *target, *fields, *status;
    } row[] = {
        {"/plain", "", "HTTP/1.1 200 "},
        {"/plain?0123456789012345678901234567890123456789012345678901234567890123456789"
         "012345678901234567890123456789012345678901234567890123456789",
         "", "HTTP/1.1 414 "},
        {"/plain",
         "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\nG: 7\r\nH: 8\r\nI: 9\r\n"
         "J: 1\r\nK: 2\r\nL: 3\r\nM: 4\r\nN: 5\r\nO: 6\r\nP: 7\r\nQ: 8\r\n",
         "HTTP/1.1 431 "},
    };
    struct support_rig *r = *state;
    char big[2048], fields[2100];
    support_rig_web(r, "[limits]\nheader_bytes = \"1KiB\"\nheader_fields = 16\n"
                       "url_bytes = \"128B\"");
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        support_rig_get(r, row[i].target, row[i].fields);
        assert_int_equal(strncmp(r->buf, row[i].status, strlen(row[i].status)), 0);
    }
    memset(big, 'x', sizeof big);
    snprintf(fields, sizeof fields, "X: %.*s\r\n", 1100, big);
    support_rig_get(r, "/plain", fields);
    assert_non_null(strstr(r->buf, "parley-reason: headers_too_large\r\n"));
    support_rig_web(r, "");
    support_rig_get(r, "/plain", fields);
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
}

static void test_a_connection_ends_after_its_share_of_requests(void **state)
{
    struct support_rig *r = *state;
    support_rig_web(r, "[limits]\nrequests_per_connection = 2");
    int fd = support_dial(r->api_addr);
    support_send(fd, "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n");
    support_read(fd, r->buf, sizeof r->buf, "\r\n\r\nok", NULL);
    assert_null(strstr(r->buf, "connection: close"));
    support_send(fd, "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n");
    bool ended = false;
    support_read(fd, r->buf, sizeof r->buf, "never", &ended);
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
    assert_non_null(strstr(r->buf, "connection: close\r\n"));
    assert_true(ended);
    close(fd);
    support_rig_web(r, "");
}

/* Nobody is told to go away: the next is served as soon as one has ended. */
static void test_at_the_limit_of_connections_accepting_waits(void **state)
{
    struct support_rig *r = *state;
    uint64_t begin_ms = clock_mono_ms();
    support_rig_web(r, "[limits]\nconnections = 2");
    int first = hang(r), second = hang(r), third = support_dial(r->api_addr);
    support_send(third, plain);
    uint64_t pauses;
    do {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        pauses = metrics_count_get(r->web.metrics, METRICS_SHED_CONNECTIONS);
    } while (pauses < 2);
    /* Ten a second; spinning makes thousands. */
    assert_true(pauses < 20 + (clock_mono_ms() - begin_ms) / 50);
    close(first);
    support_read(third, r->buf, sizeof r->buf, "\r\n\r\nok", NULL);
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
    close(third);
    close(second);
    support_rig_web(r, "");
    support_rig_marker(r);
}

/* The caller's worker has turned, and read what came before. */
static void turn(const struct support_rig *r)
{
    char text[16];
    int fd = support_dial(r->db_addr);
    support_read(fd, text, sizeof text, "hello\n", NULL);
    assert_string_equal(text, "hello\n");
    close(fd);
}

/* RFC 9112 9.6: a reset may destroy the answer on its way. The first of the bytes is read and kept;
 * the others wait in the socket when it closes. */
static void test_stray_bytes_behind_the_last_request_are_no_reset(void **state)
{
    struct support_rig *r = *state;
    unsigned before = atomic_load(&r->requests);
    int fd = support_dial(r->api_addr);
    char byte;
    support_send(fd, "GET /held HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    support_rig_await(r, before + 1);
    support_send(fd, "s");
    turn(r);
    support_send(fd, "tray");
    turn(r);
    support_rig_get(r, "/plain", "");
    support_read(fd, r->buf, sizeof r->buf, "\r\n\r\nGET /held", NULL);
    support_read(fd, r->buf, sizeof r->buf, "\r\n\r\n", NULL);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
}

/* Peers of our kind end it earlier; what holds one for nothing does not. */
static void test_a_link_without_use_is_ended(void **state)
{
    struct support_rig *r = *state;
    support_rig_rules(r, PORT, "allow = [\"web\"]");
    support_rig_get(r, "/plain", "");
    assert_true(worker_sessions(r->api.worker) > 0);
    support_rig_rules(r, PORT, "allow = [\"web\"]\n[limits]\nlink_idle = \"1s\"");
    for (unsigned i = 0; i < 60000 && worker_sessions(r->api.worker) > 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(worker_sessions(r->api.worker), 0);
    support_rig_get(r, "/plain", "");
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
    support_rig_rules(r, PORT, "allow = [\"web\"]");
}

/* The memory of what is open is counted, not measured, so the limit is met exactly. */
static void test_want_of_memory_is_503_and_passes(void **state)
{
    struct support_rig *r = *state;
    int held = support_dial(r->api_addr);
    support_send(held, "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n");
    support_read(held, r->buf, sizeof r->buf, "\r\n\r\nok", NULL);
    r->web.memory_bytes = 2048;
    support_rig_web(r, "");
    support_send(held, "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n");
    support_read(held, r->buf, sizeof r->buf, "\r\n\r\n", NULL);
    assert_non_null(strstr(r->buf, "HTTP/1.1 503 "));
    assert_non_null(strstr(r->buf, "parley-reason: overloaded\r\n"));
    assert_true(metrics_count_get(r->web.metrics, METRICS_SHED_MEMORY) > 0);
    close(held);
    r->web.memory_bytes = 0;
    support_rig_web(r, "");
    support_rig_marker(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stray_bytes_behind_the_last_request_are_no_reset),
        cmocka_unit_test(test_the_queue_is_bounded_and_moves_on),
        cmocka_unit_test(test_who_goes_away_or_waits_too_long_leaves_the_queue),
        cmocka_unit_test(test_more_than_the_rate_is_429),
        cmocka_unit_test(test_heads_over_the_limits_are_refused),
        cmocka_unit_test(test_a_connection_ends_after_its_share_of_requests),
        cmocka_unit_test(test_at_the_limit_of_connections_accepting_waits),
        cmocka_unit_test(test_a_link_without_use_is_ended),
        cmocka_unit_test(test_want_of_memory_is_503_and_passes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
