/* The command line: durations, flags and suggestions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/table.h"
#include "cmd/verb.h"

static void test_durations_need_a_unit(void **state)
{
    (void)state;
    uint64_t ms = 0;
    assert_true(verb_duration("250ms", &ms) && ms == 250);
    assert_true(verb_duration("10s", &ms) && ms == 10000);
    assert_true(verb_duration("5m", &ms) && ms == 300000);
    assert_true(verb_duration("2h", &ms) && ms == 7200000);
    assert_false(verb_duration("500", &ms));
    assert_false(verb_duration("", &ms));
    assert_false(verb_duration("s", &ms));
    assert_false(verb_duration("-1s", &ms));
    assert_false(verb_duration("1 s", &ms));
    assert_false(verb_duration("99999999999999999999s", &ms));
    assert_false(verb_duration("18446744073709551615h", &ms));
}

static int run(int argc, ...)
{
    char *argv[12];
    va_list ap;
    va_start(ap, argc);
    for (int i = 0; i < argc; i++)
        argv[i] = va_arg(ap, char *);
    va_end(ap);
    argv[argc] = NULL;
    return (int)verb_main(argc, argv);
}

static void test_what_is_not_known_is_a_usage_error(void **state)
{
    (void)state;
    assert_int_equal(run(1, "parley"), EXIT_USAGE);
    assert_int_equal(run(2, "parley", "membres"), EXIT_USAGE);
    assert_int_equal(run(2, "parley", "token"), EXIT_USAGE);
    assert_int_equal(run(3, "parley", "token", "crate"), EXIT_USAGE);
    assert_int_equal(run(3, "parley", "version", "--jsn"), EXIT_USAGE);
    assert_int_equal(run(3, "parley", "version", "more"), EXIT_USAGE);
    assert_int_equal(run(3, "parley", "ready", "--timeout"), EXIT_USAGE);
    assert_int_equal(run(4, "parley", "ready", "--timeout", "5"), EXIT_USAGE);
    assert_int_equal(run(4, "parley", "ready", "--json", "--json"), EXIT_USAGE);
    assert_int_equal(run(3, "parley", "ready", "--json=1"), EXIT_USAGE);
    assert_int_equal(run(2, "parley", "endpoints"), EXIT_USAGE);
    assert_int_equal(run(3, "parley", "help", "nothing"), EXIT_USAGE);
}

static void test_help_and_version_answer(void **state)
{
    (void)state;
    assert_int_equal(run(2, "parley", "help"), EXIT_DONE);
    assert_int_equal(run(3, "parley", "help", "token"), EXIT_DONE);
    assert_int_equal(run(3, "parley", "token", "-h"), EXIT_DONE);
    assert_int_equal(run(3, "parley", "help", "--json"), EXIT_DONE);
    assert_int_equal(run(3, "parley", "version", "--json"), EXIT_DONE);
}

static void test_flags_of_every_verb_may_come_first(void **state)
{
    (void)state;
    assert_int_equal(run(3, "parley", "--json", "version"), EXIT_DONE);
    assert_int_equal(run(4, "parley", "--json", "help", "token"), EXIT_DONE);
    assert_int_equal(run(4, "parley", "--root", "/nonexistent", "ready"), EXIT_NO_AGENT);
    assert_int_equal(
        run(6, "parley", "-q", "--root=/nonexistent", "token", "revoke", "tk_00000000"),
        EXIT_NO_AGENT);
    assert_int_equal(run(4, "parley", "--roots", "/nonexistent", "ready"), EXIT_USAGE);
    assert_int_equal(run(2, "parley", "--json"), EXIT_USAGE);
    assert_int_equal(run(3, "parley", "--root", "/nonexistent"), EXIT_USAGE);
    assert_int_equal(run(2, "parley", "--root"), EXIT_USAGE);
}

static void test_no_agent_has_its_own_exit_code(void **state)
{
    (void)state;
    assert_int_equal(run(4, "parley", "members", "--socket", "/nonexistent/parley.sock"),
                     EXIT_NO_AGENT);
    assert_int_equal(run(4, "parley", "ready", "--root", "/nonexistent"), EXIT_NO_AGENT);
}

static void test_every_verb_has_a_summary_and_bounds(void **state)
{
    (void)state;
    for (const struct verb *v = verb_table(); v->name; v++) {
        assert_non_null(v->summary);
        assert_non_null(v->run);
        assert_true(v->args_min <= v->args_max && v->args_max <= VERB_ARGS_MAX);
        assert_true((v->args_max > 0) == (v->args != NULL));
    }
}

static void test_durations_for_people(void **state)
{
    (void)state;
    char text[32];
    assert_string_equal(table_duration(1200, text, sizeof text), "1.2ms");
    assert_string_equal(table_duration(34000, text, sizeof text), "34ms");
    assert_string_equal(table_duration(3400000, text, sizeof text), "3.4s");
    assert_string_equal(table_duration(UINT64_C(300000000), text, sizeof text), "5m");
    assert_string_equal(table_duration(UINT64_C(10800000000), text, sizeof text), "3h");
    assert_string_equal(table_duration(UINT64_C(259200000000), text, sizeof text), "3d");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations_need_a_unit),
        cmocka_unit_test(test_what_is_not_known_is_a_usage_error),
        cmocka_unit_test(test_help_and_version_answer),
        cmocka_unit_test(test_flags_of_every_verb_may_come_first),
        cmocka_unit_test(test_no_agent_has_its_own_exit_code),
        cmocka_unit_test(test_every_verb_has_a_summary_and_bounds),
        cmocka_unit_test(test_durations_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
