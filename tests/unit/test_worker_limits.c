#include "core/base/check.h"
#include "tests/unit/support_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
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
    assert_non_null(strstr(r->buf, "HTTP/1.1 503 "));
    assert_non_null(strstr(r->buf, "parley-reason: overloaded\r\n"));
    assert_int_equal(atomic_load(&r->requests), before);
    close(first);
    support_read(third, r->buf, sizeof r->buf, "\r\n\r\nok", NULL);
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
    assert_int_equal(atomic_load(&r->requests), before + 1);
    assert_int_equal(waiting(r), 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_queue_is_bounded_and_moves_on),
        cmocka_unit_test(test_who_goes_away_or_waits_too_long_leaves_the_queue),
        cmocka_unit_test(test_more_than_the_rate_is_429),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
