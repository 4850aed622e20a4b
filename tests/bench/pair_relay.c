/* A plain byte relay: what arrives at one address goes on to another, unread. Two of them in a row
 * are the floor that tests/bench/pair.py puts beside proxies that do more: no TLS, no parsing, no
 * multiplexing; a recv and a send for each piece of at most 64 KiB.
 *
 * usage: pair_relay 127.0.0.2:9001 127.0.0.3:9002
 * One thread, level-triggered epoll. Ends by a signal.
 */
#include "core/base/check.h"
#include "core/io/sock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX  256
#define PIECE_BYTES (64u * 1024)

/* One direction's source and the other one's sink. */
struct end {
    int fd;
    struct end *other;
    struct end *next_dead;
    char *held; /* owned: what `fd` did not take yet */
    size_t held_len;
    uint32_t watched;
    bool connecting, eof, dead;
};

struct relay {
    int epoll, listener;
    struct target to;
    struct end *dead; /* freed behind the events that may still name them */
    char piece[PIECE_BYTES];
};

static void watch(struct relay *r, struct end *e)
{
    bool read = !e->eof && e->other->held_len == 0 && !e->other->connecting && !e->connecting;
    bool write = e->held_len > 0 || e->connecting;
    uint32_t want = (read ? EPOLLIN : 0u) | (write ? EPOLLOUT : 0u);
    if (want == e->watched) return;
    struct epoll_event event = {.events = want, .data.ptr = e};
    CHECK(epoll_ctl(r->epoll, EPOLL_CTL_MOD, e->fd, &event) == 0);
    e->watched = want;
}

static void end_pair(struct relay *r, struct end *e)
{
    struct end *both[] = {e, e->other};
    for (size_t i = 0; i < 2; i++) {
        if (both[i]->dead) continue;
        both[i]->dead = true;
        close(both[i]->fd);
        both[i]->next_dead = r->dead;
        r->dead = both[i];
    }
}

static void free_dead(struct relay *r)
{
    while (r->dead != NULL) {
        struct end *e = r->dead;
        r->dead = e->next_dead;
        free(e->held);
        free(e);
    }
}

/* Keeps what the kernel does not take; false: the connection is lost. */
static bool pass(struct end *to, const char *p, size_t len)
{
    ssize_t n = send(to->fd, p, len, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) return false;
    size_t sent = n > 0 ? (size_t)n : 0;
    if (sent == len) return true;
    to->held = malloc(len - sent);
    CHECK(to->held != NULL);
    memcpy(to->held, p + sent, len - sent);
    to->held_len = len - sent;
    return true;
}

static void readable(struct relay *r, struct end *e)
{
    ssize_t n = recv(e->fd, r->piece, sizeof(r->piece), 0);
    if (n < 0 && errno == EAGAIN) return;
    bool fine = n >= 0;
    if (n > 0) fine = pass(e->other, r->piece, (size_t)n);
    if (n == 0) {
        e->eof = true;
        (void)!shutdown(e->other->fd, SHUT_WR);
        fine = !e->other->eof;
    }
    if (!fine) {
        end_pair(r, e);
        return;
    }
    watch(r, e);
    watch(r, e->other);
}

static void writable(struct relay *r, struct end *e)
{
    if (e->connecting && sock_error(e->fd) != ERR_OK) {
        end_pair(r, e);
        return;
    }
    e->connecting = false;
    char *held = e->held;
    size_t len = e->held_len;
    e->held = NULL;
    e->held_len = 0;
    bool fine = len == 0 || pass(e, held, len);
    free(held);
    if (!fine) {
        end_pair(r, e);
        return;
    }
    watch(r, e);
    watch(r, e->other);
}

static struct end *add(struct relay *r, int fd)
{
    struct end *e = calloc(1, sizeof(*e));
    CHECK(e != NULL);
    e->fd = fd;
    struct epoll_event event = {.events = 0, .data.ptr = e};
    CHECK(epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    return e;
}

static void open_pair(struct relay *r, int client)
{
    bool done;
    int fd = -1;
    if (sock_connect(&r->to, &fd, &done) != ERR_OK) {
        close(client);
        return;
    }
    struct end *down = add(r, client), *up = add(r, fd);
    down->other = up;
    up->other = down;
    up->connecting = !done;
    watch(r, down);
    watch(r, up);
}

static void accept_some(struct relay *r)
{
    struct sock_accepted accepted[16];
    size_t count = 0;
    /* What accept refuses comes again with the next event. */
    (void)!sock_accept(r->listener, accepted, 16, &count);
    for (size_t i = 0; i < count; i++)
        open_pair(r, accepted[i].fd);
}

static void turn(struct relay *r)
{
    struct epoll_event event[EVENTS_MAX];
    int count = epoll_wait(r->epoll, event, EVENTS_MAX, -1);
    for (int i = 0; i < count; i++) {
        struct end *e = event[i].data.ptr;
        if (e == NULL) {
            accept_some(r);
            continue;
        }
        if (!e->dead && (event[i].events & EPOLLOUT) != 0) writable(r, e);
        if (!e->dead && (event[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) readable(r, e);
    }
    free_dead(r);
}

int main(int argc, char **argv)
{
    static struct relay r;
    struct target at;
    if (argc != 3 || addr_target_parse(span_str(argv[1]), &at) != ERR_OK ||
        addr_target_parse(span_str(argv[2]), &r.to) != ERR_OK) {
        fprintf(stderr, "usage: pair_relay LISTEN TO, as in 127.0.0.2:9001 127.0.0.3:9002\n");
        return 2;
    }
    r.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (r.epoll < 0 || sock_listen(&at.addr, 0, &r.listener) != ERR_OK) {
        fprintf(stderr, "pair_relay: cannot listen on %s\n", argv[1]);
        return 1;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    CHECK(epoll_ctl(r.epoll, EPOLL_CTL_ADD, r.listener, &event) == 0);
    for (;;)
        turn(&r);
}
