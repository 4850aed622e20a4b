#define _GNU_SOURCE
#include "core/io/notify.h"

#include "core/base/strbuf.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static enum err socket_addr(const char *name, struct sockaddr_un *out, socklen_t *len)
{
    size_t name_len = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || name_len < 2) return ERR_INVALID;
    if (name_len > sizeof(out->sun_path)) return ERR_INVALID;
    memset(out, 0, sizeof(*out));
    out->sun_family = AF_UNIX;
    memcpy(out->sun_path, name, name_len);
    /* unix(7): an abstract name begins with a NUL and is as long as its length says. */
    if (name[0] == '@') out->sun_path[0] = '\0';
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name_len);
    return ERR_OK;
}

static enum err send_to(const char *socket_name, struct span state, const int *fd, unsigned count)
{
    struct sockaddr_un un;
    socklen_t un_len = 0;
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(NOTIFY_FDS_MAX * sizeof(int))];
    } control;
    struct iovec text = {.iov_len = state.len};
    struct msghdr msg = {.msg_iov = &text, .msg_iovlen = 1};
    if (socket_name == NULL || socket_name[0] == '\0') return ERR_OK;
    enum err err = socket_addr(socket_name, &un, &un_len);
    if (err != ERR_OK) return err;
    memcpy(&text.iov_base, &state.p, sizeof state.p); /* sendmsg reads it only */
    msg.msg_name = &un;
    msg.msg_namelen = un_len;
    if (count > 0) {
        memset(&control, 0, sizeof control);
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(c), fd, count * sizeof(int));
    }
    int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s < 0) return err_from_errno(errno);
    ssize_t n = sendmsg(s, &msg, MSG_NOSIGNAL);
    err = n >= 0 ? ERR_OK : err_from_errno(errno);
    close(s);
    return err;
}

enum err notify_send(const char *socket_name, struct span state)
{
    return send_to(socket_name, state, NULL, 0);
}

enum err notify_store(const char *socket_name, const char *name, const int *fd, unsigned count)
{
    char text[300];
    struct strbuf sb;
    if (count > NOTIFY_FDS_MAX) return ERR_TOO_LARGE;
    strbuf_init_fixed(&sb, text, sizeof(text));
    /* FDPOLL=0 (systemd 246): a listening socket that reports an error stays. */
    strbuf_fmt(&sb, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s\n", name);
    return strbuf_ok(&sb) ? send_to(socket_name, strbuf_view(&sb), fd, count) : ERR_TOO_LARGE;
}

enum err notify_unstore(const char *socket_name, const char *name)
{
    char text[300];
    struct strbuf sb;
    strbuf_init_fixed(&sb, text, sizeof(text));
    strbuf_fmt(&sb, "FDSTOREREMOVE=1\nFDNAME=%s\n", name);
    return strbuf_ok(&sb) ? send_to(socket_name, strbuf_view(&sb), NULL, 0) : ERR_TOO_LARGE;
}

unsigned notify_listen_fds(const char *listen_fds, const char *listen_pid, pid_t self)
{
    uint64_t count, pid;
    if (listen_fds == NULL || listen_pid == NULL) return 0;
    if (!span_u64(span_str(listen_pid), &pid) || pid != (uint64_t)self) return 0;
    if (!span_u64(span_str(listen_fds), &count) || count > UINT16_MAX) return 0;
    return (unsigned)count;
}

enum err notify_reloading(const char *socket_name, uint64_t mono_us)
{
    char text[64];
    struct strbuf sb;
    strbuf_init_fixed(&sb, text, sizeof(text));
    strbuf_str(&sb, "RELOADING=1\nMONOTONIC_USEC=");
    strbuf_u64(&sb, mono_us);
    return notify_send(socket_name, strbuf_view(&sb));
}

uint64_t notify_watchdog_ms(const char *watchdog_usec, const char *watchdog_pid, pid_t self)
{
    uint64_t usec, pid;
    if (watchdog_usec == NULL || !span_u64(span_str(watchdog_usec), &usec)) return 0;
    if (watchdog_pid == NULL) return usec / 1000u;
    if (!span_u64(span_str(watchdog_pid), &pid) || pid != (uint64_t)self) return 0;
    return usec / 1000u;
}
