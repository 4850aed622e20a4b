#define _GNU_SOURCE
#include "core/io/udp.h"

#include "core/base/check.h"
#include "core/io/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

/* A burst of a thousand members must not be lost to the default buffer. */
#define UDP_BUFFER_BYTES (1024 * 1024)

static void set_int(int fd, int level, int option, int value)
{
    (void)!setsockopt(fd, level, option, &value, sizeof(value));
}

enum err udp_bind(const struct addr *at, int *out)
{
    struct sockaddr_storage sys;
    if (at->family == ADDR_NONE) return ERR_INVALID;
    socklen_t sys_len = sock_to_sys(at, &sys);
    int fd = socket(sys.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return err_from_errno(errno);
    set_int(fd, SOL_SOCKET, SO_RCVBUF, UDP_BUFFER_BYTES);
    set_int(fd, SOL_SOCKET, SO_SNDBUF, UDP_BUFFER_BYTES);
    if (sys.ss_family == AF_INET6) {
        set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    } else {
        set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    }
    if (bind(fd, (const struct sockaddr *)&sys, sys_len) != 0) {
        enum err err = err_from_errno(errno);
        close(fd);
        return err;
    }
    *out = fd;
    return ERR_OK;
}

enum err udp_recv(int fd, uint8_t *buf, size_t buf_bytes, struct udp_datagram out[UDP_BATCH_MAX],
                  size_t *count)
{
    struct sockaddr_storage sys[UDP_BATCH_MAX];
    struct iovec iov[UDP_BATCH_MAX];
    struct mmsghdr message[UDP_BATCH_MAX];
    size_t slice = buf_bytes / UDP_BATCH_MAX;
    CHECK(slice > 0);
    *count = 0;
    for (size_t i = 0; i < UDP_BATCH_MAX; i++) {
        iov[i] = (struct iovec){.iov_base = buf + i * slice, .iov_len = slice};
        message[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &sys[i],
                                                  .msg_namelen = sizeof(sys[i]),
                                                  .msg_iov = &iov[i],
                                                  .msg_iovlen = 1}};
    }
    int received = recvmmsg(fd, message, UDP_BATCH_MAX, MSG_DONTWAIT, NULL);
    if (received < 0) return err_from_errno(errno);
    for (size_t i = 0; i < (size_t)received; i++)
        out[i] = (struct udp_datagram){.peer = sock_from_sys(&sys[i]),
                                       .data = span_of(iov[i].iov_base, message[i].msg_len),
                                       .cut = (message[i].msg_hdr.msg_flags & MSG_TRUNC) != 0};
    *count = (size_t)received;
    return *count == UDP_BATCH_MAX ? ERR_OK : ERR_AGAIN;
}

/* At most one batch. sendmmsg stops at the first datagram that fails and reports the error only
 * when that is the first of the call. */
static enum err send_batch(int fd, const struct udp_datagram *datagram, size_t count, size_t *sent)
{
    struct sockaddr_storage sys[UDP_BATCH_MAX];
    struct iovec iov[UDP_BATCH_MAX];
    struct mmsghdr message[UDP_BATCH_MAX];
    for (size_t i = 0; i < count; i++) {
        socklen_t sys_len = sock_to_sys(&datagram[i].peer, &sys[i]);
        const char *p = datagram[i].data.p;
        iov[i].iov_len = datagram[i].data.len;
        memcpy(&iov[i].iov_base, &p, sizeof(p));
        message[i] = (struct mmsghdr){
            .msg_hdr = {
                .msg_name = &sys[i], .msg_namelen = sys_len, .msg_iov = &iov[i], .msg_iovlen = 1}};
    }
    int result = sendmmsg(fd, message, (unsigned)count, MSG_DONTWAIT | MSG_NOSIGNAL);
    *sent = result > 0 ? (size_t)result : 0;
    if (result >= 0) return ERR_OK;
    /* ENOBUFS: the device queue is full; that passes as a full socket does. */
    if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) return ERR_AGAIN;
    return errno == EINTR ? ERR_OK : ERR_IO;
}

enum err udp_send(int fd, const struct udp_datagram *datagram, size_t count, size_t *handled,
                  size_t *refused)
{
    *handled = 0;
    while (*handled < count) {
        size_t sent, batch = count - *handled;
        if (batch > UDP_BATCH_MAX) batch = UDP_BATCH_MAX;
        enum err err = send_batch(fd, datagram + *handled, batch, &sent);
        *handled += sent;
        if (err == ERR_AGAIN) return ERR_AGAIN;
        if (err == ERR_OK) continue;
        ++*handled;
        if (refused != NULL) ++*refused;
    }
    return ERR_OK;
}
