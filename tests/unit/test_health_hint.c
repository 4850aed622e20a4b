/* What to try when a check fails. */
#include "cmd/daemon/health_hint.h"

#include "core/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct config_service service(const char *local)
{
    struct config_service s = {.health = {.kind = CONFIG_HEALTH_TCP, .text = ""}};
    assert_int_equal(addr_target_parse(span_str(local), &s.local), ERR_OK);
    return s;
}

static void test_each_kind_of_check_is_made_by_hand(void **state)
{
    static const char *const words[] = {"/usr/lib/shop/check", "--quick", NULL};
    char hint[HEALTH_HINT_BYTES];
    (void)state;
    struct config_service s = service("127.0.0.1:8080");
    assert_string_equal(health_hint(&s, hint),
                        "is the application running, and does it listen on 127.0.0.1:8080?");
    s.health.kind = CONFIG_HEALTH_GRPC;
    assert_string_equal(health_hint(&s, hint),
                        "does grpc.health.v1.Health answer at 127.0.0.1:8080, without TLS?");
    s.health.kind = CONFIG_HEALTH_HTTP;
    s.health.text = "/healthz";
    assert_string_equal(health_hint(&s, hint), "curl -i 'http://127.0.0.1:8080/healthz'");
    s.protocol = PROTOCOL_H2;
    assert_string_equal(health_hint(&s, hint),
                        "curl -i --http2-prior-knowledge 'http://127.0.0.1:8080/healthz'");
    s = service("unix:/run/web.sock");
    s.health.kind = CONFIG_HEALTH_HTTP;
    s.health.text = "/";
    assert_string_equal(health_hint(&s, hint),
                        "curl -i --unix-socket /run/web.sock 'http://localhost/'");
    s.health = (struct config_health){.kind = CONFIG_HEALTH_EXEC, .argv = words, .argc = 2};
    assert_string_equal(health_hint(&s, hint),
                        "as parley's user: env -i /usr/lib/shop/check --quick");
}

static void test_what_is_too_long_is_cut(void **state)
{
    char path[2 * HEALTH_HINT_BYTES], hint[HEALTH_HINT_BYTES];
    (void)state;
    struct config_service s = service("127.0.0.1:8080");
    memset(path, 'a', sizeof path);
    path[sizeof path - 1] = '\0';
    path[0] = '/';
    s.health.kind = CONFIG_HEALTH_HTTP;
    s.health.text = path;
    assert_ptr_equal(health_hint(&s, hint), hint);
    assert_true(strlen(hint) < sizeof hint);
    assert_memory_equal(hint, "curl -i", 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_of_check_is_made_by_hand),
        cmocka_unit_test(test_what_is_too_long_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
