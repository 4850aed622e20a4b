/* Network interfaces: which addresses of this host peers could dial.
 *
 * Any thread. getifaddrs speaks netlink by itself: it needs no NSS and works in a static binary.
 */
#ifndef CORE_IO_NETIF_H
#define CORE_IO_NETIF_H

#include "core/model/addr.h"

/* Up to `cap` unicast addresses of interfaces that are up, loopback and link-local ones left out;
 * port 0. `*count` may be 0. ERR_IO. */
enum err netif_global(struct addr *out, size_t cap, size_t *count) MUST_USE;

#endif
