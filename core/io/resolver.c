#define _GNU_SOURCE
#include "core/io/resolver.h"

#include "core/base/check.h"
#include "core/base/strbuf.h"
#include "core/io/sock.h"

#include <ares.h>
#include <stdlib.h>

#define RESOLVER_MAGIC  0x7265736fu
#define SOCKETS_MAX     16u
#define SERVERS_MAX     4u
#define TIMEOUT_MS      2000u
#define TRIES           2u
#define SERVERS_CSV_MAX (SERVERS_MAX * ADDR_TEXT_MAX)

struct resolver_job {
    struct resolver *resolver;    /* borrowed; NULL: free */
    struct resolver_query *query; /* borrowed; NULL: cancelled */
    bool done;
    enum err err;
    uint16_t port;
    size_t count;
    struct addr addr[RESOLVER_ADDRS_MAX];
};

struct watched_socket {
    struct loop_io io;
    struct resolver *resolver; /* borrowed; NULL: free */
    int fd;
};

struct resolver {
    uint32_t magic;
    unsigned timeout_ms, tries;
    struct loop *loop;    /* borrowed */
    ares_channel channel; /* owned, NULL: not set up */
    struct loop_timer timer;
    struct loop_flush flush;
    size_t jobs_live;
    struct resolver_job job[RESOLVER_QUERIES_MAX];
    struct watched_socket socket[SOCKETS_MAX];
    char servers[SERVERS_CSV_MAX]; /* "": resolv.conf's */
};

static enum err from_status(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return ERR_OK;
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
        return ERR_NOT_FOUND;
    case ARES_ETIMEOUT:
        return ERR_TIMEOUT;
    case ARES_ECONNREFUSED:
        return ERR_REFUSED;
    case ARES_EFORMERR:
    case ARES_EBADRESP:
        return ERR_PROTOCOL;
    case ARES_EBADNAME:
        return ERR_INVALID;
    case ARES_ENOMEM:
        return ERR_NOMEM;
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
        return ERR_CANCELLED;
    default:
        return ERR_IO;
    }
}

static void arm(struct resolver *r)
{
    struct timeval wait;
    if (r->channel == NULL || ares_timeout(r->channel, NULL, &wait) == NULL) {
        loop_timer_clear(r->loop, &r->timer);
        return;
    }
    uint64_t wait_ms = (uint64_t)wait.tv_sec * 1000u + (uint64_t)wait.tv_usec / 1000u + 1;
    loop_timer_set(r->loop, &r->timer, loop_now_ms(r->loop) + wait_ms);
}

static void on_expire(struct loop_timer *t)
{
    struct resolver *r = CONTAINER_OF(t, struct resolver, timer);
    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm(r);
}

static void on_ready(struct loop_io *io, bool readable, bool writable)
{
    struct watched_socket *s = CONTAINER_OF(io, struct watched_socket, io);
    struct resolver *r = s->resolver;
    int fd = s->fd;
    ares_process_fd(r->channel, readable ? fd : ARES_SOCKET_BAD, writable ? fd : ARES_SOCKET_BAD);
    arm(r);
}

static struct watched_socket *find_socket(struct resolver *r, int fd)
{
    struct watched_socket *unused = NULL;
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        struct watched_socket *s = &r->socket[i];
        if (s->resolver == NULL)
            unused = s;
        else if (s->fd == fd)
            return s;
    }
    return unused;
}

static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct resolver *r = data;
    struct watched_socket *s = find_socket(r, fd);
    /* More sockets than we watch: what is asked through this one times out. */
    if (s == NULL) return;
    if (s->resolver == NULL) {
        s->resolver = r;
        s->fd = fd;
        loop_io_init(&s->io, fd, on_ready);
    }
    loop_io_set(r->loop, &s->io, readable != 0, writable != 0);
    /* Both off: c-ares is about to close it. */
    if (readable == 0 && writable == 0) s->resolver = NULL;
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct resolver_job *job = arg;
    (void)timeouts;
    job->err = from_status(status);
    const struct ares_addrinfo_node *node = info != NULL ? info->nodes : NULL;
    for (; node != NULL && job->count < RESOLVER_ADDRS_MAX; node = node->ai_next) {
        struct sockaddr_storage sys = {.ss_family = AF_UNSPEC};
        if (node->ai_addrlen > sizeof(sys)) continue;
        memcpy(&sys, node->ai_addr, node->ai_addrlen);
        struct addr a = sock_from_sys(&sys);
        a.port = job->port;
        if (a.family != ADDR_NONE) job->addr[job->count++] = a;
    }
    if (info != NULL) ares_freeaddrinfo(info);
    if (job->err == ERR_OK && job->count == 0) job->err = ERR_NOT_FOUND;
    job->done = true;
    loop_flush_mark(job->resolver->loop, &job->resolver->flush, LOOP_FLUSH_PLAIN);
}

/* The owner may start another query from on_done, so the job is free by then. */
static void finish(struct resolver_job *job)
{
    struct resolver_job done = *job;
    job->resolver->jobs_live--;
    *job = (struct resolver_job){.resolver = NULL};
    if (done.query == NULL) return;
    done.query->job = NULL;
    done.query->on_done(done.query, done.err, done.addr, done.err == ERR_OK ? done.count : 0);
}

static void on_flush(struct loop_flush *f)
{
    struct resolver *r = CONTAINER_OF(f, struct resolver, flush);
    for (size_t i = 0; i < RESOLVER_QUERIES_MAX; i++)
        if (r->job[i].resolver != NULL && r->job[i].done) finish(&r->job[i]);
}

static enum err set_up(struct resolver *r)
{
    struct ares_options o = {.timeout = (int)r->timeout_ms,
                             .tries = (int)r->tries,
                             .sock_state_cb = on_socket_state,
                             .sock_state_cb_data = r};
    char lookups[] = "fb"; /* files before servers */
    o.lookups = lookups;
    if (r->channel != NULL) ares_destroy(r->channel);
    r->channel = NULL;
    int status = ares_init_options(&r->channel, &o,
                                   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
                                       ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS) {
        r->channel = NULL;
        return from_status(status);
    }
    if (r->servers[0] == '\0') return ERR_OK;
    return from_status(ares_set_servers_ports_csv(r->channel, r->servers));
}

enum err resolver_new(struct loop *loop, const struct resolver_options *options,
                      struct resolver **out)
{
    static const struct resolver_options defaults;
    if (options == NULL) options = &defaults;
    CHECK(options->server_count <= SERVERS_MAX);
    struct resolver *r = calloc(1, sizeof(*r));
    if (r == NULL) return ERR_NOMEM;
    struct strbuf sb;
    strbuf_init_fixed(&sb, r->servers, sizeof(r->servers));
    for (size_t i = 0; i < options->server_count; i++) {
        char text[ADDR_TEXT_MAX];
        if (i > 0) strbuf_char(&sb, ',');
        strbuf_str(&sb, addr_format(&options->server[i], text));
    }
    CHECK(strbuf_ok(&sb));
    r->magic = RESOLVER_MAGIC;
    r->loop = loop;
    r->timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : TIMEOUT_MS;
    r->tries = options->tries != 0 ? options->tries : TRIES;
    r->timer.on_expire = on_expire;
    r->flush.on_flush = on_flush;
    *out = r;
    return ERR_OK;
}

void resolver_free(struct resolver *r)
{
    if (r == NULL) return;
    CHECK_OBJ(r, RESOLVER_MAGIC);
    for (size_t i = 0; i < RESOLVER_QUERIES_MAX; i++)
        if (r->job[i].query != NULL) resolver_cancel(r->job[i].query);
    /* Ends what is under way by on_answer, which only marks the flush. */
    if (r->channel != NULL) ares_destroy(r->channel);
    loop_flush_clear(&r->flush);
    loop_timer_clear(r->loop, &r->timer);
    r->magic = MAGIC_POISON;
    free(r);
}

enum err resolver_start(struct resolver *r, struct resolver_query *q, struct span host,
                        uint16_t port)
{
    static const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC,
                                                     .ai_flags = ARES_AI_NOSORT};
    char name[RESOLVER_HOST_MAX + 1];
    struct resolver_job *job = NULL;
    CHECK_OBJ(r, RESOLVER_MAGIC);
    CHECK(q->job == NULL && q->on_done != NULL);
    if (host.len == 0 || !span_to_cstr(host, name, sizeof(name))) return ERR_INVALID;
    for (size_t i = 0; i < RESOLVER_QUERIES_MAX && job == NULL; i++)
        if (r->job[i].resolver == NULL) job = &r->job[i];
    if (job == NULL) return ERR_FULL;
    if (r->jobs_live == 0) {
        enum err err = set_up(r);
        if (err != ERR_OK) return err;
    }
    *job = (struct resolver_job){.resolver = r, .query = q, .port = port};
    q->job = job;
    r->jobs_live++;
    /* c-ares 1.18 asks the servers for an IPv4 literal when any family will do. */
    if (addr_parse(host, port, &job->addr[0]) == ERR_OK) {
        job->count = 1;
        job->done = true;
        loop_flush_mark(r->loop, &r->flush, LOOP_FLUSH_PLAIN);
        return ERR_OK;
    }
    ares_getaddrinfo(r->channel, name, NULL, &hints, on_answer, job);
    arm(r);
    return ERR_OK;
}

void resolver_cancel(struct resolver_query *q)
{
    if (q->job == NULL) return;
    q->job->query = NULL;
    q->job = NULL;
}
