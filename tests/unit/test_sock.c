#define _GNU_SOURCE
#include "core/io/sock.h"

#include "core/base/check.h"
#include "tests/unit/support_sock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

static void assert_flags(int fd)
{
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void connect_and_compare(uint8_t family)
{
    struct addr at = support_sock_loopback(family);
    int listener, client;
    bool done;
    struct sock_accepted accepted[4];
    size_t count;
    assert_int_equal(sock_listen(&at, 0, &listener), ERR_OK);
    struct target to = {.addr = sock_local(listener)};
    assert_int_equal(to.addr.family, family);
    assert_true(to.addr.port != 0);
    assert_int_equal(sock_connect(&to, &client, &done), ERR_OK);
    support_sock_wait(client, POLLOUT);
    assert_int_equal(sock_error(client), ERR_OK);
    support_sock_wait(listener, POLLIN);
    assert_int_equal(sock_accept(listener, accepted, 4, &count), ERR_AGAIN);
    assert_int_equal(count, 1);
    struct addr local = sock_local(client), remote = sock_remote(client);
    assert_true(addr_eq(&accepted[0].peer, &local));
    assert_true(addr_eq(&remote, &to.addr));
    struct addr seen = sock_remote(accepted[0].fd);
    assert_true(addr_eq(&seen, &local));
    assert_flags(listener);
    assert_flags(client);
    assert_flags(accepted[0].fd);
    assert_int_equal(option(client, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option(accepted[0].fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option(accepted[0].fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option(accepted[0].fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 30000);
    close(accepted[0].fd);
    close(client);
    close(listener);
}

static void test_connection_knows_both_ends_and_inherits_options(void **state)
{
    (void)state;
    connect_and_compare(ADDR_IP4);
    if (support_sock_has_ip6()) connect_and_compare(ADDR_IP6);
}

static void test_taken_port_is_in_use_even_when_its_holder_shares_it(void **state)
{
    (void)state;
    struct addr at = support_sock_loopback(ADDR_IP4);
    int first, second;
    assert_int_equal(sock_listen(&at, SOCK_LISTEN_SHARED | SOCK_LISTEN_PROBE, &first), ERR_OK);
    at = sock_local(first);
    assert_int_equal(sock_listen(&at, 0, &second), ERR_IN_USE);
    assert_int_equal(sock_listen(&at, SOCK_LISTEN_SHARED | SOCK_LISTEN_PROBE, &second), ERR_IN_USE);
    assert_int_equal(sock_listen(&at, SOCK_LISTEN_SHARED, &second), ERR_OK);
    close(first);
    close(second);
    assert_int_equal(sock_listen(&at, SOCK_LISTEN_SHARED | SOCK_LISTEN_PROBE, &first), ERR_OK);
    close(first);
}

static void test_address_of_another_host_is_unreachable(void **state)
{
    (void)state;
    /* RFC 5737: documentation addresses are nobody's. */
    struct addr at = {.ip = {192, 0, 2, 1}, .family = ADDR_IP4};
    struct addr none = {.family = ADDR_NONE};
    int fd;
    assert_int_equal(sock_listen(&at, 0, &fd), ERR_UNREACHABLE);
    assert_int_equal(sock_listen(&none, 0, &fd), ERR_INVALID);
}

static void test_closed_port_refuses(void **state)
{
    (void)state;
    struct addr at = support_sock_loopback(ADDR_IP4);
    int listener, client;
    bool done;
    assert_int_equal(sock_listen(&at, 0, &listener), ERR_OK);
    struct target to = {.addr = sock_local(listener)};
    close(listener);
    enum err err = sock_connect(&to, &client, &done);
    if (err == ERR_OK) {
        support_sock_wait(client, POLLOUT);
        err = sock_error(client);
        close(client);
    }
    assert_int_equal(err, ERR_REFUSED);
}

static void test_accept_batches_and_says_when_more_may_wait(void **state)
{
    (void)state;
    struct addr at = support_sock_loopback(ADDR_IP4);
    int listener, client[3];
    bool done;
    struct sock_accepted accepted[2];
    size_t count;
    assert_int_equal(sock_listen(&at, 0, &listener), ERR_OK);
    struct target to = {.addr = sock_local(listener)};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(sock_connect(&to, &client[i], &done), ERR_OK);
        support_sock_wait(client[i], POLLOUT);
    }
    assert_int_equal(sock_accept(listener, accepted, 2, &count), ERR_OK);
    assert_int_equal(count, 2);
    close(accepted[0].fd);
    close(accepted[1].fd);
    assert_int_equal(sock_accept(listener, accepted, 2, &count), ERR_AGAIN);
    assert_int_equal(count, 1);
    close(accepted[0].fd);
    for (size_t i = 0; i < 3; i++)
        close(client[i]);
    close(listener);
}

static void test_accept_without_descriptors_is_full_and_works_again_later(void **state)
{
    (void)state;
    struct addr at = support_sock_loopback(ADDR_IP4);
    int listener, client;
    bool done;
    struct sock_accepted accepted[2];
    struct rlimit limit, none;
    size_t count;
    assert_int_equal(sock_listen(&at, 0, &listener), ERR_OK);
    struct target to = {.addr = sock_local(listener)};
    assert_int_equal(sock_connect(&to, &client, &done), ERR_OK);
    support_sock_wait(listener, POLLIN);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum err err = sock_accept(listener, accepted, 2, &count);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(err, ERR_FULL);
    assert_int_equal(count, 0);
    assert_int_equal(sock_accept(listener, accepted, 2, &count), ERR_AGAIN);
    assert_int_equal(count, 1);
    close(accepted[0].fd);
    close(client);
    close(listener);
}

struct folder {
    char path[64];
};

static void folder_make(struct folder *f)
{
    snprintf(f->path, sizeof(f->path), "/tmp/parley-sock-XXXXXX");
    assert_non_null(mkdtemp(f->path));
}

static void
test_unix_listener_replaces_a_stale_socket_but_neither_a_live_one_nor_a_file(void **state)
{
    (void)state;
    struct folder f;
    struct target to = {.addr = {.family = ADDR_NONE}};
    int listener, second, client;
    bool done;
    folder_make(&f);
    snprintf(to.path, sizeof(to.path), "%s/socket", f.path);
    assert_int_equal(sock_connect(&to, &client, &done), ERR_NOT_FOUND);
    assert_int_equal(sock_listen_unix(to.path, 0600, &listener), ERR_OK);
    struct stat st;
    assert_int_equal(stat(to.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_flags(listener);
    assert_int_equal(sock_listen_unix(to.path, 0600, &second), ERR_IN_USE);
    close(listener);
    assert_int_equal(sock_connect(&to, &client, &done), ERR_REFUSED);
    assert_int_equal(sock_listen_unix(to.path, 0666, &listener), ERR_OK);
    assert_int_equal(sock_connect(&to, &client, &done), ERR_OK);
    assert_true(done);
    close(client);
    close(listener);
    assert_int_equal(unlink(to.path), 0);
    int file = open(to.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    close(file);
    assert_int_equal(sock_listen_unix(to.path, 0600, &listener), ERR_EXISTS);
    assert_int_equal(unlink(to.path), 0);
    assert_int_equal(rmdir(f.path), 0);
}

static void test_unix_path_that_does_not_fit_is_too_large(void **state)
{
    (void)state;
    char path[200];
    int fd;
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(sock_listen_unix(path, 0600, &fd), ERR_TOO_LARGE);
    assert_int_equal(sock_listen_unix("", 0600, &fd), ERR_INVALID);
}

static void test_unix_peer_is_known_by_user_group_and_process(void **state)
{
    (void)state;
    int pair[2];
    struct sock_cred cred = {.pid = 0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(sock_peer_cred(pair[0], &cred), ERR_OK);
    assert_int_equal(cred.uid, getuid());
    assert_int_equal(cred.gid, getgid());
    assert_int_equal(cred.pid, getpid());
    gid_t group[SOCK_GROUPS_MAX];
    int count = getgroups((int)SOCK_GROUPS_MAX, group);
    assert_int_equal(cred.group_count, count);
    for (int i = 0; i < count; i++)
        assert_true(sock_cred_in_group(&cred, group[i]));
    assert_true(sock_cred_in_group(&cred, getgid()));
    assert_false(sock_cred_in_group(&cred, 4242424));
    close(pair[0]);
    close(pair[1]);
}

static void test_tcp_peer_has_no_credentials(void **state)
{
    (void)state;
    struct addr at = support_sock_loopback(ADDR_IP4);
    struct sock_cred cred;
    int listener;
    assert_int_equal(sock_listen(&at, 0, &listener), ERR_OK);
    assert_int_equal(sock_peer_cred(listener, &cred), ERR_UNSUPPORTED);
    close(listener);
}

static void test_listener_counts_what_its_full_backlog_drops(void **state)
{
    (void)state;
    struct addr at = support_sock_loopback(ADDR_IP4);
    int listener, client[5];
    bool done;
    assert_int_equal(sock_listen(&at, 0, &listener), ERR_OK);
    assert_int_equal(listen(listener, 1), 0); /* room for two */
    struct target to = {.addr = sock_local(listener)};
    for (size_t i = 0; i < ARRAY_LEN(client); i++) {
        assert_int_equal(sock_listen_drops(listener), i < 3 ? 0 : i - 2);
        assert_int_equal(sock_connect(&to, &client[i], &done), ERR_OK);
    }
    for (size_t i = 0; i < ARRAY_LEN(client); i++)
        close(client[i]);
    close(listener);
}

static void test_mapped_address_is_read_as_ipv4(void **state)
{
    (void)state;
    struct addr mapped = {
        .ip = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 7}, .port = 80, .family = ADDR_IP6};
    struct sockaddr_storage sys;
    sock_to_sys(&mapped, &sys);
    struct addr plain = sock_from_sys(&sys);
    assert_int_equal(plain.family, ADDR_IP4);
    assert_int_equal(plain.ip[0], 10);
    assert_int_equal(plain.ip[3], 7);
    assert_int_equal(plain.port, 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connection_knows_both_ends_and_inherits_options),
        cmocka_unit_test(test_taken_port_is_in_use_even_when_its_holder_shares_it),
        cmocka_unit_test(test_address_of_another_host_is_unreachable),
        cmocka_unit_test(test_closed_port_refuses),
        cmocka_unit_test(test_accept_batches_and_says_when_more_may_wait),
        cmocka_unit_test(test_accept_without_descriptors_is_full_and_works_again_later),
        cmocka_unit_test(
            test_unix_listener_replaces_a_stale_socket_but_neither_a_live_one_nor_a_file),
        cmocka_unit_test(test_unix_path_that_does_not_fit_is_too_large),
        cmocka_unit_test(test_unix_peer_is_known_by_user_group_and_process),
        cmocka_unit_test(test_tcp_peer_has_no_credentials),
        cmocka_unit_test(test_listener_counts_what_its_full_backlog_drops),
        cmocka_unit_test(test_mapped_address_is_read_as_ipv4),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
