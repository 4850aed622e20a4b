/* The health key of a service: what it may say, and what is said of what it may not. */
#include "core/base/check.h"
#include "tests/unit/support_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NODE SUPPORT_CONFIG_NODE
#define WEB  SUPPORT_CONFIG_WEB

static void test_a_check_by_grpc_and_by_a_program(void **state)
{
    (void)state;
    struct config *c =
        support_config_one(NODE "[service.a]\n"
                                "local = \"127.0.0.1:1\"\n"
                                "health = \"grpc\"\n"
                                "[service.b]\n"
                                "local = \"127.0.0.1:2\"\n"
                                "health = { grpc = \"shop.Orders\", interval = \"5s\" }\n"
                                "[service.c]\n"
                                "local = \"127.0.0.1:3\"\n"
                                "health = { exec = [\"/bin/check\", \"\", \"a b;\"] }\n");
    const struct config_health *a = &c->service[0].health, *b = &c->service[1].health;
    const struct config_health *e = &c->service[2].health;
    assert_int_equal(a->kind, CONFIG_HEALTH_GRPC);
    assert_string_equal(a->text, "");
    assert_int_equal(a->interval_ms, CONFIG_HEALTH_INTERVAL_MS);
    assert_int_equal(b->kind, CONFIG_HEALTH_GRPC);
    assert_string_equal(b->text, "shop.Orders");
    assert_int_equal(b->interval_ms, 5000);
    assert_int_equal(e->kind, CONFIG_HEALTH_EXEC);
    assert_int_equal(e->argc, 3);
    assert_string_equal(e->argv[0], "/bin/check");
    assert_string_equal(e->argv[1], "");
    assert_string_equal(e->argv[2], "a b;");
    assert_null(e->argv[3]);
    config_free(c);
}

static void test_each_mistake_is_said_with_its_mend(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *finding;
    } row[] = {
        {WEB "health = \"http\"", "health must be \"none\", \"tcp\" or \"grpc\", not \"http\""},
        {WEB "health = 1",
         "health must be \"none\", \"tcp\", \"grpc\" or a table, as in { http = \"/healthz\" }"},
        {WEB "health = { http = \"healthz\" }", "http must be a path, as in \"/healthz\""},
        {WEB "health = { http = \"/a b\" }", "http must be a path, as in \"/healthz\""},
        {WEB "health = { http = \"/\", tcp = true }",
         "a check is one of http, tcp, grpc and exec: drop tcp or http"},
        {WEB "health = { http = \"/\", exec = [\"/bin/true\"] }",
         "a check is one of http, tcp, grpc and exec: drop http or exec"},
        {WEB "health = { grpc = true }", "grpc must be a string, not a boolean"},
        {WEB "health = { grpc = \"a b\" }",
         "grpc must be a service's name of at most 127 printable bytes, as in \"shop.Orders\", "
         "or \"\" for the whole server"},
        {WEB "health = { exec = \"/bin/true\" }", "exec must be an array, not a string"},
        {WEB "health = { exec = [] }",
         "exec has 1 to 32 words, as in [\"/usr/lib/shop/check\", \"--quick\"]"},
        {WEB "health = { exec = [1] }", "a word of exec must be a string, not an integer"},
        {WEB "health = { exec = [\"check\"] }",
         "exec needs the program's whole path, as in [\"/usr/lib/shop/check\", \"--quick\"]: "
         "there is no shell and no PATH"},
        {WEB "health = { exec = [\"/bin/true\", \"a\\u0000b\"] }",
         "a word of exec has at most 4096 bytes and no NUL among them"},
        {WEB "health = { tcp = false }", "to switch checks off write health = \"none\""},
        {WEB "health = { interval = \"1s\", timeout = \"2s\" }",
         "timeout is longer than interval (1000 ms): shorten it or lengthen interval"},
        {WEB "health = { interval = \"1ms\" }", "interval must be between 100ms and 1h"},
        {WEB "health = { intervall = \"1s\" }",
         "unknown key \"intervall\" in [service.web.health]; did you mean \"interval\"?"},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        char text[1024], want[512], *said;
        (void)snprintf(text, sizeof text, NODE "%s\n", row[i].text);
        (void)snprintf(want, sizeof want, "error: %s\n", row[i].finding);
        const char *file = text;
        enum err err;
        assert_null(support_config_try(&file, 1, &err, &said));
        if (strncmp(said, "parley.toml:7:", 14) != 0 || strstr(said, want) == NULL ||
            strstr(strstr(said, want) + 1, "error: ") != NULL)
            fail_msg("%s\nwant: %s\ngot: %s", text, want, said);
        free(said);
    }
}

static void show(const char *text, const char *want)
{
    struct strbuf sb;
    struct config *c = support_config_one(text);
    strbuf_init(&sb, 65536);
    config_load_show(c, &sb);
    assert_true(strbuf_ok(&sb));
    const char *from = strstr(sb.p, "service.web.health");
    assert_non_null(from);
    if (strncmp(from, want, strlen(want)) != 0) fail_msg("%s", from);
    strbuf_fini(&sb);
    config_free(c);
}

static void test_what_holds_is_shown_with_its_origin(void **state)
{
    (void)state;
    show(NODE WEB, "service.web.health = \"tcp\"   # default\n"
                   "service.web.health.tcp = true   # default\n"
                   "service.web.health.interval = \"2s\"   # default\n"
                   "service.web.health.timeout = \"1s\"   # default\n"
                   "service.web.health.unhealthy_after = 3   # default\n"
                   "service.web.health.healthy_after = 1   # default\n");
    show(NODE WEB "health = \"grpc\"\n", "service.web.health = \"grpc\"   # parley.toml:7\n"
                                         "service.web.health.grpc = \"\"   # default\n");
    show(NODE WEB "health = { exec = [\"/bin/a\", \"b\"], interval = \"500ms\" }\n",
         "service.web.health.exec = [\"/bin/a\", \"b\"]   # parley.toml:7\n"
         "service.web.health.interval = \"500ms\"   # parley.toml:7\n"
         "service.web.health.timeout = \"500ms\"   # default\n");
    show(NODE WEB "health = \"none\"\n", "service.web.health = \"none\"   # parley.toml:7\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_check_by_grpc_and_by_a_program),
        cmocka_unit_test(test_each_mistake_is_said_with_its_mend),
        cmocka_unit_test(test_what_holds_is_shown_with_its_origin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
