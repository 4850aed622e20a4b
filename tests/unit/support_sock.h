/* Sockets of this machine for tests of what wraps them.
 *
 * Everything fails the test that uses it rather than returning errors.
 */
#ifndef TESTS_UNIT_SUPPORT_SOCK_H
#define TESTS_UNIT_SUPPORT_SOCK_H

#include "core/model/addr.h"

/* 127.0.0.1 or ::1, port 0. */
struct addr support_sock_loopback(uint8_t family);
/* Containers often have no ::1. */
bool support_sock_has_ip6(void);
/* Until one of the poll `events` is there. */
void support_sock_wait(int fd, short events);

#endif
