#define _GNU_SOURCE
#include "core/io/notify.h"

#include "core/base/check.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

/* A service manager: a bound datagram socket. `name` as in NOTIFY_SOCKET. */
static int manager_open(const char *name)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    memcpy(un.sun_path, name, len);
    if (name[0] == '@') un.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    socklen_t un_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    assert_int_equal(bind(fd, (const struct sockaddr *)&un, un_len), 0);
    return fd;
}

static void assert_message(int fd, const char *want)
{
    char text[256];
    ssize_t n = recv(fd, text, sizeof(text), 0);
    assert_int_equal(n, strlen(want));
    assert_memory_equal(text, want, strlen(want));
}

static void test_message_reaches_a_socket_by_path(void **state)
{
    (void)state;
    char folder[] = "/tmp/parley-notify-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/socket", folder);
    assert_int_equal(notify_send(path, SPAN_LIT("READY=1")), ERR_NOT_FOUND);
    int fd = manager_open(path);
    assert_int_equal(notify_send(path, SPAN_LIT("READY=1\nSTATUS=serving")), ERR_OK);
    assert_message(fd, "READY=1\nSTATUS=serving");
    assert_int_equal(notify_reloading(path, 123456789), ERR_OK);
    assert_message(fd, "RELOADING=1\nMONOTONIC_USEC=123456789");
    close(fd);
    assert_int_equal(notify_send(path, SPAN_LIT("STOPPING=1")), ERR_REFUSED);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void test_message_reaches_an_abstract_socket(void **state)
{
    (void)state;
    char name[64];
    snprintf(name, sizeof(name), "@parley-notify-test-%d", (int)getpid());
    int fd = manager_open(name);
    assert_int_equal(notify_send(name, SPAN_LIT("WATCHDOG=1")), ERR_OK);
    assert_message(fd, "WATCHDOG=1");
    close(fd);
}

static void test_manager_that_does_not_read_does_not_hold_us(void **state)
{
    (void)state;
    char name[64];
    snprintf(name, sizeof(name), "@parley-notify-full-%d", (int)getpid());
    int fd = manager_open(name);
    enum err err = ERR_OK;
    for (unsigned i = 0; i < 100000 && err == ERR_OK; i++)
        err = notify_send(name, SPAN_LIT("STATUS=busy"));
    assert_int_equal(err, ERR_AGAIN);
    close(fd);
}

static void test_no_manager_is_no_error_and_a_strange_name_is(void **state)
{
    (void)state;
    char longest[200];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[0] = '/';
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(notify_send(NULL, SPAN_LIT("READY=1")), ERR_OK);
    assert_int_equal(notify_send("", SPAN_LIT("READY=1")), ERR_OK);
    assert_int_equal(notify_send("relative", SPAN_LIT("READY=1")), ERR_INVALID);
    assert_int_equal(notify_send("@", SPAN_LIT("READY=1")), ERR_INVALID);
    assert_int_equal(notify_send(longest, SPAN_LIT("READY=1")), ERR_INVALID);
}

static void test_watchdog_counts_only_for_its_process(void **state)
{
    (void)state;
    static const struct {
        const char *usec, *pid;
        uint64_t want_ms;
    } cases[] = {
        {NULL, NULL, 0},        {"10000000", NULL, 10000}, {"10000000", "77", 10000},
        {"10000000", "78", 0},  {"10000000", "x", 0},      {"", NULL, 0},
        {"-5", NULL, 0},        {"999", "77", 0},          {"1000", "77", 1},
        {"10000000 ", "77", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(notify_watchdog_ms(cases[i].usec, cases[i].pid, 77), cases[i].want_ms);
}

static void test_descriptors_are_kept_under_a_name(void **state)
{
    (void)state;
    char name[64], text[256];
    snprintf(name, sizeof(name), "@parley-store-%d", (int)getpid());
    int manager = manager_open(name), pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(notify_store(name, "127.0.0.1_9001", pipes, 2), ERR_OK);
    struct iovec iov = {.iov_base = text, .iov_len = sizeof(text)};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(manager, &msg, MSG_CMSG_CLOEXEC);
    const char *want = "FDSTORE=1\nFDPOLL=0\nFDNAME=127.0.0.1_9001\n";
    assert_int_equal(n, strlen(want));
    assert_memory_equal(text, want, strlen(want));
    const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    assert_non_null(c);
    assert_int_equal(c->cmsg_type, SCM_RIGHTS);
    assert_int_equal(c->cmsg_len, CMSG_LEN(2 * sizeof(int)));
    int copy[2];
    memcpy(copy, CMSG_DATA(c), sizeof(copy));
    assert_int_equal(write(copy[1], "x", 1), 1);
    assert_int_equal(read(pipes[0], text, sizeof(text)), 1);
    assert_int_equal(notify_unstore(name, "127.0.0.1_9001"), ERR_OK);
    assert_message(manager, "FDSTOREREMOVE=1\nFDNAME=127.0.0.1_9001\n");
    assert_int_equal(notify_store(name, "n", pipes, NOTIFY_FDS_MAX + 1), ERR_TOO_LARGE);
    assert_int_equal(notify_store(NULL, "n", pipes, 2), ERR_OK);
    for (unsigned i = 0; i < 2; i++) {
        close(copy[i]);
        close(pipes[i]);
    }
    close(manager);
}

static void test_descriptors_are_for_the_process_they_name(void **state)
{
    (void)state;
    assert_int_equal(notify_listen_fds("3", "42", 42), 3);
    assert_int_equal(notify_listen_fds("3", "43", 42), 0);
    assert_int_equal(notify_listen_fds("3", NULL, 42), 0);
    assert_int_equal(notify_listen_fds(NULL, "42", 42), 0);
    assert_int_equal(notify_listen_fds("-1", "42", 42), 0);
    assert_int_equal(notify_listen_fds("99999999", "42", 42), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptors_are_kept_under_a_name),
        cmocka_unit_test(test_descriptors_are_for_the_process_they_name),
        cmocka_unit_test(test_message_reaches_a_socket_by_path),
        cmocka_unit_test(test_message_reaches_an_abstract_socket),
        cmocka_unit_test(test_manager_that_does_not_read_does_not_hold_us),
        cmocka_unit_test(test_no_manager_is_no_error_and_a_strange_name_is),
        cmocka_unit_test(test_watchdog_counts_only_for_its_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
