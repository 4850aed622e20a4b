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

static int role(const char *name)
{
    struct sigaction usual;
    if (strcmp(name, "echo") == 0) return echo();
    if (strcmp(name, "look") == 0) return look_around();
    if (strcmp(name, "abort") == 0) raise(SIGSEGV);
    if (strcmp(name, "wait") == 0) pause();
    if (strcmp(name, "signals") == 0)
        return sigaction(SIGPIPE, NULL, &usual) != 0 || usual.sa_handler != SIG_DFL;
    return 99;
}

static struct child start(const char *name, struct span input)
{
    const char *const argv[] = {"child", name, NULL};
    struct child c;
    assert_int_equal(child_start(SELF, argv, input, &c), ERR_OK);
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

static void test_no_such_program(void **state)
{
    (void)state;
    static const char *const argv[] = {"child", NULL};
    struct child c = {.pid = 0};
    assert_int_equal(child_start("/nowhere/child", argv, span_of(NULL, 0), &c), ERR_NOT_FOUND);
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
        cmocka_unit_test(test_no_such_program),
    };
    if (argc == 2) return role(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
