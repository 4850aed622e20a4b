#include "core/base/check.h"
#include "tests/sim/plan.h"
#include "tests/sim/script.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char example[] = "parley-sim schedule 1\n"
                              "scenario pause\n"
                              "nodes 20\n"
                              "seed 7\n"
                              "loss 0.01\n"
                              "watch 60.500\n"
                              "start one\n"
                              "crypto real\n"
                              "0.000 skew 2 with -17.5\n"
                              "12.500 pause 3-5 for 4.000\n"
                              "12.500 loss for 1.000 with 30\n"
                              "13.000 crash 19\n";

static enum err read_text(const char *text, struct script *out, unsigned *line)
{
    return script_read(span_str(text), out, line);
}

static void test_a_script_that_is_written_reads_back_the_same(void **state)
{
    (void)state;
    struct script s;
    struct strbuf text;
    unsigned line;
    assert_int_equal(read_text(example, &s, &line), ERR_OK);
    assert_int_equal(s.options.scenario, SCENARIO_PAUSE);
    assert_int_equal(s.options.nodes, 20);
    assert_int_equal(s.options.for_ms, 60500);
    assert_true(s.options.real_crypto);
    assert_int_equal(s.count, 4);
    assert_int_equal(s.fault[1].kind, FAULT_PAUSE);
    assert_int_equal(s.fault[1].first, 3);
    assert_int_equal(s.fault[1].last, 5);
    assert_int_equal(s.fault[1].for_us, 4000000);
    strbuf_init(&text, 4096);
    script_write(&s, &text);
    assert_string_equal(text.p, example);
    strbuf_fini(&text);
    script_fini(&s);
}

static void test_what_is_no_script_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned line;
    } bad[] = {
        {"", 1},
        {"parley-sim schedule 2\n", 1},
        {"parley-sim schedule 1\nnodes 1\n", 2},
        {"parley-sim schedule 1\nnodes 20\ncolour red\n", 3},
        {"parley-sim schedule 1\nscenario none\n", 2},
        {"parley-sim schedule 1\n# fine\n1.0 explode 3\n", 3},
        {"parley-sim schedule 1\n1.0 crash\n", 2},
        {"parley-sim schedule 1\n1.0 crash 5-3\n", 2},
        {"parley-sim schedule 1\n1.0 crash 3 for 2\n", 2},
        {"parley-sim schedule 1\n1.0 pause 3\n", 2},
        {"parley-sim schedule 1\n1.0 pause 3 for x\n", 2},
        {"parley-sim schedule 1\n1.0 rate 3 for 2\n", 2},
        {"parley-sim schedule 1\n1e99 crash 3\n", 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct script s;
        unsigned line = 0;
        assert_int_equal(read_text(bad[i].text, &s, &line), ERR_INVALID);
        assert_int_equal(line, bad[i].line);
    }
}

static void test_faults_stand_in_order_of_time_and_of_adding(void **state)
{
    (void)state;
    struct scenario_options o = {.nodes = 5};
    struct script s;
    script_init(&s, &o);
    for (uint32_t i = 0; i < 4; i++)
        script_add(&s, &(struct fault){.kind = FAULT_KILL, .at_us = i % 2 * 1000, .first = i});
    script_add(&s, &(struct fault){.kind = FAULT_PAUSE, .at_us = 500, .for_us = 9000});
    static const uint32_t want[] = {0, 2, 0, 1, 3};
    for (size_t i = 0; i < s.count; i++)
        assert_int_equal(s.fault[i].first, want[i]);
    assert_int_equal(script_end_us(&s), 9000);
    script_fini(&s);
}

static void test_every_plan_can_be_written_and_read(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SCENARIOS; i++) {
        struct scenario_options o = {.scenario = (enum scenario)i,
                                     .nodes = 12,
                                     .seed = 3,
                                     .for_ms = 60000,
                                     .algorithm = algorithm_parley()};
        struct script made, read;
        struct strbuf before, after;
        unsigned line;
        plan_make(&o, &made);
        strbuf_init(&before, 1u << 20);
        strbuf_init(&after, 1u << 20);
        script_write(&made, &before);
        assert_int_equal(script_read(span_of(before.p, before.len), &read, &line), ERR_OK);
        script_write(&read, &after);
        assert_string_equal(before.p, after.p);
        assert_int_equal(read.count, made.count);
        strbuf_fini(&before);
        strbuf_fini(&after);
        script_fini(&made);
        script_fini(&read);
    }
}

static void test_scenarios_are_known_by_word_and_number(void **state)
{
    (void)state;
    enum scenario s;
    assert_true(scenario_parse("S2", &s));
    assert_int_equal(s, SCENARIO_CRASH);
    assert_true(scenario_parse("flip-flop", &s));
    assert_int_equal(s, SCENARIO_FLIP);
    assert_false(scenario_parse("S99", &s));
    assert_false(scenario_parse("", &s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_script_that_is_written_reads_back_the_same),
        cmocka_unit_test(test_what_is_no_script_is_refused_with_its_line),
        cmocka_unit_test(test_faults_stand_in_order_of_time_and_of_adding),
        cmocka_unit_test(test_every_plan_can_be_written_and_read),
        cmocka_unit_test(test_scenarios_are_known_by_word_and_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
