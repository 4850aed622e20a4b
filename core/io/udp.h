/* UDP sockets: datagrams in batches, one system call for many.
 *
 * Any thread. Descriptors belong to the caller, are non-blocking and close-on-exec. A port is never
 * shared. Datagrams leave with the don't-fragment bit (IP_PMTUDISC_PROBE): one that does not fit
 * the way is lost instead of fragmented (security.md N22).
 */
#ifndef CORE_IO_UDP_H
#define CORE_IO_UDP_H

#include "core/model/addr.h"

#define UDP_BATCH_MAX 16u

struct udp_datagram {
    struct addr peer;
    struct span data; /* borrowed */
    bool cut;         /* received: longer than its slice, the rest is lost */
};

/* IPv6 sockets hear IPv6 only. ERR_IN_USE, ERR_PERM, ERR_UNREACHABLE (not an address of this host),
 * ERR_FULL, ERR_NOMEM, ERR_IO, ERR_INVALID (no address). */
enum err udp_bind(const struct addr *at, int *out) MUST_USE;
/* Receives up to UDP_BATCH_MAX datagrams into equal slices of `buf`; `out[i].data` lies in it.
 * `*count` is set always. ERR_OK: there may be more. ERR_AGAIN: none waits any more. ERR_IO. */
enum err udp_recv(int fd, uint8_t *buf, size_t buf_bytes, struct udp_datagram out[UDP_BATCH_MAX],
                  size_t *count) MUST_USE;
/* Sends in order; `*handled` of `count` are done with: sent, or given up because the kernel refuses
 * that one (no route, too large, firewall), counted in `*refused` when not NULL. ERR_OK: all.
 * ERR_AGAIN: the socket is full, go on from `*handled` later or drop the rest. */
enum err udp_send(int fd, const struct udp_datagram *datagram, size_t count, size_t *handled,
                  size_t *refused) MUST_USE;

#endif
