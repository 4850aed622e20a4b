#include "tests/sim/minimise.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static size_t count_of(const struct script *s, enum fault_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++)
        n += s->fault[i].kind == kind;
    return n;
}

/* Fails when two nodes are killed and one is paused for 3 s or more, among at least five. */
static const char *needs_three(const struct script *s, struct scenario_result *result)
{
    (void)result;
    bool paused = false;
    for (size_t i = 0; i < s->count; i++)
        paused = paused || (s->fault[i].kind == FAULT_PAUSE && s->fault[i].for_us >= 3000000);
    if (count_of(s, FAULT_KILL) < 2) return s->count == 1 ? "I9: another way" : NULL;
    return paused && s->options.nodes >= 5 ? "I4: gone wrong" : NULL;
}

static const char *never(const struct script *s, struct scenario_result *result)
{
    (void)s;
    (void)result;
    return NULL;
}

static void make(struct script *s)
{
    struct scenario_options o = {.nodes = 40, .for_ms = 60000};
    script_init(s, &o);
    for (uint32_t i = 0; i < 60; i++) {
        struct fault f = {.kind = i % 3 == 0 ? FAULT_KILL : FAULT_ANNOUNCE,
                          .at_us = i * UINT64_C(100000),
                          .first = i % 40,
                          .last = i % 40};
        if (i == 31) f = (struct fault){.kind = FAULT_PAUSE, .at_us = f.at_us, .for_us = 14000000};
        script_add(s, &f);
    }
}

static bool shorten(struct script *s,
                    const char *(*fails)(const struct script *, struct scenario_result *),
                    uint32_t runs, struct minimise_result *how)
{
    struct minimise_options o = {.fails = fails, .runs_max = runs};
    return minimise(s, &o, how);
}

static void test_only_what_is_needed_to_fail_is_left(void **state)
{
    (void)state;
    struct script s;
    struct minimise_result how;
    make(&s);
    assert_true(shorten(&s, needs_three, 1000, &how));
    assert_int_equal(s.count, 3);
    assert_int_equal(count_of(&s, FAULT_KILL), 2);
    assert_int_equal(s.options.nodes, 5);
    assert_string_equal(how.message, "I4: gone wrong");
    for (size_t i = 0; i < s.count; i++)
        if (s.fault[i].kind == FAULT_PAUSE) assert_int_equal(s.fault[i].for_us, 3500000);
    assert_true(s.options.for_ms < 60000);
    script_fini(&s);
}

static void test_a_script_that_does_not_fail_stays_as_it_is(void **state)
{
    (void)state;
    struct script s;
    struct minimise_result how;
    make(&s);
    assert_false(shorten(&s, never, 1000, &how));
    assert_int_equal(s.count, 60);
    assert_int_equal(how.runs, 1);
    script_fini(&s);
}

static void test_the_runs_are_bounded(void **state)
{
    (void)state;
    struct script s;
    struct minimise_result how;
    make(&s);
    assert_true(shorten(&s, needs_three, 5, &how));
    assert_int_equal(how.runs, 5);
    script_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_is_needed_to_fail_is_left),
        cmocka_unit_test(test_a_script_that_does_not_fail_stays_as_it_is),
        cmocka_unit_test(test_the_runs_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
