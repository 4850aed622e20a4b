/* Connections in HTTP/2 to an application that rest between requests. */
#include "tests/unit/support_rig.h"

#include "core/wire/h2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

/* Longer than what counts as a rest (traffic/keepalive.h). */
#define FIRST_RESTS_MS 300
/* Shorter than what is allowed where nothing is known, and far longer than what it then is. */
#define OTHERS_REST_MS 3000

/* When nothing has come for so long it closes a connection without GOAWAY. */
struct app {
    _Atomic unsigned connections, answered, closed, left; /* left: closed by the caller */
};

struct talk { /* one connection */
    struct app *app;
    struct mux *mux;
    struct mux_alloc alloc;
    struct arena arena;
    struct headers fields, none;
    struct mux_stream stream;
    struct iobuf_pool pool;
    struct iobuf out;
    int fd;
};

static struct mux_stream *on_begin(void *owner)
{
    struct talk *t = owner;
    if (t->stream.id != 0) return NULL;
    t->stream = (struct mux_stream){
        .arena = &t->arena, .fields = &t->fields, .out = &t->out, .out_ended = true, .owner = t};
    return &t->stream;
}

static void on_head(void *owner, struct mux_stream *s, bool ended)
{
    struct talk *t = owner;
    struct mux_head head = {.status = 204, .headers = &t->none, .content_length = -1};
    if (!ended) return;
    /* Before the caller can have it. */
    atomic_fetch_add(&t->app->answered, 1);
    (void)!mux_respond(t->mux, s, &head, false);
}

static void on_data(void *owner, struct mux_stream *s, struct span data)
{
    mux_consume(((struct talk *)owner)->mux, s, data.len);
}

static void on_end(void *owner, struct mux_stream *s, struct headers *trailers)
{
    (void)trailers;
    on_head(owner, s, true);
}

static void on_close(void *owner, struct mux_stream *s, enum mux_close how)
{
    (void)owner;
    (void)s;
    (void)how;
}

static void on_write(void *owner, struct span bytes)
{
    struct talk *t = owner;
    (void)!send(t->fd, bytes.p, bytes.len, MSG_NOSIGNAL);
}

static const struct mux_events events = {.on_begin = on_begin,
                                         .on_head = on_head,
                                         .on_data = on_data,
                                         .on_end = on_end,
                                         .on_close = on_close,
                                         .on_write = on_write};

static void speak(struct talk *t, int rest_ms)
{
    char bytes[4096];
    for (;;) {
        struct pollfd p = {.fd = t->fd, .events = POLLIN};
        if (mux_pull(t->mux, 16384) != ERR_OK) return;
        if (poll(&p, 1, rest_ms) == 0) {
            atomic_fetch_add(&t->app->closed, 1);
            return;
        }
        ssize_t n = recv(t->fd, bytes, sizeof bytes, 0);
        if (n == 0) atomic_fetch_add(&t->app->left, 1);
        if (n <= 0 || mux_feed(t->mux, span_of(bytes, (size_t)n), 0) != ERR_OK) return;
    }
}

static void serve(int fd, void *arg)
{
    struct talk *t = calloc(1, sizeof *t);
    if (t == NULL) return;
    t->app = arg;
    t->fd = fd;
    bool first = atomic_fetch_add(&t->app->connections, 1) == 0;
    mux_alloc_init(&t->alloc, (size_t)1 << 20);
    arena_init(&t->arena, 4096, (size_t)1 << 20);
    iobuf_pool_init(&t->pool, 4096, 16);
    iobuf_init(&t->out, &t->pool);
    struct mux_options o = {.server = true,
                            .events = &events,
                            .owner = t,
                            .alloc = &t->alloc,
                            .streams_max = 1,
                            .stream_window_bytes = 65535,
                            .connection_window_bytes = 65535};
    if (h2_new(&o, &t->mux) == ERR_OK) {
        speak(t, first ? FIRST_RESTS_MS : OTHERS_REST_MS);
        mux_free(t->mux);
    }
    iobuf_clear(&t->out);
    iobuf_pool_fini(&t->pool);
    arena_fini(&t->arena);
    mux_alloc_fini(&t->alloc);
    free(t);
}

static void await(_Atomic unsigned *count)
{
    struct timespec ms = {.tv_nsec = 1000000};
    for (unsigned i = 0; i < 30000 && atomic_load(count) == 0; i++)
        nanosleep(&ms, NULL);
    assert_true(atomic_load(count) > 0);
}

static void ask(struct support_rig *r)
{
    support_rig_get(r, "/", "");
    assert_non_null(strstr(r->buf, "HTTP/1.1 204 "));
}

/* Closed by the application once, connections are closed before it does so from then on: nothing is
 * sent into one that is about to go. */
static void test_a_rest_that_was_too_long_is_learned(void **state)
{
    struct support_rig *r = *state;
    struct app a = {.connections = 0};
    support_app_stop(r->api_app);
    r->api_app = support_app_start(r->api_local, serve, &a);
    support_rig_rules(r, SUPPORT_RIG_PORT, "allow = [\"web\"]\nprotocol = \"h2\"");
    ask(r);
    await(&a.closed);
    ask(r);
    await(&a.left);
    assert_int_equal(a.closed, 1);
    ask(r);
    assert_int_equal(a.answered, 3);
    support_app_stop(r->api_app);
    r->api_app = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_rest_that_was_too_long_is_learned),
    };
    return cmocka_run_group_tests(tests, support_rig_setup, support_rig_teardown);
}
