/* An upstream of one endpoint: what fails there is tried there again, within reason. */
#include "tests/unit/support_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char post[] = "POST /length HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                           "Content-Length: 5\r\n\r\nhello";

/* Every second request ends its connection without an answer, the others are answered by `text`,
 * and the connection ends too: each is on one of its own, which cannot have been stale. */
struct moody {
    const char *text;
    _Atomic unsigned requests;
};

static void serve_moody(int fd, void *arg)
{
    struct moody *m = arg;
    char head[8192];
    bool ended = false;
    if (support_read(fd, head, sizeof head, "\r\n\r\n", &ended) == 0 || ended) return;
    if (atomic_fetch_add(&m->requests, 1) % 2 == 1) support_send(fd, m->text);
}

static unsigned tries(struct support_rig *r)
{
    support_node_line(&r->web, r->line, sizeof r->line);
    const char *at = strstr(r->line, "\"tries\":");
    assert_non_null(at);
    return (unsigned)strtoul(at + 8, NULL, 10);
}

static void with_moody(struct support_rig *r, struct moody *m)
{
    support_app_stop(r->api_app);
    r->api_app = support_app_start(r->api_local, serve_moody, m);
    support_rig_web(r, "retry = { on = [\"connect\", \"reset\"], budget = \"100%\" }\n");
    support_rig_settle(r);
}

static void without(struct support_rig *r)
{
    support_app_stop(r->api_app);
    r->api_app = support_app_start(r->api_local, support_rig_http, r);
    support_rig_web(r, "");
    support_rig_settle(r);
}

static const char ok[] = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

static void test_a_get_that_was_reset_is_had_from_the_same_endpoint(void **state)
{
    struct support_rig *r = *state;
    struct moody m = {.text = ok};
    with_moody(r, &m);
    for (unsigned i = 1; i <= 10; i++) {
        support_rig_get(r, "/", "");
        assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
        assert_int_equal(tries(r), 2);
        assert_int_equal(atomic_load(&m.requests), 2 * i);
    }
    without(r);
}

static void test_a_post_that_was_reset_is_not_repeated(void **state)
{
    struct support_rig *r = *state;
    struct moody m = {.text = ok};
    with_moody(r, &m);
    support_exchange(r->api_addr, post, r->buf, sizeof r->buf);
    assert_non_null(strstr(r->buf, "HTTP/1.1 502 "));
    assert_int_equal(tries(r), 1);
    assert_int_equal(atomic_load(&m.requests), 1);
    without(r);
}

/* Nobody listens: the cause is told as it is, and a fifth more attempts are made at most. */
static void test_a_dead_endpoint_is_asked_little_more(void **state)
{
    struct support_rig *r = *state;
    unsigned extra = 0;
    support_app_stop(r->api_app);
    r->api_app = NULL;
    support_rig_web(r, "retry = { backoff = \"1ms..2ms\" }\n");
    support_rig_settle(r);
    for (unsigned i = 0; i < 200; i++) {
        if (i % 2 == 0)
            support_rig_get(r, "/", "");
        else
            support_exchange(r->api_addr, post, r->buf, sizeof r->buf);
        assert_non_null(strstr(r->buf, "HTTP/1.1 503 "));
        assert_non_null(strstr(r->buf, "parley-reason: conn_refused\r\n"));
        extra += tries(r) - 1;
    }
    assert_in_range(extra, 1, 40);
    r->api_app = support_app_start(r->api_local, support_rig_http, r);
    support_exchange(r->api_addr, post, r->buf, sizeof r->buf);
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 ")); /* never "none": it is asked all the same */
    without(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_get_that_was_reset_is_had_from_the_same_endpoint),
        cmocka_unit_test(test_a_post_that_was_reset_is_not_repeated),
        cmocka_unit_test(test_a_dead_endpoint_is_asked_little_more),
    };
    return cmocka_run_group_tests(tests, support_rig_setup, support_rig_teardown);
}
