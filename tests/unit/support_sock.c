#include "tests/unit/support_sock.h"

#include "core/io/sock.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#define WAIT_MS 30000

struct addr support_sock_loopback(uint8_t family)
{
    struct addr a = {.family = family};
    if (family == ADDR_IP4) {
        a.ip[0] = 127;
        a.ip[3] = 1;
    } else {
        a.ip[15] = 1;
    }
    return a;
}

bool support_sock_has_ip6(void)
{
    struct addr at = support_sock_loopback(ADDR_IP6);
    int fd;
    if (sock_listen(&at, 0, &fd) != ERR_OK) return false;
    close(fd);
    return true;
}

void support_sock_wait(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    assert_int_equal(poll(&p, 1, WAIT_MS), 1);
}
