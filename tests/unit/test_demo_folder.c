#include "cmd/verbs/demo_folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int make_tmp(void **state)
{
    char *tmp = strdup("/tmp/test-demo-XXXXXX");
    if (!tmp || !mkdtemp(tmp) || setenv("TMPDIR", tmp, 1) != 0) return -1;
    *state = tmp;
    return 0;
}

static int remove_tmp(void **state)
{
    /* Empty again, or it is left for someone to look at. */
    int failed = rmdir(*state);
    free(*state);
    return failed;
}

static void put_file(const char *folder, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void test_second_demo_is_refused_until_the_first_has_gone(void **state)
{
    struct demo_folder first, second;
    (void)state;
    assert_int_equal(demo_folder_take(&first), ERR_OK);
    assert_int_equal(demo_folder_take(&second), ERR_BUSY);
    demo_folder_drop(&first);
    assert_int_equal(demo_folder_take(&second), ERR_OK);
    demo_folder_drop(&second);
}

static void test_drop_leaves_nothing(void **state)
{
    struct demo_folder f;
    char deep[256];
    struct stat st;
    (void)state;
    assert_int_equal(demo_folder_take(&f), ERR_OK);
    put_file(f.path, "a");
    snprintf(deep, sizeof deep, "%s/n1", f.path);
    assert_int_equal(mkdir(deep, 0700), 0);
    put_file(deep, "b");
    demo_folder_drop(&f);
    assert_int_equal(stat(f.path, &st), -1);
}

/* As after a SIGKILL: the lock went with the process, the files stayed. */
static void test_leftovers_of_a_killed_demo_are_removed(void **state)
{
    struct demo_folder killed, next;
    char path[256];
    (void)state;
    assert_int_equal(demo_folder_take(&killed), ERR_OK);
    put_file(killed.path, "token");
    close(killed.fd);
    assert_int_equal(demo_folder_take(&next), ERR_OK);
    snprintf(path, sizeof path, "%s/token", next.path);
    assert_int_equal(access(path, F_OK), -1);
    demo_folder_drop(&next);
}

static void test_symbolic_link_is_not_followed(void **state)
{
    struct demo_folder f;
    char target[128], link[256];
    snprintf(target, sizeof target, "%s/mine", (const char *)*state);
    snprintf(link, sizeof link, "%s/parley-demo-%u", (const char *)*state, (unsigned)getuid());
    assert_int_equal(mkdir(target, 0700), 0);
    put_file(target, "precious");
    assert_int_equal(symlink(target, link), 0);
    assert_int_equal(demo_folder_take(&f), ERR_PERM);
    assert_int_equal(unlink(link), 0);
    /* A link inside the folder is removed, what it points to is not. */
    assert_int_equal(demo_folder_take(&f), ERR_OK);
    snprintf(link, sizeof link, "%s/link", f.path);
    assert_int_equal(symlink(target, link), 0);
    demo_folder_drop(&f);
    snprintf(link, sizeof link, "%s/precious", target);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(rmdir(target), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_second_demo_is_refused_until_the_first_has_gone,
                                        make_tmp, remove_tmp),
        cmocka_unit_test_setup_teardown(test_drop_leaves_nothing, make_tmp, remove_tmp),
        cmocka_unit_test_setup_teardown(test_leftovers_of_a_killed_demo_are_removed, make_tmp,
                                        remove_tmp),
        cmocka_unit_test_setup_teardown(test_symbolic_link_is_not_followed, make_tmp, remove_tmp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
