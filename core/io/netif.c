#define _GNU_SOURCE /* getifaddrs, IFF_UP */

#include "core/io/netif.h"

#include "core/io/sock.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

static bool global_of(const struct ifaddrs *i, struct addr *a)
{
    struct sockaddr_storage sys = {0};
    if (!i->ifa_addr || !(i->ifa_flags & IFF_UP)) return false;
    if (i->ifa_addr->sa_family == AF_INET)
        memcpy(&sys, i->ifa_addr, sizeof(struct sockaddr_in));
    else if (i->ifa_addr->sa_family == AF_INET6)
        memcpy(&sys, i->ifa_addr, sizeof(struct sockaddr_in6));
    else
        return false;
    *a = sock_from_sys(&sys);
    a->port = 0;
    return a->family != ADDR_NONE && !addr_is_loopback(a) && !addr_is_forbidden(a);
}

enum err netif_global(struct addr *out, size_t cap, size_t *count)
{
    struct ifaddrs *list;
    struct addr a;
    if (getifaddrs(&list) != 0) return ERR_IO;
    *count = 0;
    for (const struct ifaddrs *i = list; i && *count < cap; i = i->ifa_next)
        if (global_of(i, &a)) out[(*count)++] = a;
    freeifaddrs(list);
    return ERR_OK;
}
