/* Sockets: every system call that makes, names or asks a stream socket. All descriptors are
 * non-blocking and close-on-exec.
 *
 * Any thread. Owns nothing: descriptors belong to the caller. Stream options: TCP_NODELAY (one
 * write a turn needs no Nagle), keep-alive after 15 s by 3 probes 5 s apart and TCP_USER_TIMEOUT 30
 * s, so that a half-open connection is found within 60 s (security.md N24). Accepted sockets
 * inherit them.
 */
#ifndef CORE_IO_SOCK_H
#define CORE_IO_SOCK_H

#include <sys/socket.h>
#include <sys/types.h>

#include "core/base/limits.h"
#include "core/model/addr.h"

#define SOCK_BACKLOG    4096 /* the kernel cuts it to net.core.somaxconn */
#define SOCK_GROUPS_MAX 256u

/* Address to and from the kernel's form. sock_to_sys returns its length; IPv4-mapped IPv6 comes
 * back as IPv4, anything that is no IP address as ADDR_NONE. */
socklen_t sock_to_sys(const struct addr *a, struct sockaddr_storage *out);
struct addr sock_from_sys(const struct sockaddr_storage *sys);

/* What the kernel takes of what an accepted connection's peer does not read, about: 2 MB of each
 * slow reader would be kernel memory, and late news of it. Enough to keep a fast one busy. */
#define SOCK_UNSENT_BYTES (128 * 1024)

enum sock_listen_flags {
    SOCK_LISTEN_SHARED = 1, /* SO_REUSEPORT: one socket a worker on the same address */
    /* First binds without SO_REUSEPORT, so that an address anybody holds, another process of ours
     * too, is ERR_IN_USE. For the first of several shared listeners; no effect on port 0. */
    SOCK_LISTEN_PROBE = 2
};
/* A listening TCP socket with SO_REUSEADDR. IPv6 sockets hear IPv6 only. ERR_IN_USE, ERR_PERM (port
 * under 1024), ERR_UNREACHABLE (not an address of this host), ERR_INVALID (no address), ERR_FULL,
 * ERR_NOMEM, ERR_IO. */
enum err sock_listen(const struct addr *at, unsigned flags, int *out) MUST_USE;
/* A listening unix socket with file mode `mode`. A socket file that nobody listens on is replaced;
 * ERR_IN_USE when somebody does, ERR_EXISTS when the path is no socket, ERR_TOO_LARGE. */
enum err sock_listen_unix(const char *path, mode_t mode, int *out) MUST_USE;

/* Descriptor numbers from here on are refused to this process (RLIMIT_NOFILE); it may change while
 * we run. */
int sock_fd_limit(void);
/* A descriptor from another process: where its socket listens; makes it non-blocking and
 * close-on-exec. ERR_UNSUPPORTED: no listening stream socket of IP or a path; ERR_INVALID (no
 * descriptor), ERR_IO. */
enum err sock_adopt(int fd, struct target *at) MUST_USE;
/* Removes a socket's file, when it is one. */
void sock_unlink(const char *path);
/* Another descriptor of the same socket. ERR_FULL. */
enum err sock_dup(int fd, int *out) MUST_USE;

/* Connection attempts that the kernel has dropped at this listening socket, which nearly always is
 * because its backlog was full; callers' kernels repeat them. 0 for a unix socket. */
uint32_t sock_listen_drops(int fd);

/* Starts to connect. `*done`: connected already; else wait until writable, then sock_error.
 * ERR_REFUSED (also a unix socket whose backlog is full), ERR_NOT_FOUND (no such path), ERR_PERM,
 * ERR_UNREACHABLE, ERR_FULL, ERR_NOMEM, ERR_INVALID (no address). */
enum err sock_connect(const struct target *to, int *out, bool *done) MUST_USE;
/* Takes the socket's pending error (SO_ERROR); ERR_OK: none. */
enum err sock_error(int fd) MUST_USE;

struct sock_accepted {
    int fd;           /* the caller's now */
    struct addr peer; /* ADDR_NONE for a unix socket */
};
/* Accepts up to `cap` connections; `*count` is set always. ERR_OK: there may be more. ERR_AGAIN:
 * none waits. ERR_FULL: no descriptors, ERR_NOMEM: no memory; both: pause accepting or spin.
 * Connections that died in the queue are skipped. */
enum err sock_accept(int fd, struct sock_accepted *out, size_t cap, size_t *count) MUST_USE;

/* Own and other end; ADDR_NONE when unknown or a unix socket. */
struct addr sock_local(int fd);
struct addr sock_remote(int fd);
/* The next close sends RST and drops what is queued. */
void sock_set_abort(int fd);
/* What MSG_MORE holds back leaves now. */
void sock_push(int fd);

/* Who is at the other end of a unix socket, as the kernel saw it at connect. */
struct sock_cred {
    uid_t uid;
    gid_t gid;
    pid_t pid;
    size_t group_count; /* supplementary groups; more than SOCK_GROUPS_MAX: none are given */
    gid_t group[SOCK_GROUPS_MAX];
};
/* ERR_UNSUPPORTED: not a unix socket. */
enum err sock_peer_cred(int fd, struct sock_cred *out) MUST_USE;
bool sock_cred_in_group(const struct sock_cred *cred, gid_t group);

#endif
