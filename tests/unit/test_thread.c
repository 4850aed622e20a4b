#define _GNU_SOURCE
#include "core/io/thread.h"

#include "core/base/check.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

struct report {
    sigset_t blocked;
    char name[32];
    bool ran;
};

static void look_around(void *arg)
{
    struct report *r = arg;
    r->ran = pthread_sigmask(SIG_SETMASK, NULL, &r->blocked) == 0;
}

static void test_thread_runs_with_every_signal_blocked_and_the_starter_keeps_its_mask(void **state)
{
    (void)state;
    struct thread t;
    struct report r = {.ran = false};
    sigset_t before, after;
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    assert_int_equal(thread_start(&t, "worker", look_around, &r), ERR_OK);
    thread_join(&t);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    assert_true(r.ran);
    assert_true(sigismember(&r.blocked, SIGTERM) == 1);
    assert_true(sigismember(&r.blocked, SIGHUP) == 1);
    assert_true(sigismember(&r.blocked, SIGCHLD) == 1);
    assert_int_equal(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
}

struct gate {
    _Atomic bool open;
};

static void wait_at(void *arg)
{
    struct gate *g = arg;
    while (!g->open)
        sched_yield();
}

static void test_long_name_is_cut_to_what_the_kernel_shows(void **state)
{
    (void)state;
    struct thread t;
    struct gate g = {.open = false};
    char name[32] = "";
    assert_int_equal(thread_start(&t, "a-name-of-twenty-chars", wait_at, &g), ERR_OK);
    assert_int_equal(pthread_getname_np(t.id, name, sizeof(name)), 0);
    g.open = true;
    thread_join(&t);
    assert_string_equal(name, "a-name-of-twent");
}

static void test_processors_are_those_we_may_run_on(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    assert_int_equal(thread_cpu_count(), CPU_COUNT(&before));
    unsigned cpu = 0;
    while (!CPU_ISSET(cpu, &before))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    assert_int_equal(thread_cpu_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread_runs_with_every_signal_blocked_and_the_starter_keeps_its_mask),
        cmocka_unit_test(test_long_name_is_cut_to_what_the_kernel_shows),
        cmocka_unit_test(test_processors_are_those_we_may_run_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
