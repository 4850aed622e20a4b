/* Trials of policy: the child, which is this test run again, survives, crashes, hangs or fails. */
#include "cmd/daemon/policy_trial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/daemon/trial_child.h"

#define WAIT_MS 60000u /* not reached */

struct rig {
    struct loop *loop;
    struct policy_trial trial;
    unsigned ends;
    char died[POLICY_TRIAL_REASON_BYTES];
};

static void ended(struct policy_trial *t, const char *died)
{
    struct rig *r = CONTAINER_OF(t, struct rig, trial);
    r->ends++;
    (void)snprintf(r->died, sizeof r->died, "%s", died != NULL ? died : "");
    loop_stop(r->loop);
}

static int rig_up(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    assert_int_equal(loop_new(&r->loop), ERR_OK);
    r->trial = (struct policy_trial){.loop = r->loop, .wait_ms = WAIT_MS, .on_end = ended};
    *state = r;
    return 0;
}

static int rig_down(void **state)
{
    struct rig *r = *state;
    policy_trial_stop(&r->trial);
    loop_free(r->loop);
    free(r);
    return 0;
}

/* What the child is to do is its input. */
static int child(void)
{
    char what[32] = "";
    if (read(STDIN_FILENO, what, sizeof what - 1) < 0) return 9;
    if (strcmp(what, "crash") == 0) abort();
    if (strcmp(what, "hang") == 0) pause();
    return strcmp(what, "fail") == 0 ? 3 : 0;
}

static void run(struct rig *r, const char *what)
{
    assert_int_equal(policy_trial_start(&r->trial, "/proc/self/exe", span_str(what)), ERR_OK);
    loop_run(r->loop);
    assert_int_equal(r->trial.child.pid, 0);
}

static void test_one_that_survives_has_no_more_to_say(void **state)
{
    struct rig *r = *state;
    run(r, "live");
    assert_int_equal(r->ends, 1);
    assert_string_equal(r->died, "");
}

static void test_a_crash_is_named(void **state)
{
    struct rig *r = *state;
    run(r, "crash");
    assert_string_equal(r->died, "its trial crashed: Aborted");
}

static void test_a_failure_is_one_too(void **state)
{
    struct rig *r = *state;
    run(r, "fail");
    assert_string_equal(r->died, "its trial failed with exit code 3");
}

static void test_one_that_hangs_is_ended(void **state)
{
    struct rig *r = *state;
    r->trial.wait_ms = 1;
    run(r, "hang");
    assert_int_equal(r->ends, 1);
    assert_string_equal(r->died, "its trial took longer than 1 ms");
}

/* A new generation came: the old one's end is nobody's concern. */
static void test_a_new_one_ends_the_old_without_a_word(void **state)
{
    struct rig *r = *state;
    assert_int_equal(policy_trial_start(&r->trial, "/proc/self/exe", span_str("hang")), ERR_OK);
    pid_t first = r->trial.child.pid;
    run(r, "fail");
    assert_int_equal(r->ends, 1);
    assert_string_equal(r->died, "its trial failed with exit code 3");
    assert_int_equal(kill(first, 0), -1);
}

static void test_no_program_is_an_error_at_once(void **state)
{
    struct rig *r = *state;
    assert_int_equal(policy_trial_start(&r->trial, "/nowhere", span_str("")), ERR_NOT_FOUND);
    assert_int_equal(r->ends, 0);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_that_survives_has_no_more_to_say, rig_up,
                                        rig_down),
        cmocka_unit_test_setup_teardown(test_a_crash_is_named, rig_up, rig_down),
        cmocka_unit_test_setup_teardown(test_a_failure_is_one_too, rig_up, rig_down),
        cmocka_unit_test_setup_teardown(test_one_that_hangs_is_ended, rig_up, rig_down),
        cmocka_unit_test_setup_teardown(test_a_new_one_ends_the_old_without_a_word, rig_up,
                                        rig_down),
        cmocka_unit_test_setup_teardown(test_no_program_is_an_error_at_once, rig_up, rig_down),
    };
    if (trial_child_asked(argc, argv)) return child();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
