#include "core/wire/config_policy.h"

#include "core/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct rig {
    struct diag diag;
    struct policy_mesh *mesh;
    enum err err;
    struct strbuf said;
};

static void rig_load(struct rig *r, const struct config_text *text, size_t count)
{
    *r = (struct rig){.mesh = NULL};
    diag_init(&r->diag);
    strbuf_init(&r->said, 1u << 20);
    r->err = config_policy_load(text, count, &r->diag, &r->mesh);
    diag_print(&r->diag, &r->said);
}

static void rig_one(struct rig *r, const char *text)
{
    struct config_text one = {"p.toml", span_str(text)};
    rig_load(r, &one, 1);
}

static void rig_down(struct rig *r)
{
    policy_mesh_free(r->mesh);
    strbuf_fini(&r->said);
    diag_fini(&r->diag);
}

static void says(struct rig *r, const char *text)
{
    if (r->said.p == NULL || strstr(r->said.p, text) == NULL)
        fail_msg("\"%s\" is not in:\n%s", text, r->said.p != NULL ? r->said.p : "");
}

static void refused(const char *text, const char *why)
{
    struct rig r;
    rig_one(&r, text);
    assert_int_equal(r.err, ERR_INVALID);
    assert_null(r.mesh);
    says(&r, why);
    rig_down(&r);
}

static void test_rules_carry_services_callers_and_place(void **state)
{
    struct rig r;
    (void)state;
    rig_one(&r, "[[rule]]\nname = \"web-api\"\nfrom = [\"web\", \"node:ops-1\"]\nto = [\"api\", "
                "\"db\"]\nmethod = [\"GET\"]\npath = [\"/a\", \"/b/*\"]\n\n"
                "[[rule]]\nname = \"no-admin\"\naction = \"deny\"\npath = [\"/admin/*\"]\n");
    assert_int_equal(r.err, ERR_OK);
    assert_int_equal(r.mesh->rule_count, 2);
    const struct policy_rule *rule = &r.mesh->rule[0];
    assert_string_equal(rule->name, "web-api");
    assert_int_equal(rule->layer, POLICY_LAYER_MESH);
    assert_int_equal(rule->action, POLICY_ALLOW);
    assert_int_equal(rule->from_count, 2);
    assert_int_equal(rule->from[1].kind, CALLER_NODE);
    assert_int_equal(rule->to_count, 2);
    assert_string_equal(rule->to[1].text, "db");
    assert_true(rule->path[1].prefix);
    assert_string_equal(rule->file, "p.toml");
    assert_int_equal(rule->line, 1);
    assert_int_equal(r.mesh->rule[1].action, POLICY_DENY);
    assert_int_equal(r.mesh->rule[1].to_count, 0);
    assert_int_equal(r.mesh->rule[1].line, 8);
    rig_down(&r);
}

static void test_every_error_is_said_with_its_place(void **state)
{
    struct rig r;
    (void)state;
    rig_one(&r, "[[rule]]\nname = \"a\"\nform = [\"web\"]\n\n[[rule]]\nname = \"b\"\n"
                "from = [\"web\"]\nto = [\"No Service\"]\nmethod = [\"get\"]\n");
    assert_int_equal(r.err, ERR_INVALID);
    says(&r, "p.toml:3:1: error: unknown key \"form\"");
    says(&r, "did you mean \"from\"?");
    says(&r, "p.toml:1:1: error: an allow rule needs from");
    says(&r, "p.toml:8:7: error: \"No Service\" is no service name");
    says(&r, "p.toml:9:11: error: method \"get\" never matches; did you mean \"GET\"?");
    rig_down(&r);
}

static void test_only_rules_stand_at_the_top(void **state)
{
    (void)state;
    refused("[[rules]]\nname = \"a\"\n", "did you mean \"rule\"?");
    refused("[service.api]\nlocal = \"127.0.0.1:1\"\n", "is not part of this version");
    refused("[rule]\nname = \"a\"\n", "rule must be");
    refused("[[rule]]\nname = \"a\n", "p.toml:2:");
}

static void test_empty_lists_would_read_as_no_condition(void **state)
{
    (void)state;
    refused("[[rule]]\nfrom = [\"web\"]\nto = []\n", "to is empty");
    refused("[[rule]]\nfrom = []\n", "from is empty");
    refused("[[rule]]\nfrom = [\"web\"]\npath = [\"/a/*/b\"]\n", "\"*\" stands only at the end");
}

static void test_a_name_is_unique_over_all_texts(void **state)
{
    struct config_text text[] = {
        {"a.toml", SPAN_LIT("[[rule]]\nname = \"x\"\nfrom = [\"web\"]\n")},
        {"b.toml", SPAN_LIT("\n[[rule]]\nname = \"x\"\nfrom = [\"web\"]\nto = [\"db\"]\n")}};
    struct rig r;
    (void)state;
    rig_load(&r, text, 2);
    assert_int_equal(r.err, ERR_INVALID);
    says(&r, "b.toml:2:1: error: rule \"x\" is already defined at a.toml:1");
    rig_down(&r);
}

static void test_unnamed_rules_are_numbered_over_all_texts(void **state)
{
    struct config_text text[] = {{"a.toml", SPAN_LIT("[[rule]]\nfrom = [\"web\"]\nto=[\"api\"]\n")},
                                 {"b.toml", SPAN_LIT("[[rule]]\nfrom = [\"db\"]\nto=[\"api\"]\n")}};
    struct rig r;
    (void)state;
    rig_load(&r, text, 2);
    assert_int_equal(r.err, ERR_OK);
    assert_string_equal(r.mesh->rule[0].name, "rule-1");
    assert_string_equal(r.mesh->rule[1].name, "rule-2");
    rig_down(&r);
}

static void test_a_rule_that_never_decides_is_a_warning(void **state)
{
    struct rig r;
    (void)state;
    rig_one(&r, "[[rule]]\nname = \"narrow\"\nfrom = [\"web\"]\nto = [\"api\"]\npath = [\"/a/b\"]\n"
                "[[rule]]\nname = \"closed\"\naction = \"deny\"\nfrom = [\"web\"]\n");
    assert_int_equal(r.err, ERR_OK);
    assert_int_equal(r.diag.warnings, 1);
    says(&r, "p.toml:1: warning[L08]: rule \"narrow\" never decides: rule \"closed\" (p.toml:6)");
    rig_down(&r);
}

static void test_a_rule_open_to_all_is_a_warning(void **state)
{
    struct rig r;
    (void)state;
    rig_one(&r, "[[rule]]\nname = \"all\"\nfrom = [\"any-authenticated\"]\n");
    assert_int_equal(r.err, ERR_OK);
    says(&r, "warning[L07]");
    rig_down(&r);
}

static void test_no_text_is_a_policy_without_rules(void **state)
{
    struct rig r;
    (void)state;
    rig_load(&r, NULL, 0);
    assert_int_equal(r.err, ERR_OK);
    assert_int_equal(r.mesh->rule_count, 0);
    rig_down(&r);
}

static void test_sizes_are_bounded(void **state)
{
    struct rig r;
    (void)state;
    char *big = malloc(CONFIG_POLICY_TEXT_BYTES_MAX + 1u);
    assert_non_null(big);
    memset(big, '\n', CONFIG_POLICY_TEXT_BYTES_MAX + 1u);
    struct config_text text = {"big.toml", span_of(big, CONFIG_POLICY_TEXT_BYTES_MAX + 1u)};
    rig_load(&r, &text, 1);
    assert_int_equal(r.err, ERR_TOO_LARGE);
    rig_down(&r);
    free(big);
    struct strbuf sb;
    strbuf_init(&sb, 1u << 20);
    for (unsigned i = 0; i <= CONFIG_RULES_MAX; i++)
        strbuf_fmt(&sb, "[[rule]]\nfrom = [\"s%u\"]\n", i);
    text = (struct config_text){"many.toml", strbuf_view(&sb)};
    rig_load(&r, &text, 1);
    assert_int_equal(r.err, ERR_INVALID);
    says(&r, "more than 1024 rules");
    rig_down(&r);
    strbuf_fini(&sb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_carry_services_callers_and_place),
        cmocka_unit_test(test_every_error_is_said_with_its_place),
        cmocka_unit_test(test_only_rules_stand_at_the_top),
        cmocka_unit_test(test_empty_lists_would_read_as_no_condition),
        cmocka_unit_test(test_a_name_is_unique_over_all_texts),
        cmocka_unit_test(test_unnamed_rules_are_numbered_over_all_texts),
        cmocka_unit_test(test_a_rule_that_never_decides_is_a_warning),
        cmocka_unit_test(test_a_rule_open_to_all_is_a_warning),
        cmocka_unit_test(test_no_text_is_a_policy_without_rules),
        cmocka_unit_test(test_sizes_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
