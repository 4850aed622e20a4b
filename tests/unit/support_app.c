#include "tests/unit/support_mesh.h"

#include "core/io/sock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#define APP_CONNECTIONS_MAX 4096u

struct app_conn {
    pthread_t thread;
    int fd;
    struct support_app *app;
};

struct support_app {
    pthread_t thread;
    int fd;
    int wake[2]; /* a byte ends the accepting */
    void (*serve)(int fd, void *arg);
    void *arg;
    struct app_conn conn[APP_CONNECTIONS_MAX];
    size_t count;
};

const char *support_expand(const char *text, char *out, size_t cap)
{
    size_t len = 0;
    unsigned pid = (unsigned)getpid();
    for (; *text != '\0'; text++) {
        /* Above the addresses that examples and demos use. */
        if (*text == '@')
            len += (size_t)snprintf(out + len, cap - len, "127.%u.%u.", 64 + pid / 256 % 128,
                                    pid % 256);
        else
            out[len++] = *text;
        assert_true(len + 1 < cap);
    }
    out[len] = '\0';
    return out;
}

static struct addr addr_of(const char *text)
{
    struct addr a;
    char full[ADDR_TEXT_MAX];
    assert_int_equal(addr_parse(span_str(support_expand(text, full, sizeof full)), 0, &a), ERR_OK);
    return a;
}

static void *serve_main(void *arg)
{
    struct app_conn *c = arg;
    c->app->serve(c->fd, c->app->arg);
    shutdown(c->fd, SHUT_RDWR);
    return NULL;
}

/* An application that nobody talks to any more ends what it serves; a client, which the test waits
 * for, is patient. */
#define APP_LIMIT_S    5
#define CLIENT_LIMIT_S 30

static void set_limit(int fd, int seconds)
{
    struct timeval limit = {.tv_sec = seconds};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

static void *accept_main(void *arg)
{
    struct support_app *app = arg;
    struct pollfd p[2] = {{.fd = app->fd, .events = POLLIN},
                          {.fd = app->wake[0], .events = POLLIN}};
    for (;;) {
        if (poll(p, 2, -1) < 0 && errno != EINTR) return NULL;
        if (p[1].revents != 0) return NULL;
        if (p[0].revents == 0) continue;
        int fd = accept(app->fd, NULL, NULL);
        if (fd < 0) continue;
        if (app->count == APP_CONNECTIONS_MAX) {
            close(fd);
            continue;
        }
        set_limit(fd, APP_LIMIT_S);
        struct app_conn *c = &app->conn[app->count];
        *c = (struct app_conn){.fd = fd, .app = app};
        if (pthread_create(&c->thread, NULL, serve_main, c) == 0) app->count++;
    }
}

struct support_app *support_app_start(const char *addr, void (*serve)(int fd, void *arg), void *arg)
{
    struct support_app *app = calloc(1, sizeof *app);
    struct addr a = addr_of(addr);
    assert_non_null(app);
    app->serve = serve;
    app->arg = arg;
    assert_int_equal(sock_listen(&a, 0, &app->fd), ERR_OK);
    assert_int_equal(pipe(app->wake), 0);
    assert_int_equal(pthread_create(&app->thread, NULL, accept_main, app), 0);
    return app;
}

void support_app_stop(struct support_app *app)
{
    assert_int_equal(write(app->wake[1], "x", 1), 1);
    pthread_join(app->thread, NULL);
    close(app->fd);
    for (size_t i = 0; i < app->count; i++)
        shutdown(app->conn[i].fd, SHUT_RDWR);
    for (size_t i = 0; i < app->count; i++) {
        pthread_join(app->conn[i].thread, NULL);
        close(app->conn[i].fd);
    }
    close(app->wake[0]);
    close(app->wake[1]);
    free(app);
}

int support_dial(const char *addr)
{
    struct addr a = addr_of(addr);
    struct sockaddr_storage sys;
    socklen_t len = sock_to_sys(&a, &sys);
    int fd = socket(sys.ss_family, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    set_limit(fd, CLIENT_LIMIT_S);
    assert_int_equal(connect(fd, (struct sockaddr *)&sys, len), 0);
    return fd;
}

void support_send(int fd, const char *text)
{
    size_t len = strlen(text), at = 0;
    while (at < len) {
        ssize_t n = send(fd, text + at, len - at, MSG_NOSIGNAL);
        /* A peer that has closed is what some cases are about. */
        if (n <= 0) return;
        at += (size_t)n;
    }
}

size_t support_read(int fd, char *buf, size_t cap, const char *until, bool *ended)
{
    size_t len = 0;
    bool end = false, found = false;
    buf[0] = '\0';
    while (len < cap - 1 && !found && !end) {
        /* Looks first, so that what stands behind `until` stays for the next call. */
        ssize_t seen = recv(fd, buf + len, cap - 1 - len, until != NULL ? MSG_PEEK : 0);
        end = seen <= 0;
        if (end) break;
        size_t take = (size_t)seen;
        buf[len + take] = '\0';
        const char *at = until != NULL ? strstr(buf, until) : NULL;
        found = at != NULL;
        if (found) take = (size_t)(at - buf) + strlen(until) - len;
        if (until != NULL) end = recv(fd, buf + len, take, 0) != (ssize_t)take;
        len += take;
        buf[len] = '\0';
    }
    if (ended != NULL) *ended = end;
    return len;
}

void support_exchange(const char *addr, const char *request, char *buf, size_t cap)
{
    int fd = support_dial(addr);
    support_send(fd, request);
    support_read(fd, buf, cap, NULL, NULL);
    close(fd);
}
