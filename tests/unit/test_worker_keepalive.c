/* Connections to an application between requests: which are used again, and races that nobody
 * sees. */
#include "tests/unit/support_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Answers with this Keep-Alive field, if any; a connection hears so many requests and is closed at
 * the next one without a word, as by one whose idle time had just passed. */
struct app {
    const char *field;
    unsigned requests_max;
    _Atomic unsigned connections, answered;
};

static void serve(int fd, void *arg)
{
    struct app *a = arg;
    char head[8192], text[200];
    bool ended = false;
    atomic_fetch_add(&a->connections, 1);
    for (unsigned i = 0;; i++) {
        if (support_read(fd, head, sizeof head, "\r\n\r\n", &ended) == 0 || ended) return;
        if (i == a->requests_max) return;
        (void)snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n%s%s\r\nok",
                       a->field, a->field[0] != '\0' ? "\r\n" : "");
        /* Before the caller can have it, and reset the count. */
        atomic_fetch_add(&a->answered, 1);
        support_send(fd, text);
    }
}

static void with_app(struct support_rig *r, struct app *a, void (*test)(struct support_rig *))
{
    support_app_stop(r->api_app);
    r->api_app = support_app_start(r->api_local, serve, a);
    /* Connections of the test before are gone, or are found to be. */
    support_rig_get(r, "/first", "");
    atomic_store(&a->connections, 0);
    atomic_store(&a->answered, 0);
    test(r);
    support_app_stop(r->api_app);
    r->api_app = support_app_start(r->api_local, support_rig_http, r);
}

static void five_gets(struct support_rig *r)
{
    for (unsigned i = 0; i < 5; i++) {
        support_rig_get(r, "/", "");
        assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
        assert_null(strstr(r->buf, "keep-alive")); /* between us and the application alone */
    }
}

static void test_a_connection_serves_request_after_request(void **state)
{
    struct app a = {.field = "", .requests_max = 1000};
    with_app(*state, &a, five_gets);
    assert_int_equal(a.connections, 0); /* the first one's */
}

static void test_one_that_bears_no_rest_gets_none(void **state)
{
    struct app a = {.field = "Keep-Alive: timeout=0, max=5", .requests_max = 1000};
    with_app(*state, &a, five_gets);
    assert_int_equal(a.connections, 5);
}

/* Each connection is closed under its third request, which nobody has answered then. */
static void test_a_connection_closed_under_a_get_is_not_seen(void **state)
{
    struct app a = {.field = "", .requests_max = 2};
    with_app(*state, &a, five_gets);
    assert_int_equal(a.answered, 5);
    assert_in_range(a.connections, 2, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_connection_serves_request_after_request),
        cmocka_unit_test(test_a_connection_closed_under_a_get_is_not_seen),
        /* What it says is remembered. */
        cmocka_unit_test(test_one_that_bears_no_rest_gets_none),
    };
    return cmocka_run_group_tests(tests, support_rig_setup, support_rig_teardown);
}
