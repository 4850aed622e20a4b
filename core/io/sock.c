#define _GNU_SOURCE
#include "core/io/sock.h"

#include "core/base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <limits.h>
#include <linux/sock_diag.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define KEEPALIVE_IDLE_S     15
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_PROBES     3
#define USER_TIMEOUT_MS      30000
#define DEAD_ACCEPTS_MAX     64u /* connections that died in the queue, skipped in one call */

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

socklen_t sock_to_sys(const struct addr *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (a->family == ADDR_IP6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(a->port);
        memcpy(&in6->sin6_addr, a->ip, 16);
        return sizeof(*in6);
    }
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    in->sin_family = AF_INET;
    in->sin_port = htons(a->port);
    memcpy(&in->sin_addr, a->ip, 4);
    return sizeof(*in);
}

struct addr sock_from_sys(const struct sockaddr_storage *sys)
{
    struct addr a = {.family = ADDR_NONE};
    if (sys->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)sys;
        a.family = ADDR_IP4;
        a.port = ntohs(in->sin_port);
        memcpy(a.ip, &in->sin_addr, 4);
    } else if (sys->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sys;
        bool mapped = memcmp(&in6->sin6_addr, mapped_prefix, sizeof(mapped_prefix)) == 0;
        a.family = mapped ? ADDR_IP4 : ADDR_IP6;
        a.port = ntohs(in6->sin6_port);
        if (mapped)
            memcpy(a.ip, (const uint8_t *)&in6->sin6_addr + sizeof(mapped_prefix), 4);
        else
            memcpy(a.ip, &in6->sin6_addr, 16);
    }
    return a;
}

/* An option that the kernel refuses costs speed or detection time, never correctness. */
static void set_int(int fd, int level, int option, int value)
{
    (void)!setsockopt(fd, level, option, &value, sizeof(value));
}

static void tune(int fd)
{
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
}

static enum err open_stream(int family, int *out)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return err_from_errno(errno);
    *out = fd;
    return ERR_OK;
}

/* A bound TCP socket, not listening yet. */
static enum err open_bound(const struct addr *at, bool shared, int *out)
{
    struct sockaddr_storage sys;
    int fd = -1;
    socklen_t sys_len = sock_to_sys(at, &sys);
    enum err err = open_stream(sys.ss_family, &fd);
    if (err != ERR_OK) return err;
    set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (shared) set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (sys.ss_family == AF_INET6) set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (bind(fd, (const struct sockaddr *)&sys, sys_len) != 0) {
        err = err_from_errno(errno);
        close(fd);
        return err;
    }
    *out = fd;
    return ERR_OK;
}

static enum err start_listening(int fd)
{
    return listen(fd, SOCK_BACKLOG) == 0 ? ERR_OK : err_from_errno(errno);
}

enum err sock_listen(const struct addr *at, unsigned flags, int *out)
{
    int fd = -1;
    enum err err;
    if (at->family == ADDR_NONE) return ERR_INVALID;
    if ((flags & SOCK_LISTEN_PROBE) != 0 && at->port != 0) {
        err = open_bound(at, false, &fd);
        if (err != ERR_OK) return err;
        close(fd);
    }
    err = open_bound(at, (flags & SOCK_LISTEN_SHARED) != 0, &fd);
    if (err != ERR_OK) return err;
    tune(fd);
    set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, SOCK_UNSENT_BYTES);
    err = start_listening(fd);
    if (err != ERR_OK) {
        close(fd);
        return err;
    }
    *out = fd;
    return ERR_OK;
}

uint32_t sock_listen_drops(int fd)
{
    uint32_t value[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof(value);
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, value, &len) != 0) return 0;
    return value[SK_MEMINFO_DROPS];
}

static enum err unix_addr(const char *path, struct sockaddr_un *out)
{
    size_t len = strlen(path);
    if (len == 0) return ERR_INVALID;
    if (len >= sizeof(out->sun_path)) return ERR_TOO_LARGE;
    memset(out, 0, sizeof(*out));
    out->sun_family = AF_UNIX;
    memcpy(out->sun_path, path, len);
    return ERR_OK;
}

/* Makes way for a new socket at `path`: removes a socket file only when connecting to it is
 * refused, that is when its listener has gone. */
static enum err remove_stale(const char *path, const struct sockaddr_un *un)
{
    struct stat st;
    int fd = -1;
    if (lstat(path, &st) != 0) return errno == ENOENT ? ERR_OK : err_from_errno(errno);
    if (!S_ISSOCK(st.st_mode)) return ERR_EXISTS;
    enum err err = open_stream(AF_UNIX, &fd);
    if (err != ERR_OK) return err;
    int result = connect(fd, (const struct sockaddr *)un, sizeof(*un));
    bool stale = result != 0 && errno == ECONNREFUSED;
    close(fd);
    if (!stale) return ERR_IN_USE;
    return unlink(path) == 0 ? ERR_OK : err_from_errno(errno);
}

enum err sock_listen_unix(const char *path, mode_t mode, int *out)
{
    struct sockaddr_un un;
    int fd = -1;
    enum err err = unix_addr(path, &un);
    if (err != ERR_OK) return err;
    err = remove_stale(path, &un);
    if (err != ERR_OK) return err;
    err = open_stream(AF_UNIX, &fd);
    if (err != ERR_OK) return err;
    if (bind(fd, (const struct sockaddr *)&un, sizeof(un)) != 0) {
        err = err_from_errno(errno);
        goto fail_fd;
    }
    if (chmod(path, mode) != 0) {
        err = err_from_errno(errno);
        goto fail_path;
    }
    err = start_listening(fd);
    if (err != ERR_OK) goto fail_path;
    *out = fd;
    return ERR_OK;
fail_path:
    (void)!unlink(path);
fail_fd:
    close(fd);
    return err;
}

int sock_fd_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur > INT_MAX) return INT_MAX;
    return (int)files.rlim_cur;
}

enum err sock_adopt(int fd, struct target *at)
{
    struct sockaddr_storage sys = {.ss_family = AF_UNSPEC};
    int listening = 0, type = 0;
    socklen_t int_len = sizeof(int), sys_len = sizeof(sys);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_len) != 0 || !listening)
        return ERR_UNSUPPORTED;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_len) != 0 || type != SOCK_STREAM)
        return ERR_UNSUPPORTED;
    if (getsockname(fd, (struct sockaddr *)&sys, &sys_len) != 0) return err_from_errno(errno);
    struct target t = {.addr = sock_from_sys(&sys)};
    if (sys.ss_family == AF_UNIX) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)&sys;
        size_t len = sys_len - offsetof(struct sockaddr_un, sun_path);
        struct span path = span_of(un->sun_path, strnlen(un->sun_path, len));
        if (path.len == 0 || !span_to_cstr(path, t.path, sizeof(t.path))) return ERR_UNSUPPORTED;
    } else if (t.addr.family == ADDR_NONE) {
        return ERR_UNSUPPORTED;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return err_from_errno(errno);
    *at = t;
    return ERR_OK;
}

void sock_unlink(const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) (void)!unlink(path);
}

enum err sock_dup(int fd, int *out)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return err_from_errno(errno);
    *out = copy;
    return ERR_OK;
}

/* Zero, or the errno of a connect that did not start. */
static int connect_errno(int fd, const void *sys, socklen_t sys_len, bool *done)
{
    int result;
    do
        result = connect(fd, sys, sys_len);
    while (result != 0 && errno == EINTR);
    *done = result == 0;
    return result == 0 || errno == EINPROGRESS ? 0 : errno;
}

static enum err connect_unix(const char *path, int *out, bool *done)
{
    struct sockaddr_un un;
    int fd = -1;
    enum err err = unix_addr(path, &un);
    if (err != ERR_OK) return err;
    err = open_stream(AF_UNIX, &fd);
    if (err != ERR_OK) return err;
    int errnum = connect_errno(fd, &un, sizeof(un), done);
    if (errnum != 0) {
        close(fd);
        /* unix(7): a full backlog cannot be waited for without blocking. */
        return errnum == EAGAIN ? ERR_REFUSED : err_from_errno(errnum);
    }
    *out = fd;
    return ERR_OK;
}

enum err sock_connect(const struct target *to, int *out, bool *done)
{
    struct sockaddr_storage sys;
    int fd = -1;
    if (to->path[0] != '\0') return connect_unix(to->path, out, done);
    if (to->addr.family == ADDR_NONE || to->addr.port == 0) return ERR_INVALID;
    socklen_t sys_len = sock_to_sys(&to->addr, &sys);
    enum err err = open_stream(sys.ss_family, &fd);
    if (err != ERR_OK) return err;
    tune(fd);
    int errnum = connect_errno(fd, &sys, sys_len, done);
    if (errnum != 0) {
        close(fd);
        return err_from_errno(errnum);
    }
    *out = fd;
    return ERR_OK;
}

enum err sock_error(int fd)
{
    int errnum = 0;
    socklen_t len = sizeof(errnum);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &len) != 0) errnum = errno;
    return err_from_errno(errnum);
}

/* accept(2): errors of the connection, not of the listener. EPERM comes from a firewall. */
static bool died_in_queue(int errnum)
{
    static const int errnums[] = {ECONNABORTED, EINTR,     EPROTO,       ENETDOWN,   ENOPROTOOPT,
                                  EHOSTDOWN,    ENONET,    EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH,
                                  EPERM,        ETIMEDOUT, ECONNRESET};
    for (size_t i = 0; i < ARRAY_LEN(errnums); i++)
        if (errnums[i] == errnum) return true;
    return false;
}

static enum err accept_one(int fd, struct sock_accepted *out)
{
    for (unsigned dead = 0; dead < DEAD_ACCEPTS_MAX; dead++) {
        struct sockaddr_storage sys = {.ss_family = AF_UNSPEC};
        socklen_t sys_len = sizeof(sys);
        int accepted = accept4(fd, (struct sockaddr *)&sys, &sys_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted >= 0) {
            *out = (struct sock_accepted){.fd = accepted, .peer = sock_from_sys(&sys)};
            return ERR_OK;
        }
        if (!died_in_queue(errno)) return err_from_errno(errno);
    }
    return ERR_AGAIN;
}

enum err sock_accept(int fd, struct sock_accepted *out, size_t cap, size_t *count)
{
    *count = 0;
    while (*count < cap) {
        enum err err = accept_one(fd, &out[*count]);
        if (err != ERR_OK) return err;
        ++*count;
    }
    return ERR_OK;
}

struct addr sock_local(int fd)
{
    struct sockaddr_storage sys = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(sys);
    if (getsockname(fd, (struct sockaddr *)&sys, &len) != 0)
        return (struct addr){.family = ADDR_NONE};
    return sock_from_sys(&sys);
}

struct addr sock_remote(int fd)
{
    struct sockaddr_storage sys = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(sys);
    if (getpeername(fd, (struct sockaddr *)&sys, &len) != 0)
        return (struct addr){.family = ADDR_NONE};
    return sock_from_sys(&sys);
}

void sock_set_abort(int fd)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void)!setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

void sock_push(int fd)
{
    /* tcp(7): setting this option sends what is pending, also when it was set before. */
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

enum err sock_peer_cred(int fd, struct sock_cred *out)
{
    struct ucred cred = {.pid = 0};
    struct sockaddr_storage sys = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(sys);
    /* A TCP socket answers SO_PEERCRED too, with nobody. */
    if (getsockname(fd, (struct sockaddr *)&sys, &len) != 0) return err_from_errno(errno);
    if (sys.ss_family != AF_UNIX) return ERR_UNSUPPORTED;
    len = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0) return err_from_errno(errno);
    out->uid = cred.uid;
    out->gid = cred.gid;
    out->pid = cred.pid;
    len = sizeof(out->group);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, out->group, &len) != 0) len = 0;
    out->group_count = len / sizeof(gid_t);
    return ERR_OK;
}

bool sock_cred_in_group(const struct sock_cred *cred, gid_t group)
{
    if (cred->gid == group) return true;
    for (size_t i = 0; i < cred->group_count; i++)
        if (cred->group[i] == group) return true;
    return false;
}
