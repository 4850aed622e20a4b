#include "tests/unit/support_mesh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define API "127.0.0.21:17401"

static const char web_toml[] = "[node]\nname = \"h1\"\nmesh = \"shop\"\naddr = \"127.0.0.21\"\n"
                               "port = 17400\n[service.web]\nlocal = \"127.0.0.21:17409\"\n"
                               "[upstream.api]\nlisten = \"127.0.0.21:17401\"\nas = \"web\"\n";
static const char api_toml[] = "[node]\nname = \"h2\"\nmesh = \"shop\"\naddr = \"127.0.0.22\"\n"
                               "port = 17400\n[service.api]\nlocal = \"127.0.0.22:17410\"\n"
                               "allow = [\"web\"]\n";

struct rig {
    struct support_mesh mesh;
    struct support_node web, api;
    struct support_app *app;
};

/* Answers every request with its own head as the body. */
static void serve_echo(int fd, void *arg)
{
    char head[16384], answer[20000];
    (void)arg;
    for (;;) {
        bool ended;
        size_t len = support_read(fd, head, sizeof head, "\r\n\r\n", &ended);
        if (ended || len == 0) return;
        snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n%s", len,
                 head);
        support_send(fd, answer);
    }
}

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    support_mesh_init(&r->mesh);
    support_node_init(&r->web, &r->mesh, 1, web_toml);
    support_node_init(&r->api, &r->mesh, 2, api_toml);
    support_node_endpoint(&r->web, "api", &r->api, PROTOCOL_HTTP);
    support_node_publish(&r->api);
    support_node_publish(&r->web);
    r->app = support_app_start("127.0.0.22:17410", serve_echo, NULL);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    support_node_fini(&r->web);
    support_node_fini(&r->api);
    support_app_stop(r->app);
    support_mesh_fini(&r->mesh);
    free(r);
    return 0;
}

static void test_get_crosses_two_workers(void **state)
{
    struct rig *r = *state;
    char buf[16384], line[8192];
    support_exchange(API, "GET /hello?x=1 HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n", buf,
                     sizeof buf);
    assert_non_null(strstr(buf, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(buf, "GET /hello?x=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(buf, "parley-peer: spiffe://shop/service/web\r\n"));
    support_node_line(&r->web, line, sizeof line);
    assert_non_null(strstr(line, "\"code\":200"));
    support_node_line(&r->api, line, sizeof line);
    assert_non_null(strstr(line, "\"verdict\":\"allow\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_get_crosses_two_workers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
