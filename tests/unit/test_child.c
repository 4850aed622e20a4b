/* Child processes: this test, run again in the role that its one argument names. */
#include "core/io/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define SELF "/proc/self/exe"

extern char **environ;

/* Its input comes back on its stdout. */
static int echo(void)
{
    char piece[4096];
    ssize_t n;
    while ((n = read(STDIN_FILENO, piece, sizeof piece)) > 0)
        if (write(STDOUT_FILENO, piece, (size_t)n) != n) return 1;
    return n == 0 ? 7 : 1;
}

/* 0: it has nothing but the three descriptors, and no environment. */
static int look_around(void)
{
    DIR *d = opendir("/proc/self/fd");
    struct dirent *e;
    if (d == NULL) return 1;
    while ((e = readdir(d)) != NULL) {
        int fd = (int)strtol(e->d_name, NULL, 10);
        if (e->d_name[0] != '.' && fd > 2 && fd != dirfd(d)) return 2;
    }
    closedir(d);
    return environ != NULL && environ[0] != NULL ? 3 : 0;
}

/* Ends, and leaves a child of its own behind that holds its output open and hears no signal but
 * the one that nobody can refuse. */
static int leave_one_behind(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (fork() != 0) return 3;
    (void)sigaction(SIGTERM, &ignore, NULL);
    for (;;)
        pause();
}

static int speak(void)
{
    return write(STDOUT_FILENO, "out ", 4) == 4 && write(STDERR_FILENO, "err", 3) == 3 ? 0 : 1;
}

static int role(const char *name)
{
    struct sigaction usual;
    if (strcmp(name, "echo") == 0) return echo();
    if (strcmp(name, "look") == 0) return look_around();
    if (strcmp(name, "leave") == 0) return leave_one_behind();
    if (strcmp(name, "speak") == 0) return speak();
    if (strcmp(name, "abort") == 0) raise(SIGSEGV);
    if (strcmp(name, "wait") == 0) pause();
    if (strcmp(name, "signals") == 0)
        return sigaction(SIGPIPE, NULL, &usual) != 0 || usual.sa_handler != SIG_DFL;
    return 99;
}

static struct child start(const char *name, struct span input)
{
    const char *const argv[] = {"child", name, NULL};
    const struct child_options o = {.path = SELF, .argv = argv, .input = input};
    struct child c;
    assert_int_equal(child_start(&o, &c), ERR_OK);
    return c;
}

/* All that it says, until it ends. */
static size_t listen_to(const struct child *c, char *dst, size_t cap)
{
    size_t len = 0;
    for (;;) {
        struct pollfd p = {.fd = c->out_fd, .events = POLLIN};
        assert_true(poll(&p, 1, -1) == 1);
        ssize_t n = read(c->out_fd, dst + len, cap - len);
        assert_true(n >= 0);
        if (n == 0) return len;
        len += (size_t)n;
    }
}

static void test_it_gets_its_input_and_tells_how_it_ended(void **state)
{
    (void)state;
    size_t len = 3u << 20;
    char *sent = malloc(len), *back = malloc(len + 1);
    assert_non_null(sent);
    assert_non_null(back);
    for (size_t i = 0; i < len; i++)
        sent[i] = (char)(i * 31);
    struct child c = start("echo", span_of(sent, len));
    assert_int_equal(listen_to(&c, back, len + 1), len);
    assert_memory_equal(sent, back, len);
    struct child_end end = child_stop(&c);
    assert_int_equal(end.signum, 0);
    assert_int_equal(end.code, 7);
    assert_int_equal(c.pid, 0);
    end = child_stop(&c); /* there is none any more */
    assert_int_equal(end.code, 0);
    free(sent);
    free(back);
}

static void test_it_sees_nothing_of_ours(void **state)
{
    (void)state;
    int left_open = dup(STDIN_FILENO); /* not close-on-exec */
    char none[16];
    struct child c = start("look", span_of(NULL, 0));
    assert_int_equal(listen_to(&c, none, sizeof none), 0);
    assert_int_equal(child_stop(&c).code, 0);
    close(left_open);
}

static void test_its_signals_are_the_usual(void **state)
{
    (void)state;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    char none[16];
    assert_int_equal(sigaction(SIGPIPE, &ignore, &before), 0);
    struct child c = start("signals", span_of(NULL, 0));
    assert_int_equal(listen_to(&c, none, sizeof none), 0);
    assert_int_equal(child_stop(&c).code, 0);
    assert_int_equal(sigaction(SIGPIPE, &before, NULL), 0);
}

static void test_a_crash_is_told_by_its_signal(void **state)
{
    (void)state;
    char none[16];
    struct child c = start("abort", span_of(NULL, 0));
    assert_int_equal(listen_to(&c, none, sizeof none), 0);
    struct child_end end = child_stop(&c);
    assert_true(end.signum == SIGSEGV || end.code == 1); /* a sanitizer says exit code 1 */
}

/* A parent that ignores SIGCHLD hands that down, and then nobody is told how a child ended. */
static void test_a_crash_is_told_where_ends_were_ignored(void **state)
{
    (void)state;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    char none[16];
    assert_int_equal(sigaction(SIGCHLD, &ignore, &before), 0);
    struct child c = start("abort", span_of(NULL, 0));
    assert_int_equal(listen_to(&c, none, sizeof none), 0);
    struct child_end end = child_stop(&c);
    assert_true(end.signum == SIGSEGV || end.code == 1);
    assert_int_equal(sigaction(SIGCHLD, &before, NULL), 0);
}

static void test_one_that_does_not_end_is_killed(void **state)
{
    (void)state;
    struct child c = start("wait", span_of(NULL, 0));
    assert_int_equal(child_stop(&c).signum, SIGKILL);
}

static struct child_end wait_end(struct child *c)
{
    struct child_end end = {.code = -1};
    struct pollfd p = {.fd = c->end_fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, -1), 1);
    assert_true(child_reap(c, &end));
    return end;
}

static void test_its_end_is_told_though_its_child_lives_and_that_dies_with_it(void **state)
{
    (void)state;
    char none[16];
    struct child c = start("leave", span_of(NULL, 0));
    struct child output = {.out_fd = dup(c.out_fd)};
    struct child_end end = wait_end(&c);
    assert_int_equal(end.signum, 0);
    assert_int_equal(end.code, 3);
    assert_int_equal(c.pid, 0);
    /* Nobody holds the pipe any more: the one left behind is gone. */
    assert_int_equal(listen_to(&output, none, sizeof none), 0);
    close(output.out_fd);
}

static void test_one_that_runs_is_not_reaped_and_dies_when_killed(void **state)
{
    (void)state;
    struct child_end end = {.code = 5};
    struct child c = start("wait", span_of(NULL, 0));
    assert_false(child_reap(&c, &end));
    assert_int_equal(end.code, 5);
    child_kill(&c);
    assert_int_equal(wait_end(&c).signum, SIGKILL);
    assert_false(child_reap(&c, &end)); /* there is none any more */
}

static void test_its_stderr_may_join_its_stdout(void **state)
{
    (void)state;
    static const char *const argv[] = {"child", "speak", NULL};
    struct child_options o = {.path = SELF, .argv = argv, .err = CHILD_STDERR_JOINED};
    char said[16];
    struct child c;
    assert_int_equal(child_start(&o, &c), ERR_OK);
    assert_int_equal(listen_to(&c, said, sizeof said), 7);
    assert_memory_equal(said, "out err", 7);
    assert_int_equal(child_stop(&c).code, 0);
    o.err = CHILD_STDERR_NOWHERE;
    assert_int_equal(child_start(&o, &c), ERR_OK);
    assert_int_equal(listen_to(&c, said, sizeof said), 4);
    assert_int_equal(child_stop(&c).code, 0);
}

static void test_no_such_program(void **state)
{
    (void)state;
    static const char *const argv[] = {"child", NULL};
    struct child c = {.pid = 0};
    const struct child_options o = {.path = "/nowhere/child", .argv = argv};
    assert_int_equal(child_start(&o, &c), ERR_NOT_FOUND);
    assert_int_equal(c.pid, 0);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_gets_its_input_and_tells_how_it_ended),
        cmocka_unit_test(test_it_sees_nothing_of_ours),
        cmocka_unit_test(test_its_signals_are_the_usual),
        cmocka_unit_test(test_a_crash_is_told_by_its_signal),
        cmocka_unit_test(test_a_crash_is_told_where_ends_were_ignored),
        cmocka_unit_test(test_one_that_does_not_end_is_killed),
        cmocka_unit_test(test_its_end_is_told_though_its_child_lives_and_that_dies_with_it),
        cmocka_unit_test(test_one_that_runs_is_not_reaped_and_dies_when_killed),
        cmocka_unit_test(test_its_stderr_may_join_its_stdout),
        cmocka_unit_test(test_no_such_program),
    };
    if (argc == 2) return role(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
