#define _GNU_SOURCE
#include "core/io/udp.h"

#include "core/base/check.h"
#include "core/io/sock.h"
#include "tests/unit/support_sock.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

static void assert_flags(int fd)
{
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

static void send_and_receive(uint8_t family)
{
    struct addr at = support_sock_loopback(family);
    int a, b;
    static uint8_t buffer[65536];
    struct udp_datagram out[20], in[UDP_BATCH_MAX];
    size_t handled, refused = 0, count;
    assert_int_equal(udp_bind(&at, &a), ERR_OK);
    assert_int_equal(udp_bind(&at, &b), ERR_OK);
    assert_flags(a);
    static const char text[] = "abcdefghijklmnopqrst";
    for (size_t i = 0; i < 20; i++)
        out[i] = (struct udp_datagram){.peer = sock_local(b), .data = span_of(text, i + 1)};
    assert_int_equal(udp_send(a, out, 20, &handled, &refused), ERR_OK);
    assert_int_equal(handled, 20);
    assert_int_equal(refused, 0);
    size_t total = 0;
    struct addr from = sock_local(a);
    while (total < 20) {
        support_sock_wait(b, POLLIN);
        enum err err = udp_recv(b, buffer, sizeof(buffer), in, &count);
        assert_int_equal(err, count == UDP_BATCH_MAX ? ERR_OK : ERR_AGAIN);
        for (size_t i = 0; i < count; i++, total++) {
            assert_true(span_eq(in[i].data, span_of(text, total + 1)));
            assert_true(addr_eq(&in[i].peer, &from));
            assert_false(in[i].cut);
        }
    }
    assert_int_equal(udp_recv(b, buffer, sizeof(buffer), in, &count), ERR_AGAIN);
    assert_int_equal(count, 0);
    close(a);
    close(b);
}

static void test_datagrams_keep_order_bounds_and_sender(void **state)
{
    (void)state;
    send_and_receive(ADDR_IP4);
    if (support_sock_has_ip6()) send_and_receive(ADDR_IP6);
}

static void test_datagram_longer_than_its_slice_is_marked_cut(void **state)
{
    (void)state;
    struct addr at = support_sock_loopback(ADDR_IP4);
    int fd;
    uint8_t buffer[UDP_BATCH_MAX * 4];
    struct udp_datagram in[UDP_BATCH_MAX];
    size_t handled, count;
    assert_int_equal(udp_bind(&at, &fd), ERR_OK);
    struct udp_datagram out = {.peer = sock_local(fd), .data = SPAN_LIT("12345")};
    assert_int_equal(udp_send(fd, &out, 1, &handled, NULL), ERR_OK);
    support_sock_wait(fd, POLLIN);
    assert_int_equal(udp_recv(fd, buffer, sizeof(buffer), in, &count), ERR_AGAIN);
    assert_int_equal(count, 1);
    assert_true(in[0].cut);
    assert_true(span_eq(in[0].data, SPAN_LIT("1234")));
    close(fd);
}

static void test_datagram_the_kernel_refuses_does_not_stop_those_behind_it(void **state)
{
    (void)state;
    static char large[70000];
    struct addr at = support_sock_loopback(ADDR_IP4);
    int fd;
    uint8_t buffer[4096];
    struct udp_datagram in[UDP_BATCH_MAX];
    size_t handled, refused = 0, count;
    assert_int_equal(udp_bind(&at, &fd), ERR_OK);
    struct addr self = sock_local(fd);
    struct udp_datagram out[3] = {{.peer = self, .data = SPAN_LIT("one")},
                                  {.peer = self, .data = span_of(large, sizeof(large))},
                                  {.peer = self, .data = SPAN_LIT("three")}};
    assert_int_equal(udp_send(fd, out, 3, &handled, &refused), ERR_OK);
    assert_int_equal(handled, 3);
    assert_int_equal(refused, 1);
    support_sock_wait(fd, POLLIN);
    assert_int_equal(udp_recv(fd, buffer, sizeof(buffer), in, &count), ERR_AGAIN);
    assert_int_equal(count, 2);
    assert_true(span_eq(in[1].data, SPAN_LIT("three")));
    close(fd);
}

static void test_udp_port_is_never_shared(void **state)
{
    (void)state;
    struct addr at = support_sock_loopback(ADDR_IP4);
    int first, second;
    assert_int_equal(udp_bind(&at, &first), ERR_OK);
    at = sock_local(first);
    assert_int_equal(udp_bind(&at, &second), ERR_IN_USE);
    close(first);
}

static void test_address_of_another_host_is_unreachable(void **state)
{
    (void)state;
    /* RFC 5737: documentation addresses are nobody's. */
    struct addr at = {.ip = {192, 0, 2, 1}, .family = ADDR_IP4};
    struct addr none = {.family = ADDR_NONE};
    int fd;
    assert_int_equal(udp_bind(&at, &fd), ERR_UNREACHABLE);
    assert_int_equal(udp_bind(&none, &fd), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_datagrams_keep_order_bounds_and_sender),
        cmocka_unit_test(test_datagram_longer_than_its_slice_is_marked_cut),
        cmocka_unit_test(test_datagram_the_kernel_refuses_does_not_stop_those_behind_it),
        cmocka_unit_test(test_udp_port_is_never_shared),
        cmocka_unit_test(test_address_of_another_host_is_unreachable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
