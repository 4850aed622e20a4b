/* An even load of HTTP/1.1: the request of each moment is sent at that moment, whatever became of
 * those before it, and is measured from then on ("no coordinated omission").
 *
 *   due       t0     t0+p    t0+2p    t0+3p ...      p = 1 s / rate
 *   sent      when due, or when a connection is free again
 *   answered  when the kernel had its last byte for us: SO_TIMESTAMPNS
 *   latency = answered - due
 *
 * It sleeps from one due moment to the next and looks for answers at every fourth, or when it has
 * no connection left; it is never woken by one. So the load costs little beside what it measures,
 * no proxy pays for waking it, and its own waking is in nobody's figure. That it sends late is, and
 * is told beside it.
 *
 * Requests that were under way while a core of the machine stood still (stall.h) are in no
 * percentile: `stalled` says how many.
 *
 * usage: pair_even 127.0.0.2:9000 /1k RATE SECONDS CONNECTIONS
 * Prints JSON: requests, a_second (from the first sent to the last answered), failed, stalled,
 * p50_us, p99_us, max_us, late_p99_us, load_cpu_us (its own, a request). One thread beside the
 * witnesses. Exit 1: it cannot connect.
 */
#include "core/base/check.h"
#include "core/io/sock.h"
#include "tests/bench/stall.h"

#include <asm/socket.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS       UINT64_C(1000000000)
#define GRACE_NS        (2 * SECOND_NS) /* for the last answers */
#define CONNECTIONS_MAX 1024u
#define REQUESTS_MAX    (UINT64_C(1) << 24)
#define ANSWER_MAX      8192u
#define LOOK_EVERY      4u /* requests sent */

struct line {
    int fd;
    bool busy, dead;
    struct line *next; /* free */
    uint64_t due_ns;
    size_t len;
    char text[ANSWER_MAX + 1]; /* of the answer so far, NUL-terminated */
};

struct even {
    struct target to;
    const char *path;
    uint64_t rate, total, sent, ended, failed, started_ns, last_ns;
    size_t connections, busy;
    int epoll;
    struct line *line, *free_first, *free_last;
    uint32_t *latency_ns, *late_ns; /* of the request sent, or ended, as the n-th */
    uint64_t *from_ns;              /* when that which ended as the n-th was due */
    struct stalls stalls;
    char request[512];
    size_t request_len;
};

static uint64_t now_ns(clockid_t clock)
{
    struct timespec at;
    CHECK(clock_gettime(clock, &at) == 0);
    return (uint64_t)at.tv_sec * SECOND_NS + (uint64_t)at.tv_nsec;
}

static uint64_t due_ns(const struct even *e, uint64_t n)
{
    return e->started_ns + n / e->rate * SECOND_NS + n % e->rate * SECOND_NS / e->rate;
}

static void put_free(struct even *e, struct line *l)
{
    l->next = NULL;
    if (e->free_last != NULL)
        e->free_last->next = l;
    else
        e->free_first = l;
    e->free_last = l;
}

static struct line *take_free(struct even *e)
{
    struct line *l = e->free_first;
    if (l == NULL) return NULL;
    e->free_first = l->next;
    if (e->free_first == NULL) e->free_last = NULL;
    return l;
}

static uint32_t distance(uint64_t to_ns, uint64_t from_ns)
{
    uint64_t ns = to_ns > from_ns ? to_ns - from_ns : 0;
    return ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

static void ended(struct even *e, struct line *l, uint64_t at_ns, bool good)
{
    e->from_ns[e->ended] = l->due_ns;
    e->latency_ns[e->ended++] = distance(at_ns, l->due_ns);
    e->last_ns = at_ns;
    e->failed += !good;
    e->busy--;
    l->busy = false;
    l->dead = !good;
    if (good) put_free(e, l);
}

static void send_due(struct even *e, uint64_t now)
{
    struct line *l;
    while (e->sent < e->total && due_ns(e, e->sent) <= now && (l = take_free(e)) != NULL) {
        l->due_ns = due_ns(e, e->sent);
        l->len = 0;
        l->busy = true;
        e->busy++;
        e->late_ns[e->sent++] = distance(now, l->due_ns);
        /* A request is small and the connection idle: it goes whole, or the connection has failed,
         * as its next event says. */
        (void)!send(l->fd, e->request, e->request_len, MSG_NOSIGNAL);
        now = now_ns(CLOCK_MONOTONIC);
    }
}

/* The value of Content-Length in a head; 0: none. */
static size_t content_length(const char *head)
{
    static const char name[] = "\r\ncontent-length:";
    for (const char *p = head; (p = strstr(p, "\r\n")) != NULL; p++)
        if (strncasecmp(p, name, sizeof(name) - 1) == 0)
            return (size_t)strtoul(p + sizeof(name) - 1, NULL, 10);
    return 0;
}

/* Is the answer whole? */
static bool whole(const struct line *l)
{
    const char *end = strstr(l->text, "\r\n\r\n");
    return end != NULL && l->len >= (size_t)(end - l->text) + 4 + content_length(l->text);
}

/* When the kernel received what `m` brought, on the monotonic clock. */
static uint64_t received_ns(struct msghdr *m)
{
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        struct timespec at;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_TIMESTAMPNS) continue;
        memcpy(&at, CMSG_DATA(c), sizeof(at));
        uint64_t wall = now_ns(CLOCK_REALTIME);
        return now - distance(wall, (uint64_t)at.tv_sec * SECOND_NS + (uint64_t)at.tv_nsec);
    }
    return now;
}

static void receive(struct even *e, struct line *l)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct timespec))];
    } control;
    struct iovec to = {.iov_base = l->text + l->len, .iov_len = ANSWER_MAX - l->len};
    struct msghdr m = {.msg_iov = &to,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof(control.bytes)};
    ssize_t n = recvmsg(l->fd, &m, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    uint64_t at_ns = received_ns(&m);
    if (n > 0) l->len += (size_t)n;
    l->text[l->len] = '\0';
    bool over = n > 0 && whole(l);
    if (n > 0 && !over && l->len < ANSWER_MAX) return;
    bool good = over && l->busy && strncmp(l->text, "HTTP/1.1 200", 12) == 0;
    if (!good) CHECK(epoll_ctl(e->epoll, EPOLL_CTL_DEL, l->fd, NULL) == 0);
    if (l->busy) ended(e, l, at_ns, good);
}

static void look(struct even *e, int wait_ms)
{
    struct epoll_event event[64];
    int count = epoll_wait(e->epoll, event, 64, wait_ms);
    for (int i = 0; i < count; i++)
        receive(e, event[i].data.ptr);
}

static void run(struct even *e)
{
    uint64_t looked = 0; /* how many had been sent then */
    e->started_ns = e->last_ns = now_ns(CLOCK_MONOTONIC);
    while (e->sent < e->total) {
        uint64_t due = due_ns(e, e->sent), now = now_ns(CLOCK_MONOTONIC);
        /* A backlog waits for a connection: looked for once a period. */
        if (due < now && e->free_first == NULL) due = now + SECOND_NS / e->rate;
        struct timespec at = {.tv_sec = (time_t)(due / SECOND_NS),
                              .tv_nsec = (long)(due % SECOND_NS)};
        if (due > now) CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == 0);
        send_due(e, now_ns(CLOCK_MONOTONIC));
        if (e->sent - looked >= LOOK_EVERY || e->free_first == NULL) {
            looked = e->sent;
            look(e, 0);
        }
        if (e->free_first == NULL && e->busy == 0) return;
    }
    uint64_t until = now_ns(CLOCK_MONOTONIC) + GRACE_NS;
    while (e->busy > 0 && now_ns(CLOCK_MONOTONIC) < until)
        look(e, 100);
}

static bool open_line(struct even *e, struct line *l)
{
    int on = 1;
    bool done;
    if (sock_connect(&e->to, &l->fd, &done) != ERR_OK) return false;
    struct pollfd p = {.fd = l->fd, .events = POLLOUT};
    if (!done && (poll(&p, 1, 5000) != 1 || sock_error(l->fd) != ERR_OK)) return false;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = l};
    put_free(e, l);
    return setsockopt(l->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) == 0 &&
           epoll_ctl(e->epoll, EPOLL_CTL_ADD, l->fd, &event) == 0;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The value below which the share `q` of `count` sorted ones is. */
static double at_share_us(const uint32_t *ns, uint64_t count, double q)
{
    if (count == 0) return 0;
    return ns[(uint64_t)((double)(count - 1) * q)] / 1e3;
}

/* Moves the latencies of requests that no stall met to the front; how many. */
static uint64_t unstalled(struct even *e)
{
    uint64_t kept = 0;
    for (uint64_t i = 0; i < e->ended; i++)
        if (!stalls_between(&e->stalls, e->from_ns[i], e->from_ns[i] + e->latency_ns[i]))
            e->latency_ns[kept++] = e->latency_ns[i];
    return kept;
}

static void report(struct even *e, double cpu_us)
{
    uint64_t unsent = e->total - e->sent, unanswered = e->sent - e->ended, kept = unstalled(e);
    qsort(e->latency_ns, kept, sizeof(*e->latency_ns), compare);
    qsort(e->late_ns, e->sent, sizeof(*e->late_ns), compare);
    double took_s = (double)(e->last_ns - e->started_ns) / 1e9;
    printf("{\"requests\": %llu, \"a_second\": %.0f, \"failed\": %llu, \"stalled\": %llu, ",
           (unsigned long long)e->ended, took_s > 0 ? (double)e->ended / took_s : 0,
           (unsigned long long)(e->failed + unsent + unanswered),
           (unsigned long long)(e->ended - kept));
    printf("\"p50_us\": %.1f, \"p99_us\": %.1f, ", at_share_us(e->latency_ns, kept, 0.5),
           at_share_us(e->latency_ns, kept, 0.99));
    printf("\"max_us\": %.1f, \"late_p99_us\": %.1f, \"load_cpu_us\": %.1f}\n",
           at_share_us(e->latency_ns, kept, 1), at_share_us(e->late_ns, e->sent, 0.99),
           e->ended > 0 ? cpu_us / (double)e->ended : 0);
}

static bool read_arguments(struct even *e, int argc, char **argv)
{
    if (argc != 6 || addr_target_parse(span_str(argv[1]), &e->to) != ERR_OK) return false;
    e->path = argv[2];
    e->rate = strtoul(argv[3], NULL, 10);
    e->total = e->rate * strtoul(argv[4], NULL, 10);
    e->connections = strtoul(argv[5], NULL, 10);
    int n =
        snprintf(e->request, sizeof(e->request), "GET %s HTTP/1.1\r\nHost: api\r\n\r\n", argv[2]);
    e->request_len = (size_t)n;
    return e->rate > 0 && e->total > 0 && e->total < REQUESTS_MAX && e->connections > 0 &&
           e->connections <= CONNECTIONS_MAX && e->request_len < sizeof(e->request);
}

int main(int argc, char **argv)
{
    static struct even e;
    if (!read_arguments(&e, argc, argv)) {
        fprintf(stderr, "usage: pair_even 127.0.0.2:9000 /1k RATE SECONDS CONNECTIONS\n");
        return 2;
    }
    /* A sleep ends when it should, not up to 50 us later. */
    (void)!prctl(PR_SET_TIMERSLACK, 1ul);
    e.epoll = epoll_create1(EPOLL_CLOEXEC);
    e.line = calloc(e.connections, sizeof(*e.line));
    e.latency_ns = malloc(e.total * sizeof(*e.latency_ns));
    e.late_ns = malloc(e.total * sizeof(*e.late_ns));
    e.from_ns = malloc(e.total * sizeof(*e.from_ns));
    CHECK(e.epoll >= 0 && e.line != NULL && e.latency_ns != NULL && e.late_ns != NULL &&
          e.from_ns != NULL);
    /* Every page is there before the first request is due. */
    memset(e.latency_ns, 0xff, e.total * sizeof(*e.latency_ns));
    memset(e.late_ns, 0xff, e.total * sizeof(*e.late_ns));
    memset(e.from_ns, 0xff, e.total * sizeof(*e.from_ns));
    for (size_t i = 0; i < e.connections; i++) {
        if (open_line(&e, &e.line[i])) continue;
        fprintf(stderr, "pair_even: cannot connect to %s\n", argv[1]);
        return 1;
    }
    bool watched = stalls_start(&e.stalls);
    run(&e);
    double cpu_us = (double)now_ns(CLOCK_THREAD_CPUTIME_ID) / 1e3;
    if (watched) stalls_stop(&e.stalls);
    report(&e, cpu_us);
    return 0;
}
