#include "cmd/client.h"

#include "core/base/check.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_UNDER_ROOT "run/parley/parley.sock"
#define HEAD_BYTES_MAX    65536u
#define SOCKET_PATH_MAX   512u

struct question {
    const char *method, *path;
    struct span body;
};

void client_socket_path(const struct verb_ctx *ctx, char *out, size_t cap)
{
    struct stat st;
    const char *where = ctx->socket;
    if (!where) {
        snprintf(out, cap, "%s/" SOCKET_UNDER_ROOT, ctx->root);
    } else if (strncmp(where, "demo.", 5) == 0 && strlen(where) == 6) {
        const char *tmp = getenv("TMPDIR");
        snprintf(out, cap, "%s/parley-demo-%u/n%c/" SOCKET_UNDER_ROOT, tmp && tmp[0] ? tmp : "/tmp",
                 (unsigned)getuid(), where[5]);
    } else if (stat(where, &st) == 0 && S_ISDIR(st.st_mode)) {
        snprintf(out, cap, "%s/" SOCKET_UNDER_ROOT, where);
    } else {
        snprintf(out, cap, "%s", where);
    }
}

bool client_segment(const char *text, char *out, size_t cap)
{
    size_t at = 0;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (at + 4 > cap) return false;
        if (plain)
            out[at++] = (char)c;
        else
            at += (size_t)snprintf(out + at, 4, "%%%02X", c);
    }
    out[at] = 0;
    return true;
}

static void set_timeout(int fd, uint64_t ms)
{
    struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
}

static int open_socket(const char *path, uint64_t timeout_ms, enum err *err)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof to.sun_path) {
        *err = ERR_TOO_LARGE;
        return -1;
    }
    memcpy(to.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        *err = err_from_errno(errno);
        return -1;
    }
    set_timeout(fd, timeout_ms);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        *err = err_from_errno(errno);
        close(fd);
        return -1;
    }
    return fd;
}

static enum err send_all(int fd, const char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == EAGAIN ? ERR_TIMEOUT : err_from_errno(errno);
        p += n;
        len -= (size_t)n;
    }
    return ERR_OK;
}

/* The agent ends each answer by closing, so the end of the bytes is the end of the answer. */
static enum err receive_all(int fd, struct strbuf *out)
{
    char chunk[16384];
    for (;;) {
        ssize_t n = recv(fd, chunk, sizeof chunk, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == EAGAIN ? ERR_TIMEOUT : err_from_errno(errno);
        if (n == 0) return ERR_OK;
        strbuf_add(out, chunk, (size_t)n);
        if (!strbuf_ok(out)) return ERR_TOO_LARGE;
    }
}

/* "HTTP/1.1 200 ..." head, then the body. */
static enum err split_answer(struct strbuf *raw, struct client_answer *a)
{
    struct span all = strbuf_view(raw);
    uint64_t status;
    if (all.len < 13 || memcmp(all.p, "HTTP/1.1 ", 9) != 0 ||
        !span_u64(span_of(all.p + 9, 3), &status))
        return ERR_PROTOCOL;
    for (size_t i = 0; i + 4 <= all.len && i < HEAD_BYTES_MAX; i++) {
        if (memcmp(all.p + i, "\r\n\r\n", 4) != 0) continue;
        a->status = (unsigned)status;
        strbuf_add(&a->body, all.p + i + 4, all.len - i - 4);
        if (!strbuf_ok(&a->body)) return ERR_TOO_LARGE;
        if (json_read(strbuf_view(&a->body), &a->arena, &a->doc, NULL) != ERR_OK) a->doc = NULL;
        return ERR_OK;
    }
    return ERR_PROTOCOL;
}

static enum err exchange(const char *socket_path, const struct verb_ctx *ctx,
                         const struct question *q, struct client_answer *a)
{
    struct strbuf raw;
    char head[2048];
    enum err err = ERR_OK;
    int fd = open_socket(socket_path, ctx->timeout_ms, &err);
    if (fd < 0) return err;
    int n = snprintf(head, sizeof head,
                     "%s %s HTTP/1.1\r\nHost: parley\r\nConnection: close\r\nx-parley: 1\r\n"
                     "content-type: application/json\r\ncontent-length: %zu\r\n\r\n",
                     q->method, q->path, q->body.len);
    strbuf_init(&raw, CLIENT_ANSWER_BYTES_MAX);
    err = n > 0 && (size_t)n < sizeof head ? send_all(fd, head, (size_t)n) : ERR_TOO_LARGE;
    if (err == ERR_OK) err = send_all(fd, q->body.p, q->body.len);
    if (err == ERR_OK) err = receive_all(fd, &raw);
    if (err == ERR_OK) err = split_answer(&raw, a);
    strbuf_fini(&raw);
    close(fd);
    return err;
}

void client_answer_fini(struct client_answer *a)
{
    strbuf_fini(&a->body);
    arena_fini(&a->arena);
}

static enum verb_exit exit_of(unsigned status)
{
    switch (status) {
    case 400:
        return EXIT_USAGE;
    case 401:
    case 403:
        return EXIT_NOT_PERMITTED;
    case 409:
        return EXIT_NO;
    case 422:
        return EXIT_CONFIG;
    case 504:
        return EXIT_TIMED_OUT;
    default:
        return status >= 200 && status < 300 ? EXIT_DONE : EXIT_FAILED;
    }
}

static enum err ask(const struct verb_ctx *ctx, const char *method, const char *path,
                    struct span body, struct client_answer *a)
{
    char socket_path[SOCKET_PATH_MAX];
    *a = (struct client_answer){0};
    strbuf_init(&a->body, CLIENT_ANSWER_BYTES_MAX);
    arena_init(&a->arena, 65536, CLIENT_ANSWER_BYTES_MAX);
    client_socket_path(ctx, socket_path, sizeof socket_path);
    return exchange(socket_path, ctx, &(struct question){method, path, body}, a);
}

enum verb_exit client_try(const struct verb_ctx *ctx, const char *method, const char *path,
                          struct span body, struct client_answer *a)
{
    enum err err = ask(ctx, method, path, body, a);
    if (err == ERR_TIMEOUT) return EXIT_TIMED_OUT;
    return err == ERR_OK ? exit_of(a->status) : EXIT_NO_AGENT;
}

/* Names the command that starts the agent of just this socket. */
static enum verb_exit no_agent(const struct verb_ctx *ctx, const char *socket_path, enum err err)
{
    size_t len = strlen(socket_path), tail = sizeof "/" SOCKET_UNDER_ROOT - 1;
    const char *why = err == ERR_NOT_FOUND ? "it does not run" : err_text(err);
    if (ctx->socket && strncmp(ctx->socket, "demo.", 5) == 0)
        return verb_fail(EXIT_NO_AGENT, "no agent at %s (%s) - start it: parley demo", socket_path,
                         why);
    if (len > tail && strcmp(socket_path + len - tail, "/" SOCKET_UNDER_ROOT) == 0)
        return verb_fail(EXIT_NO_AGENT, "no agent at %s (%s) - start it: parley up --root %.*s",
                         socket_path, why, (int)(len - tail), socket_path);
    return verb_fail(EXIT_NO_AGENT, "no agent at %s (%s) - start it: %s", socket_path, why,
                     ctx->socket ? "parley up" : "systemctl start parley");
}

enum verb_exit client_call(const struct verb_ctx *ctx, const char *method, const char *path,
                           struct span body, struct client_answer *a)
{
    char socket_path[SOCKET_PATH_MAX];
    enum err err = ask(ctx, method, path, body, a);
    client_socket_path(ctx, socket_path, sizeof socket_path);
    if (err == ERR_TIMEOUT)
        return verb_fail(EXIT_TIMED_OUT, "no answer from %s in %llums", socket_path,
                         (unsigned long long)ctx->timeout_ms);
    if (err == ERR_PERM) return verb_fail(EXIT_NOT_PERMITTED, "%s: permission denied", socket_path);
    if (err != ERR_OK) return no_agent(ctx, socket_path, err);
    enum verb_exit code = exit_of(a->status);
    if (code == EXIT_DONE) return code;
    struct span why = json_read_str(a->doc, "error", (struct span){0});
    if (why.len == 0) return verb_fail(code, "the agent answered %u", a->status);
    /* A message of several lines (configuration errors) stands as it is. */
    if (memchr(why.p, '\n', why.len)) {
        fflush(stdout);
        fprintf(stderr, "%.*s\n", SPAN_ARG(why));
        return code;
    }
    return verb_fail(code, "%.*s", SPAN_ARG(why));
}

enum verb_exit client_show(const struct verb_ctx *ctx, const char *path,
                           enum verb_exit (*render)(const struct verb_ctx *,
                                                    const struct json_value *doc))
{
    struct client_answer a;
    enum verb_exit code = client_call(ctx, "GET", path, (struct span){0}, &a);
    if (code == EXIT_DONE && ctx->json) {
        printf("%.*s", SPAN_ARG(strbuf_view(&a.body)));
    } else if (code == EXIT_DONE && a.doc) {
        code = render(ctx, a.doc);
    } else if (code == EXIT_DONE) {
        code = verb_fail(EXIT_FAILED, "the agent's answer is not JSON");
    }
    client_answer_fini(&a);
    return code;
}
