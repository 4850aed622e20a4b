#define _DEFAULT_SOURCE
#include "cmd/daemon/privs.h"

#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* As a unit with AmbientCapabilities= begins; nothing where the test may not. */
static void take_ambient(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &head, data) != 0) return;
    data[0].inheritable |= 1u << CAP_NET_BIND_SERVICE;
    if (syscall(SYS_capset, &head, data) == 0)
        (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0);
}

/* What a hardened child looks like; the bits that failed. */
static int look(void)
{
    struct rlimit core, files;
    struct sigaction pipe_action;
    take_ambient();
    privs_harden();
    int failed = 0;
    if (umask(0) != 077) failed |= 1;
    if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0) failed |= 2;
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) failed |= 4;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) failed |= 8;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur != files.rlim_max) failed |= 16;
    if (sigaction(SIGPIPE, NULL, &pipe_action) != 0 || pipe_action.sa_handler != SIG_IGN)
        failed |= 32;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_BIND_SERVICE, 0, 0) != 0) failed |= 64;
    return failed;
}

static void test_hardened_process_gives_up_what_it_does_not_need(void **state)
{
    (void)state;
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(look());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_random_bytes_differ_between_calls(void **state)
{
    (void)state;
    uint8_t a[300], b[300]; /* more than getrandom promises in one call */
    assert_int_equal(privs_random(a, sizeof a), ERR_OK);
    assert_int_equal(privs_random(b, sizeof b), ERR_OK);
    assert_int_not_equal(memcmp(a, b, sizeof a), 0);
    assert_int_not_equal(memcmp(a + 256, b + 256, sizeof a - 256), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hardened_process_gives_up_what_it_does_not_need),
        cmocka_unit_test(test_random_bytes_differ_between_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
