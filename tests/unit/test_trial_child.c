/* What a trial's child does with a host file and a mesh policy. */
#include "cmd/daemon/trial_child.h"
#include "core/base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOST                                                                                       \
    "[node]\nname = \"h1\"\nmesh = \"shop\"\naddr = \"10.0.0.1\"\n"                                \
    "[service.api]\nlocal = \"127.0.0.1:8081\"\nallow = [\"web\"]\n"                               \
    "[service.db]\nlocal = \"127.0.0.1:5432\"\nprotocol = \"tcp\"\nhealth = \"none\"\n"
#define MESH                                                                                       \
    "[[rule]]\nname = \"a\"\nfrom = [\"web\", \"node:ops\"]\nto = [\"api\"]\nmethod = [\"GET\"]\n" \
    "path = [\"/jobs\", \"/jobs/*\"]\n"                                                            \
    "[[rule]]\nname = \"b\"\naction = \"deny\"\nfrom = [\"any-authenticated\"]\npath = "           \
    "[\"/admin/*\"]\n"                                                                             \
    "[[rule]]\nname = \"c\"\nfrom = [\"any-authenticated\"]\n"

/* How many requests were judged. */
static uint32_t judge(const char *host, const char *mesh)
{
    struct config_text h = {.file = "parley.toml", .text = span_str(host)};
    struct config_text m = {.file = "mesh:mesh.toml", .text = span_str(mesh)};
    struct strbuf input;
    strbuf_init(&input, 1u << 20);
    assert_int_equal(trial_child_write(&h, host[0] != '\0', &m, 1, &input), ERR_OK);
    uint32_t judged = UINT32_MAX;
    assert_int_equal(trial_child_judge(strbuf_view(&input), &judged), ERR_OK);
    strbuf_fini(&input);
    return judged;
}

static void test_what_fits_survives(void **state)
{
    (void)state;
    assert_true(judge(HOST, MESH) > 20);
    assert_int_equal(judge("", MESH), 0); /* without its host file */
}

/* The main file and all that it may include. */
static void test_a_host_file_may_include_many(void **state)
{
    (void)state;
    struct config_text host[CONFIG_INCLUDES_MAX + 1];
    struct config_text m = {.file = "mesh:mesh.toml", .text = span_str(MESH)};
    struct strbuf input;
    for (size_t i = 0; i <= CONFIG_INCLUDES_MAX; i++)
        host[i] = (struct config_text){.file = "more.toml", .text = span_str("")};
    host[0].text = span_str(HOST);
    strbuf_init(&input, 1u << 20);
    assert_int_equal(trial_child_write(host, CONFIG_INCLUDES_MAX + 1, &m, 1, &input), ERR_OK);
    uint32_t judged;
    assert_int_equal(trial_child_judge(strbuf_view(&input), &judged), ERR_OK);
    assert_true(judged > 20);
    strbuf_fini(&input);
}

/* The agent says what is wrong with it. */
static void test_what_does_not_load_survives_too(void **state)
{
    (void)state;
    assert_int_equal(judge(HOST, "[[rule]]\nform = 1\n"), 0);
    assert_int_equal(judge("[node\n", MESH), 0);
    assert_int_equal(judge(HOST, "[[rule]]\nname = \"x\"\nto = [\"db\"]\npath = [\"/x\"]\n"), 0);
}

static void test_many_rules_are_bounded_work(void **state)
{
    (void)state;
    char storage[128 * 1024];
    struct strbuf text;
    strbuf_init_fixed(&text, storage, sizeof storage);
    for (unsigned i = 0; i < 1000; i++)
        strbuf_fmt(&text,
                   "[[rule]]\nname = \"r%u\"\nfrom = [\"s%u\"]\npath = [\"/%u/*\", \"/%u\"]\n", i,
                   i % 7, i, i);
    assert_true(strbuf_ok(&text));
    assert_int_equal(judge(HOST, storage), 20000);
}

static void test_what_is_no_input_is_refused(void **state)
{
    (void)state;
    struct config_text m = {.file = "mesh:mesh.toml", .text = span_str(MESH)};
    struct strbuf input;
    strbuf_init(&input, 1u << 20);
    assert_int_equal(trial_child_write(NULL, 0, &m, 1, &input), ERR_OK);
    uint32_t judged;
    assert_int_not_equal(trial_child_judge(span_of("", 0), &judged), ERR_OK);
    assert_int_not_equal(trial_child_judge(SPAN_LIT("what is this"), &judged), ERR_OK);
    for (size_t len = 0; len < input.len; len++)
        assert_int_not_equal(trial_child_judge(span_of(input.p, len), &judged), ERR_OK);
    strbuf_fini(&input);
}

static void test_it_is_asked_for_by_one_word(void **state)
{
    (void)state;
    char name[] = "parley", word[] = TRIAL_CHILD_WORD, other[] = "status";
    char *argv[] = {name, word, other, NULL};
    assert_true(trial_child_asked(2, argv));
    assert_false(trial_child_asked(3, argv));
    argv[1] = other;
    assert_false(trial_child_asked(2, argv));
    assert_false(trial_child_asked(1, argv));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_fits_survives),
        cmocka_unit_test(test_a_host_file_may_include_many),
        cmocka_unit_test(test_what_does_not_load_survives_too),
        cmocka_unit_test(test_many_rules_are_bounded_work),
        cmocka_unit_test(test_what_is_no_input_is_refused),
        cmocka_unit_test(test_it_is_asked_for_by_one_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
