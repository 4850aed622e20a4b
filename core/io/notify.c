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

enum err notify_send(const char *socket_name, struct span state)
{
    struct sockaddr_un un;
    socklen_t un_len = 0;
    if (socket_name == NULL || socket_name[0] == '\0') return ERR_OK;
    enum err err = socket_addr(socket_name, &un, &un_len);
    if (err != ERR_OK) return err;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return err_from_errno(errno);
    ssize_t n = sendto(fd, state.p, state.len, MSG_NOSIGNAL, (const struct sockaddr *)&un, un_len);
    err = n >= 0 ? ERR_OK : err_from_errno(errno);
    close(fd);
    return err;
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
