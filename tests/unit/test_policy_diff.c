/* What `config diff` shows of two mesh policies. */
#include "cmd/verbs/policy_diff.h"

#include "core/wire/config_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct policy_mesh *mesh_of(const char *file, const char *text)
{
    struct config_text one = {file, span_str(text)};
    struct policy_mesh *mesh = NULL;
    assert_int_equal(config_policy_load(&one, 1, NULL, &mesh), ERR_OK);
    return mesh;
}

static void shows(const char *before, const char *after, const char *want)
{
    struct policy_mesh *old = mesh_of("old.toml", before), *next = mesh_of("new.toml", after);
    struct policy_diff diff;
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(policy_diff_make(old, next, &diff), ERR_OK);
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    policy_diff_print(&diff, out);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, want);
    free(text);
    policy_diff_fini(&diff);
    policy_mesh_free(old);
    policy_mesh_free(next);
}

static const char before[] =
    "[[rule]]\nname = \"report-read\"\nfrom = [\"report\"]\nto = [\"api\"]\n"
    "path = [\"/reports/*\"]\n"
    "[[rule]]\nname = \"gone\"\naction = \"deny\"\nfrom = [\"web\"]\n";

static void test_each_kind_of_change_is_a_row_with_its_place(void **state)
{
    (void)state;
    shows(before,
          "[[rule]]\nname = \"report-read\"\nfrom = [\"report\"]\nto = [\"api\"]\n"
          "path = [\"/reports/*\", \"/export\"]\n"
          "[[rule]]\nname = \"jobs-api\"\nfrom = [\"jobs\", \"node:ops-1\"]\nto = [\"api\"]\n"
          "method = [\"POST\"]\npath = [\"/orders\"]\n",
          "~ rule.report-read  path  [\"/reports/*\"] -> [\"/reports/*\", \"/export\"]    "
          "new.toml:1\n"
          "+ rule.jobs-api     allow jobs,node:ops-1 -> api POST /orders    new.toml:6\n"
          "- rule.gone         deny web -> *    old.toml:6\n");
}

static void test_a_field_that_comes_or_goes_reads_any(void **state)
{
    (void)state;
    shows("[[rule]]\nname = \"a\"\nfrom = [\"web\"]\nto = [\"api\"]\n",
          "[[rule]]\nname = \"a\"\naction = \"deny\"\nfrom = [\"any-authenticated\"]\n",
          "~ rule.a  action  \"allow\" -> \"deny\"    new.toml:1\n"
          "~ rule.a  from  [\"web\"] -> [\"any-authenticated\"]    new.toml:1\n"
          "~ rule.a  to  [\"api\"] -> any    new.toml:1\n");
}

static void test_order_and_comments_are_no_change(void **state)
{
    (void)state;
    shows(before, before, "");
    shows(before,
          "# first\n[[rule]]\nname = \"gone\"\naction = \"deny\"\nfrom = [\"web\"]\n"
          "[[rule]]\nname = \"report-read\"\nfrom = [\"report\"]\nto = [\"api\"]\n"
          "path = [\"/reports/*\"]\n",
          "");
}

static void test_json_has_a_row_a_change(void **state)
{
    struct policy_mesh *old = mesh_of("old.toml", ""), *next = mesh_of("new.toml", before);
    struct policy_diff diff;
    struct strbuf sb;
    struct json j;
    (void)state;
    assert_int_equal(policy_diff_make(old, next, &diff), ERR_OK);
    strbuf_init(&sb, 1u << 16);
    json_init(&j, &sb);
    policy_diff_json(&diff, &j);
    assert_string_equal(
        sb.p,
        "[{\"change\":\"add\",\"rule\":\"report-read\",\"field\":null,\"from\":null,\"to\":"
        "\"allow report -> api /reports/*\",\"file\":\"new.toml\",\"line\":1},"
        "{\"change\":\"add\",\"rule\":\"gone\",\"field\":null,\"from\":null,\"to\":\"deny web "
        "-> *\",\"file\":\"new.toml\",\"line\":6}]");
    strbuf_fini(&sb);
    policy_diff_fini(&diff);
    policy_mesh_free(old);
    policy_mesh_free(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_of_change_is_a_row_with_its_place),
        cmocka_unit_test(test_a_field_that_comes_or_goes_reads_any),
        cmocka_unit_test(test_order_and_comments_are_no_change),
        cmocka_unit_test(test_json_has_a_row_a_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
