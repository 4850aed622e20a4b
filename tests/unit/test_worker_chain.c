/* A chain of calls through two hosts: peer -> web, whose application calls api through its own
 * parley and forwards the trace. */
#include "core/base/check.h"
#include "tests/unit/support_peer.h"
#include "tests/unit/support_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PORT  17400u
#define TRACE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

struct chain {
    struct support_rig *rig;
    struct support_app *web_app;
};

/* The application of web: asks api for the path it was asked for, in the same trace, and passes the
 * status on as its own. */
static void serve_chain(int fd, void *arg)
{
    struct support_rig *r = arg;
    char head[4096], inner[4096], text[8192];
    bool ended = false;
    while (support_read(fd, head, sizeof head, "\r\n\r\n", &ended) > 0 && !ended) {
        const char *path = strchr(head, ' ') + 1;
        snprintf(text, sizeof text,
                 "GET %.*s HTTP/1.1\r\nHost: a\r\nConnection: close\r\ntraceparent: " TRACE
                 "\r\n\r\n",
                 (int)strcspn(path, " "), path);
        support_exchange(r->api_addr, text, inner, sizeof inner);
        unsigned status = (unsigned)strtoul(inner + strlen("HTTP/1.1 "), NULL, 10);
        snprintf(text, sizeof text, "HTTP/1.1 %u X\r\nContent-Length: %zu\r\n\r\n%s",
                 status == 200 ? 200u : 503u, strlen(inner), inner);
        support_send(fd, text);
    }
}

static int setup(void **state)
{
    struct chain *c = calloc(1, sizeof *c);
    char text[1024], addr[32];
    c->rig = support_rig_new(PORT, NULL);
    snprintf(text, sizeof text,
             "[node]\nname = \"h1\"\nmesh = \"shop\"\naddr = \"@21\"\nport = %u\n"
             "[service.web]\nlocal = \"@21:%u\"\nallow = [\"api\"]\n"
             "[upstream.api]\nlisten = \"@21:%u\"\nas = \"web\"\n",
             PORT, PORT + 19, PORT + 1);
    support_node_config(&c->rig->web, text);
    support_node_publish(&c->rig->web);
    support_expand("@21:17419", addr, sizeof addr);
    c->web_app = support_app_start(addr, serve_chain, c->rig);
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct chain *c = *state;
    support_app_stop(c->web_app);
    support_rig_free(c->rig);
    free(c);
    return 0;
}

static void ask(struct chain *c, struct support_peer *p, const char *path, const char *left_ms)
{
    struct headers h = {.count = 0};
    struct mux_head head = {.method = SPAN_LIT("GET"),
                            .scheme = SPAN_LIT("http"),
                            .authority = SPAN_LIT("web.shop"),
                            .path = span_str(path),
                            .headers = &h,
                            .content_length = -1};
    assert_int_equal(headers_add(&h, SPAN_LIT("traceparent"), SPAN_LIT(TRACE)), ERR_OK);
    if (left_ms != NULL)
        assert_int_equal(headers_add(&h, SPAN_LIT("parley-deadline-ms"), span_str(left_ms)),
                         ERR_OK);
    assert_true(support_peer_open(p, &c->rig->mesh, "api", "@21:17400", "web.shop", "h2"));
    support_peer_request(p, &head, NULL);
}

static void test_work_whose_time_is_over_reaches_no_application(void **state)
{
    struct chain *c = *state;
    struct support_peer p;
    unsigned before = atomic_load(&c->rig->requests);
    ask(c, &p, "/plain", "0");
    assert_int_equal(p.status, 504);
    assert_string_equal(p.reason, "deadline_expired");
    assert_int_equal(atomic_load(&c->rig->requests), before);
    support_peer_close(&p);
    ask(c, &p, "/plain", "5000");
    assert_int_equal(p.status, 200);
    assert_int_equal(atomic_load(&c->rig->requests), before + 1);
    support_peer_close(&p);
}

/* The call to api has 15 s of its own; the request it is made for has less. */
static void test_a_call_has_no_more_time_than_what_it_is_for(void **state)
{
    struct chain *c = *state;
    struct support_peer p;
    support_rig_settle(c->rig);
    ask(c, &p, "/hang", "300");
    assert_int_equal(p.status, 503);
    assert_non_null(strstr(p.body, "HTTP/1.1 504 "));
    assert_non_null(strstr(p.body, "parley-reason: upstream_timeout"));
    support_peer_close(&p);
}

static void test_what_failed_further_in_is_to_be_repeated_by_nobody(void **state)
{
    struct chain *c = *state;
    struct support_peer p;
    ask(c, &p, "/503", NULL);
    assert_int_equal(p.status, 503);
    assert_string_equal(p.retry, "no");
    support_peer_close(&p);
    /* The next request of the trace begins with a clean sheet. */
    ask(c, &p, "/plain", NULL);
    assert_int_equal(p.status, 200);
    assert_string_equal(p.retry, "");
    support_peer_close(&p);
}

/* api learns how much time is left, its application does not. */
static void test_the_fields_of_the_mesh_stay_in_the_mesh(void **state)
{
    struct chain *c = *state;
    struct support_peer p;
    ask(c, &p, "/echo", "5000");
    assert_int_equal(p.status, 200);
    assert_non_null(strstr(p.body, "traceparent: " TRACE));
    assert_null(strstr(p.body, "parley-deadline-ms"));
    assert_null(strstr(p.body, "parley-attempt"));
    support_peer_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_work_whose_time_is_over_reaches_no_application),
        cmocka_unit_test(test_a_call_has_no_more_time_than_what_it_is_for),
        cmocka_unit_test(test_what_failed_further_in_is_to_be_repeated_by_nobody),
        cmocka_unit_test(test_the_fields_of_the_mesh_stay_in_the_mesh),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
