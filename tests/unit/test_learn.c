#include "cmd/daemon/learn.h"

#include "core/base/check.h"
#include "core/io/clock.h"
#include "core/io/sock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GIVE_UP_MS  30000u
#define CLIENTS_MAX 64u

#define SETTINGS "\x00\x00\x00\x04\x00\x00\x00\x00\x00"

/* What it says as soon as somebody connects, and what it answers to each question. */
struct manners {
    const char *first;
    struct span h2, h1; /* p NULL: it closes without a word */
};

/* An application in the test's own loop. */
struct client {
    struct loop_io io;
    struct world *world;
    char text[256];
    size_t len;
    int fd;
};

struct world {
    struct loop *loop;
    struct log log;
    struct learn *learn;
    struct loop_timer guard;
    const struct manners *app;
    struct addr addr;
    int fd;
    struct loop_io io;
    struct client client[CLIENTS_MAX];
    size_t client_count;
    unsigned asked_h2, asked_h1; /* whole questions */
    unsigned stop_at;            /* clients; 0: never */
    struct config_service service;
    struct config config;
    unsigned changes;
};

static void guard_expired(struct loop_timer *t)
{
    (void)t;
    fail_msg("nothing happened");
}

static void on_change(void *owner)
{
    struct world *w = owner;
    w->changes++;
    loop_stop(w->loop);
}

static void client_end(struct client *c)
{
    loop_io_set(c->world->loop, &c->io, false, false);
    (void)close(c->fd);
    c->fd = -1;
}

static void say(struct client *c, struct span answer)
{
    if (answer.len > 0) assert_int_equal(write(c->fd, answer.p, answer.len), (ssize_t)answer.len);
    client_end(c);
}

static void client_ready(struct loop_io *io, bool readable, bool writable)
{
    struct client *c = CONTAINER_OF(io, struct client, io);
    struct world *w = c->world;
    (void)readable;
    (void)writable;
    ssize_t got = read(c->fd, c->text + c->len, sizeof c->text - c->len);
    if (got <= 0) {
        client_end(c);
        return;
    }
    c->len += (size_t)got;
    struct span text = span_of(c->text, c->len);
    if (span_starts(text, SPAN_LIT("PROXY UNKNOWN\r\n"))) text = span_skip(text, 15);
    if (span_starts(text, SPAN_LIT("PRI * HTTP/2.0\r\n")) && text.len == 33) {
        w->asked_h2++;
        say(c, w->app->h2);
    } else if (span_starts(text, SPAN_LIT("OPTIONS * HTTP/1.1\r\nhost: web\r\n")) &&
               span_eq(span_skip(text, text.len - 4), SPAN_LIT("\r\n\r\n"))) {
        w->asked_h1++;
        say(c, w->app->h1);
    }
}

static void on_ready(struct loop_io *io, bool readable, bool writable)
{
    struct world *w = CONTAINER_OF(io, struct world, io);
    struct sock_accepted in[8];
    size_t count = 0;
    (void)readable;
    (void)writable;
    assert_true(sock_accept(w->fd, in, 8, &count) == ERR_AGAIN || count == 8);
    for (size_t i = 0; i < count; i++) {
        assert_true(w->client_count < CLIENTS_MAX);
        struct client *c = &w->client[w->client_count++];
        c->world = w;
        c->fd = in[i].fd;
        loop_io_init(&c->io, c->fd, client_ready);
        loop_io_set(w->loop, &c->io, true, false);
        size_t len = strlen(w->app->first);
        if (len > 0) assert_int_equal(write(c->fd, w->app->first, len), (ssize_t)len);
    }
    if (w->stop_at != 0 && w->client_count >= w->stop_at) loop_stop(w->loop);
}

static void app_start(struct world *w)
{
    assert_int_equal(sock_listen(&w->addr, 0, &w->fd), ERR_OK);
    w->addr = sock_local(w->fd);
    loop_io_init(&w->io, w->fd, on_ready);
    loop_io_set(w->loop, &w->io, true, false);
}

static void app_stop(struct world *w)
{
    loop_io_set(w->loop, &w->io, false, false);
    assert_int_equal(close(w->fd), 0);
    w->fd = -1;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->guard.on_expire = guard_expired;
    log_init(&w->log, -1, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    assert_int_equal(loop_new(&w->loop), ERR_OK);
    struct learn_options o = {.loop = w->loop, .log = &w->log, .on_change = on_change, .owner = w};
    assert_int_equal(learn_new(&o, &w->learn), ERR_OK);
    assert_int_equal(addr_parse(SPAN_LIT("127.0.0.33"), 1, &w->addr), ERR_OK);
    w->addr.port = 0;
    app_start(w);
    assert_int_equal(name_set(&w->service.name, SPAN_LIT("web")), ERR_OK);
    w->service.local.addr = w->addr;
    w->service.learn = true;
    w->config = (struct config){.service_count = 1, .service = &w->service};
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    learn_free(w->learn);
    if (w->fd >= 0) app_stop(w);
    for (size_t i = 0; i < w->client_count; i++)
        if (w->client[i].fd >= 0) client_end(&w->client[i]);
    loop_free(w->loop);
    free(w);
    return 0;
}

/* Until something is learned, or as many clients have come as stop_at says. */
static void run(struct world *w)
{
    loop_timer_set(w->loop, &w->guard, clock_mono_ms() + GIVE_UP_MS);
    loop_run(w->loop);
    loop_timer_clear(w->loop, &w->guard);
}

static void sync(struct world *w)
{
    assert_int_equal(learn_sync(w->learn, &w->config), ERR_OK);
}

static enum protocol_origin learned(struct world *w, enum service_protocol *out)
{
    return learn_of(w->learn, &w->service, out);
}

static void test_each_kind_of_application_is_known(void **state)
{
    static const struct {
        struct manners app;
        enum service_protocol want;
        unsigned h1; /* how often it was asked in HTTP/1.1 */
    } rows[] = {
        {{"", {"HTTP/1.1 400 Bad Request\r\n\r\n", 28}, {NULL, 0}}, PROTOCOL_HTTP, 0},
        {{"", {NULL, 0}, {"HTTP/1.1 200 OK\r\n\r\n", 19}}, PROTOCOL_HTTP, 1},
        {{"", {"<!DOCTYPE HTML>", 15}, {"HTTP/1.0 501 No\r\n\r\n", 19}}, PROTOCOL_HTTP, 1},
        {{"", {SETTINGS, 9}, {NULL, 0}}, PROTOCOL_H2, 1},
        {{"", {SETTINGS, 9}, {"HTTP/1.1 204 No\r\n\r\n", 19}}, PROTOCOL_HTTP, 1},
        {{"", {"-ERR\r\n", 6}, {"-ERR\r\n", 6}}, PROTOCOL_TCP, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum service_protocol protocol = PROTOCOL_GRPC;
        if (i > 0) assert_int_equal(setup(state), 0);
        struct world *w = *state;
        w->app = &rows[i].app;
        sync(w);
        assert_int_equal(learned(w, &protocol), ORIGIN_DEFAULT);
        assert_int_equal(protocol, PROTOCOL_HTTP);
        run(w);
        assert_int_equal(learned(w, &protocol), ORIGIN_LEARNED);
        assert_int_equal(protocol, rows[i].want);
        assert_int_equal(w->asked_h2, 1);
        assert_int_equal(w->asked_h1, rows[i].h1);
        assert_int_equal(w->changes, 1);
        if (i + 1 < ARRAY_LEN(rows)) teardown(state);
    }
}

static void test_a_server_that_speaks_first_is_tcp(void **state)
{
    static const struct manners mail = {.first = "220 mail\r\n"};
    struct world *w = *state;
    enum service_protocol protocol;
    w->app = &mail;
    sync(w);
    run(w);
    assert_int_equal(learned(w, &protocol), ORIGIN_LEARNED);
    assert_int_equal(protocol, PROTOCOL_TCP);
    assert_int_equal(w->client_count, 2);
}

static void test_who_says_nothing_stays_what_it_was_taken_for(void **state)
{
    static const struct manners mute = {.first = ""};
    struct world *w = *state;
    enum service_protocol protocol;
    w->app = &mute;
    w->stop_at = 2 * LEARN_TRIES_MAX;
    sync(w);
    run(w);
    assert_int_equal(learned(w, &protocol), ORIGIN_DEFAULT);
    assert_int_equal(protocol, PROTOCOL_HTTP);
    assert_int_equal(w->changes, 0);
}

static void test_who_is_not_up_yet_is_asked_when_it_is(void **state)
{
    static const struct manners http = {"", {"HTTP/1.1 400 Bad\r\n\r\n", 20}, {NULL, 0}};
    struct world *w = *state;
    enum service_protocol protocol;
    w->app = &http;
    app_stop(w);
    sync(w);
    app_start(w);
    learn_health(w->learn, &w->service.name, HEALTH_UP);
    run(w);
    assert_int_equal(learned(w, &protocol), ORIGIN_LEARNED);
    assert_int_equal(w->asked_h2, 1);
}

static void test_it_is_asked_once_and_again_when_it_was_down(void **state)
{
    static const struct manners http = {"", {"HTTP/1.1 400 Bad\r\n\r\n", 20}, {NULL, 0}};
    static const struct manners other = {"hello\r\n", {NULL, 0}, {NULL, 0}};
    struct world *w = *state;
    enum service_protocol protocol;
    w->app = &http;
    sync(w);
    run(w);
    sync(w);
    learn_health(w->learn, &w->service.name, HEALTH_UP);
    assert_int_equal(w->asked_h2, 1);
    w->app = &other;
    learn_health(w->learn, &w->service.name, HEALTH_DOWN);
    learn_health(w->learn, &w->service.name, HEALTH_UP);
    assert_int_equal(learned(w, &protocol), ORIGIN_LEARNED);
    assert_int_equal(protocol, PROTOCOL_HTTP); /* until it has said otherwise */
    run(w);
    assert_int_equal(learned(w, &protocol), ORIGIN_LEARNED);
    assert_int_equal(protocol, PROTOCOL_TCP);
    assert_int_equal(w->client_count, 3);
}

static void test_it_is_introduced_with_a_proxy_header_where_it_wants_one(void **state)
{
    static const struct manners http = {"", {"HTTP/1.1 400 Bad\r\n\r\n", 20}, {NULL, 0}};
    struct world *w = *state;
    w->app = &http;
    w->service.proxy_protocol = PROXY_PROTO_V1;
    sync(w);
    run(w);
    assert_true(span_starts(span_of(w->client[0].text, w->client[0].len),
                            SPAN_LIT("PROXY UNKNOWN\r\nPRI * ")));
}

static void test_who_is_configured_is_never_asked(void **state)
{
    static const struct manners http = {"", {"HTTP/1.1 400 Bad\r\n\r\n", 20}, {NULL, 0}};
    struct world *w = *state;
    enum service_protocol protocol;
    w->app = &http;
    w->service.learn = false;
    w->service.protocol = PROTOCOL_TCP;
    sync(w);
    assert_int_equal(learned(w, &protocol), ORIGIN_CONFIGURED);
    assert_int_equal(protocol, PROTOCOL_TCP);
    /* And no more, once the file says it. */
    w->service.learn = true;
    sync(w);
    run(w);
    w->service.learn = false;
    sync(w);
    assert_int_equal(learned(w, &protocol), ORIGIN_CONFIGURED);
    assert_int_equal(w->asked_h2, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_kind_of_application_is_known),
        TEST(test_a_server_that_speaks_first_is_tcp),
        TEST(test_who_says_nothing_stays_what_it_was_taken_for),
        TEST(test_who_is_not_up_yet_is_asked_when_it_is),
        TEST(test_it_is_asked_once_and_again_when_it_was_down),
        TEST(test_it_is_introduced_with_a_proxy_header_where_it_wants_one),
        TEST(test_who_is_configured_is_never_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
