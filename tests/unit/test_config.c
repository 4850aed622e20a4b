#include "core/model/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* A config with its arena, as the loader makes it. */
static struct config *config_made(void)
{
    struct config *c = calloc(1, sizeof(*c));
    assert_non_null(c);
    arena_init(&c->arena, 4096, 65536);
    c->node.addr = (struct addr){.family = ADDR_IP4, .ip = {10, 0, 0, 1}, .port = 7400};
    c->node.bind = c->node.addr;
    c->gossip_period_ms = 1000;
    c->datagram_bytes = 1200;
    return c;
}

static void test_lookups_find_each_name_and_no_other(void **state)
{
    (void)state;
    static const char *const name[] = {"api", "db", "jobs", "web", "web-1"};
    struct config *c = config_made();
    c->service_count = c->upstream_count = 5;
    c->service = arena_array(&c->arena, 5, sizeof(*c->service));
    c->upstream = arena_array(&c->arena, 5, sizeof(*c->upstream));
    assert_non_null(c->service);
    assert_non_null(c->upstream);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(name_set(&c->service[i].name, span_str(name[i])), ERR_OK);
        assert_int_equal(name_set(&c->upstream[i].name, span_str(name[i])), ERR_OK);
    }
    for (size_t i = 0; i < 5; i++) {
        assert_ptr_equal(config_service(c, span_str(name[i])), &c->service[i]);
        assert_ptr_equal(config_upstream(c, span_str(name[i])), &c->upstream[i]);
    }
    assert_null(config_service(c, SPAN_LIT("a")));
    assert_null(config_service(c, SPAN_LIT("we")));
    assert_null(config_upstream(c, SPAN_LIT("web-2")));
    assert_null(config_upstream(c, SPAN_LIT("")));
    config_free(c);
    config_free(NULL);
}

static void test_an_empty_config_has_no_services(void **state)
{
    (void)state;
    struct config *c = config_made();
    assert_null(config_service(c, SPAN_LIT("web")));
    assert_null(config_upstream(c, SPAN_LIT("web")));
    config_free(c);
}

static void test_restart_is_needed_for_what_start_alone_sets_up(void **state)
{
    (void)state;
    struct config *a = config_made(), *b = config_made();
    struct config_value value = {
        .key = "node.threads", .value = "2", .file = "parley.toml", .line = 9};
    struct strbuf out;
    strbuf_init(&out, 4096);
    assert_int_equal(config_restart_needed(a, b, &out), 0);
    assert_string_equal(out.p, "");
    b->value = &value;
    b->value_count = 1;
    b->node.threads = 2;
    b->gossip_period_ms = 500;
    b->metrics_listen = b->node.addr;
    b->log.level = LOG_LEVEL_DEBUG;
    assert_int_equal(config_restart_needed(a, b, &out), 2);
    assert_string_equal(out.p, "node.threads (parley.toml:9)\ngossip.profile (default)\n");
    strbuf_fini(&out);
    config_free(a);
    config_free(b);
}

static void test_a_bind_that_follows_the_address_is_not_named_twice(void **state)
{
    (void)state;
    struct config *a = config_made(), *b = config_made();
    struct strbuf out;
    strbuf_init(&out, 4096);
    b->node.addr.ip[3] = 2;
    b->node.bind.ip[3] = 2;
    assert_int_equal(config_restart_needed(a, b, &out), 1);
    assert_string_equal(out.p, "node.addr (default)\n");
    strbuf_reset(&out);
    b->node.bind.ip[3] = 3;
    assert_int_equal(config_restart_needed(a, b, &out), 2);
    strbuf_fini(&out);
    config_free(a);
    config_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookups_find_each_name_and_no_other),
        cmocka_unit_test(test_an_empty_config_has_no_services),
        cmocka_unit_test(test_restart_is_needed_for_what_start_alone_sets_up),
        cmocka_unit_test(test_a_bind_that_follows_the_address_is_not_named_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
