#include "core/model/policy.h"

#include "core/base/check.h"
#include "core/wire/config_policy.h"
#include "proxy/filters/authz.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct policy_mesh *mesh_of(const char *text)
{
    struct config_text one = {"mesh.toml", span_str(text)};
    struct policy_mesh *mesh = NULL;
    assert_int_equal(config_policy_load(&one, 1, NULL, &mesh), ERR_OK);
    return mesh;
}

static struct config *host_of(const char *rules)
{
    char text[2048];
    struct config *c = NULL;
    (void)snprintf(text, sizeof text,
                   "[node]\nname = \"n1\"\nmesh = \"shop\"\naddr = \"10.0.0.1\"\n[service.api]\n"
                   "local = \"127.0.0.1:1\"\n%s",
                   rules);
    struct config_text one = {"parley.toml", span_str(text)};
    assert_int_equal(config_load(&one, 1, NULL, &c), ERR_OK);
    return c;
}

static struct name name_of(const char *text)
{
    struct name n;
    assert_int_equal(name_set(&n, span_str(text)), ERR_OK);
    return n;
}

static const char mesh_text[] =
    "[[rule]]\nname = \"m-allow\"\nfrom = [\"web\"]\nto = [\"api\"]\n"
    "[[rule]]\nname = \"m-deny\"\naction = \"deny\"\nfrom = [\"web\"]\npath = [\"/secret\"]\n"
    "[[rule]]\nname = \"other\"\nfrom = [\"web\"]\nto = [\"db\"]\n";
static const char host_text[] =
    "[[service.api.rule]]\nname = \"h-allow\"\nfrom = [\"web\"]\npath = [\"/secret\", \"/host\"]\n"
    "[[service.api.rule]]\nname = \"h-deny\"\naction = \"deny\"\npath = [\"/host-only\"]\n";

static void test_layers_are_merged_in_the_order_of_judgement(void **state)
{
    static const char *const order[] = {"m-deny", "h-deny", "h-allow", "m-allow"};
    struct policy_mesh *mesh = mesh_of(mesh_text);
    struct config *c = host_of(host_text);
    struct name api = name_of("api");
    struct policy merged;
    struct arena arena;
    (void)state;
    arena_init(&arena, 4096, 1u << 20);
    assert_int_equal(policy_merge(&c->service[0].policy, mesh, &api, &arena, &merged), ERR_OK);
    assert_int_equal(merged.rule_count, ARRAY_LEN(order));
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        assert_string_equal(merged.rule[i].name, order[i]);
    assert_int_equal(policy_merge(&c->service[0].policy, NULL, &api, &arena, &merged), ERR_OK);
    assert_int_equal(merged.rule_count, 2);
    arena_fini(&arena);
    policy_mesh_free(mesh);
    config_free(c);
}

struct answer {
    const char *path, *verdict, *rule, *layer;
};

static void judged(const void *conf, const struct spiffe_id *peer, const struct answer *want)
{
    struct arena arena;
    arena_init(&arena, 4096, 1u << 20);
    struct filter_ctx ctx = {.direction = DIRECTION_INBOUND, .conf = conf, .arena = &arena};
    struct request req = {.peer = peer, .method = SPAN_LIT("GET")};
    req.target.path = span_str(want->path);
    (void)authz_filter.request(&ctx, &req);
    assert_string_equal(ctx.verdict, want->verdict);
    assert_string_equal(ctx.rule, want->rule);
    assert_string_equal(ctx.layer, want->layer);
    arena_fini(&arena);
}

static void test_the_first_layer_that_matches_decides_and_is_named(void **state)
{
    static const struct answer answers[] = {{"/secret", "deny", "m-deny", "mesh"},
                                            {"/host", "allow", "h-allow", "host"},
                                            {"/host-only", "deny", "h-deny", "host"},
                                            {"/else", "allow", "m-allow", "mesh"}};
    static const struct answer stranger = {"/else", "deny", "default-deny", "default"};
    struct policy_mesh *mesh = mesh_of(mesh_text);
    struct config *c = host_of(host_text);
    struct name api = name_of("api");
    struct spiffe_id web = {.mesh = name_of("shop"), .name = name_of("web")};
    struct spiffe_id db = {.mesh = name_of("shop"), .name = name_of("db")};
    struct policy merged;
    struct arena arena;
    const void *conf = NULL;
    (void)state;
    web.kind = db.kind = IDENTITY_SERVICE;
    arena_init(&arena, 4096, 1u << 20);
    assert_int_equal(policy_merge(&c->service[0].policy, mesh, &api, &arena, &merged), ERR_OK);
    struct filter_config config = {.direction = DIRECTION_INBOUND, .policy = &merged};
    assert_int_equal(authz_filter.compile(&config, &arena, &conf, NULL), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(answers); i++)
        judged(conf, &web, &answers[i]);
    judged(conf, &db, &stranger);
    arena_fini(&arena);
    policy_mesh_free(mesh);
    config_free(c);
}

static void test_a_rule_covers_what_is_within_it(void **state)
{
    static const struct {
        const char *a, *b;
        bool covers;
    } rows[] = {
        {"from = [\"web\"]", "from = [\"web\"]", true},
        {"from = [\"web\"]", "from = [\"node:web\"]", false},
        {"from = [\"any-authenticated\"]", "from = [\"web\"]", true},
        {"from = [\"web\"]", "from = [\"any-authenticated\"]", false},
        {"from = [\"web\"]", "from = [\"web\"]\nto = [\"api\"]", true},
        {"from = [\"web\"]\nto = [\"api\"]", "from = [\"web\"]", false},
        {"from = [\"web\", \"db\"]\nto = [\"api\", \"x\"]", "from = [\"db\"]\nto = [\"x\"]", true},
        {"from = [\"web\"]\npath = [\"/a/*\"]", "from = [\"web\"]\npath = [\"/a/b\", \"/a/c/*\"]",
         true},
        {"from = [\"web\"]\npath = [\"/a/*\"]", "from = [\"web\"]\npath = [\"/a\"]", false},
        {"from = [\"web\"]\npath = [\"/a\"]", "from = [\"web\"]\npath = [\"/a/*\"]", false},
        {"from = [\"web\"]\npath = [\"/a\"]", "from = [\"web\"]", false},
        {"from = [\"web\"]\nmethod = [\"GET\"]", "from = [\"web\"]", false},
        {"from = [\"web\"]", "from = [\"web\"]\nmethod = [\"GET\"]", true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[512];
        (void)snprintf(text, sizeof text, "[[rule]]\n%s\n[[rule]]\n%s\n", rows[i].a, rows[i].b);
        struct policy_mesh *mesh = mesh_of(text);
        if (policy_covers(&mesh->rule[0], &mesh->rule[1]) != rows[i].covers) fail_msg("row %zu", i);
        policy_mesh_free(mesh);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers_are_merged_in_the_order_of_judgement),
        cmocka_unit_test(test_the_first_layer_that_matches_decides_and_is_named),
        cmocka_unit_test(test_a_rule_covers_what_is_within_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
