#include "core/base/check.h"

#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define THING_MAGIC 0x7481a9c5u

struct thing {
    uint32_t magic;
    int value;
};

/* Runs `body` in a child with its descriptor 2 in `text`; the wait status. */
static int run_child(void (*body)(void), char *text, size_t cap)
{
    int fds[2], status = 0;
    size_t len = 0;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(fds[1], 2);
        struct sigaction plain = {.sa_handler = SIG_DFL};
        sigaction(SIGABRT, &plain, NULL);
        body();
        _exit(0);
    }
    close(fds[1]);
    for (;;) {
        ssize_t n = read(fds[0], text + len, cap - 1 - len);
        if (n <= 0) break;
        len += (size_t)n;
    }
    text[len] = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void false_condition(void)
{
    int apples = 3;
    CHECK(apples == 4);
}

static void true_condition(void)
{
    int apples = 3;
    CHECK(apples == 3);
}

static void poisoned_object(void)
{
    struct thing t = {.magic = MAGIC_POISON};
    CHECK_OBJ(&t, THING_MAGIC);
}

static void long_condition(void)
{
    char cond[2000];
    memset(cond, 'c', sizeof(cond) - 1);
    cond[sizeof(cond) - 1] = '\0';
    check_fail(cond, "x.c", 1, "f");
}

static void test_false_check_says_where_and_aborts(void **state)
{
    (void)state;
    char text[1024];
    int status = run_child(false_condition, text, sizeof(text));
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    const char *start = "check failed: apples == 4 at tests/unit/test_check.c:";
    assert_int_equal(strncmp(text, start, strlen(start)), 0);
    assert_non_null(strstr(text, " in false_condition\n"));
}

static void test_true_check_does_nothing(void **state)
{
    (void)state;
    char text[1024];
    assert_int_equal(run_child(true_condition, text, sizeof(text)), 0);
    assert_string_equal(text, "");
}

static void test_poisoned_magic_is_caught(void **state)
{
    (void)state;
    char text[1024];
    assert_true(WIFSIGNALED(run_child(poisoned_object, text, sizeof(text))));
    assert_non_null(strstr(text, "magic"));
}

static void test_long_condition_is_cut_and_ends_its_line(void **state)
{
    (void)state;
    char text[1024];
    assert_true(WIFSIGNALED(run_child(long_condition, text, sizeof(text))));
    assert_true(strlen(text) <= 512);
    assert_int_equal(text[strlen(text) - 1], '\n');
}

static void test_size_arithmetic_refuses_to_wrap(void **state)
{
    (void)state;
    size_t out = 7;
    assert_false(size_add(SIZE_MAX, 1, &out));
    assert_false(size_mul(SIZE_MAX / 2 + 1, 2, &out));
    assert_int_equal(out, 7);
    assert_true(size_add(SIZE_MAX - 1, 1, &out));
    assert_true(out == SIZE_MAX);
    assert_true(size_mul(6, 7, &out));
    assert_int_equal(out, 42);
}

static void test_container_of_finds_the_struct(void **state)
{
    (void)state;
    struct thing t = {.magic = THING_MAGIC, .value = 5};
    int *member = &t.value;
    assert_ptr_equal(CONTAINER_OF(member, struct thing, value), &t);
    assert_int_equal(ARRAY_LEN("abc"), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_false_check_says_where_and_aborts),
        cmocka_unit_test(test_true_check_does_nothing),
        cmocka_unit_test(test_poisoned_magic_is_caught),
        cmocka_unit_test(test_long_condition_is_cut_and_ends_its_line),
        cmocka_unit_test(test_size_arithmetic_refuses_to_wrap),
        cmocka_unit_test(test_container_of_finds_the_struct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
