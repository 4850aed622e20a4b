/* Health checks over HTTP/2 against an application in memory that answers, lies or misbehaves. */
#include "cmd/daemon/health_h2.h"

#include "core/base/check.h"
#include "core/wire/h2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define BYTES_MAX 262144u

struct bytes {
    size_t len;
    char p[BYTES_MAX];
};

struct answer {
    unsigned status;     /* 0: it resets the stream instead */
    const char *type;    /* NULL: none */
    const char *trailer; /* grpc-status; NULL: no trailers */
    const char *in_head; /* grpc-status in the head, which ends it; NULL: not */
    struct span body;
};

struct world {
    struct iobuf_pool pool;
    struct health_plan plan;
    struct health_h2 *check;
    struct bytes *to_app, *from_app;
    /* the application */
    struct mux_alloc alloc;
    struct mux *mux;
    struct mux_stream stream;
    struct arena arena;
    struct headers fields, head_fields, trailers;
    struct iobuf out;
    char asked[512]; /* "METHOD scheme authority path" and its fields, a line each */
    char body[256];
    size_t body_len;
    const struct answer *answer;
};

static void add(struct bytes *b, struct span s)
{
    assert_true(s.len <= sizeof b->p - b->len);
    memcpy(b->p + b->len, s.p, s.len);
    b->len += s.len;
}

static void check_writes(void *owner, struct span bytes)
{
    add(((struct world *)owner)->to_app, bytes);
}

static void app_writes(void *owner, struct span bytes)
{
    add(((struct world *)owner)->from_app, bytes);
}

static struct mux_stream *app_begin(void *owner)
{
    struct world *w = owner;
    w->stream =
        (struct mux_stream){.arena = &w->arena, .fields = &w->fields, .out = &w->out, .owner = w};
    return &w->stream;
}

static void answer_now(struct world *w)
{
    const struct answer *a = w->answer;
    struct mux_head head = {.status = a->status, .headers = &w->head_fields, .content_length = -1};
    w->head_fields.count = w->trailers.count = 0;
    if (a->status == 0) {
        mux_reset(w->mux, &w->stream, MUX_RESET);
        return;
    }
    if (a->type != NULL)
        assert_int_equal(headers_add(&w->head_fields, SPAN_LIT("content-type"), span_str(a->type)),
                         ERR_OK);
    if (a->in_head != NULL)
        assert_int_equal(
            headers_add(&w->head_fields, SPAN_LIT("grpc-status"), span_str(a->in_head)), ERR_OK);
    if (a->trailer != NULL)
        assert_int_equal(headers_add(&w->trailers, SPAN_LIT("grpc-status"), span_str(a->trailer)),
                         ERR_OK);
    assert_int_equal(iobuf_append_span(&w->out, a->body), ERR_OK);
    w->stream.out_ended = true;
    w->stream.out_trailers = a->trailer != NULL ? &w->trailers : NULL;
    assert_int_equal(mux_respond(w->mux, &w->stream, &head, a->in_head == NULL), ERR_OK);
}

static void app_head(void *owner, struct mux_stream *s, bool ended)
{
    struct world *w = owner;
    struct strbuf sb;
    strbuf_init_fixed(&sb, w->asked, sizeof w->asked);
    strbuf_fmt(&sb, "%.*s %.*s %.*s %.*s\n", SPAN_ARG(s->head.method), SPAN_ARG(s->head.scheme),
               SPAN_ARG(s->head.authority), SPAN_ARG(s->head.path));
    for (size_t i = 0; i < s->head.headers->count; i++)
        strbuf_fmt(&sb, "%.*s: %.*s\n", SPAN_ARG(s->head.headers->field[i].name),
                   SPAN_ARG(s->head.headers->field[i].value));
    if (ended) answer_now(w);
}

static void app_data(void *owner, struct mux_stream *s, struct span data)
{
    struct world *w = owner;
    assert_true(data.len <= sizeof w->body - w->body_len);
    memcpy(w->body + w->body_len, data.p, data.len);
    w->body_len += data.len;
    mux_consume(w->mux, s, data.len);
}

static void app_end(void *owner, struct mux_stream *s, struct headers *trailers)
{
    (void)s;
    (void)trailers;
    answer_now(owner);
}

static void app_close(void *owner, struct mux_stream *s, enum mux_close how)
{
    (void)owner;
    (void)s;
    (void)how;
}

static const struct mux_events app_events = {.on_begin = app_begin,
                                             .on_head = app_head,
                                             .on_data = app_data,
                                             .on_end = app_end,
                                             .on_close = app_close,
                                             .on_write = app_writes};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->to_app = calloc(1, sizeof *w->to_app);
    w->from_app = calloc(1, sizeof *w->from_app);
    assert_non_null(w->to_app);
    assert_non_null(w->from_app);
    iobuf_pool_init(&w->pool, 16384, 64);
    iobuf_init(&w->out, &w->pool);
    arena_init(&w->arena, 4096, 1u << 20);
    mux_alloc_init(&w->alloc, (size_t)4 << 20);
    w->plan.how = (struct config_health){
        .kind = CONFIG_HEALTH_GRPC, .text = "shop.Orders", .timeout_ms = 700};
    const struct mux_options o = {.server = true,
                                  .events = &app_events,
                                  .owner = w,
                                  .alloc = &w->alloc,
                                  .streams_max = 8,
                                  .stream_window_bytes = 65535,
                                  .connection_window_bytes = 65535,
                                  .now_ms = 1};
    assert_int_equal(h2_new(&o, &w->mux), ERR_OK);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    health_h2_free(w->check);
    mux_free(w->mux);
    iobuf_clear(&w->out);
    arena_fini(&w->arena);
    mux_alloc_fini(&w->alloc);
    iobuf_pool_fini(&w->pool);
    free(w->to_app);
    free(w->from_app);
    free(w);
    return 0;
}

static void start(struct world *w)
{
    const struct health_h2_options o = {.plan = &w->plan,
                                        .host = "127.0.0.1:50051",
                                        .pool = &w->pool,
                                        .on_write = check_writes,
                                        .owner = w,
                                        .now_ms = 1};
    health_h2_free(w->check);
    w->check = NULL;
    assert_int_equal(health_h2_new(&o, &w->check), ERR_OK);
}

static struct span take(struct bytes *b, char *copy)
{
    struct span s = span_of(copy, b->len);
    memcpy(copy, b->p, b->len);
    b->len = 0;
    return s;
}

/* Lets both speak until the check knows, the application's bytes in pieces of `piece`. */
static enum health_verdict run(struct world *w, size_t piece, char why[HEALTH_WHY_BYTES])
{
    enum health_verdict v = HEALTH_PENDING;
    char *copy = malloc(BYTES_MAX);
    assert_non_null(copy);
    for (unsigned turn = 0; turn < 8 && v == HEALTH_PENDING; turn++) {
        assert_int_equal(mux_feed(w->mux, take(w->to_app, copy), 1), ERR_OK);
        assert_int_equal(mux_pull(w->mux, BYTES_MAX / 2), ERR_OK);
        struct span in = take(w->from_app, copy);
        while (in.len > 0 && v == HEALTH_PENDING) {
            size_t len = in.len < piece ? in.len : piece;
            v = health_h2_feed(w->check, span_of(in.p, len), 1, why);
            in = span_skip(in, len);
        }
    }
    free(copy);
    return v;
}

#define SERVING                                                                                    \
    {                                                                                              \
        "\0\0\0\0\2\x08\x01", 7                                                                    \
    }
#define NOT_SERVING                                                                                \
    {                                                                                              \
        "\0\0\0\0\2\x08\x02", 7                                                                    \
    }
#define GRPC "application/grpc"

static void test_a_grpc_check_asks_for_its_service(void **state)
{
    struct world *w = *state;
    static const struct answer yes = {
        .status = 200, .type = GRPC "+proto", .trailer = "0", .body = SERVING};
    char why[HEALTH_WHY_BYTES] = "";
    w->answer = &yes;
    start(w);
    assert_int_equal(run(w, BYTES_MAX, why), HEALTH_PASSED);
    assert_string_equal(w->asked, "POST http 127.0.0.1:50051 /grpc.health.v1.Health/Check\n"
                                  "user-agent: parley-health/" PARLEY_VERSION "\n"
                                  "content-type: application/grpc\n"
                                  "te: trailers\n"
                                  "grpc-timeout: 700m\n");
    assert_int_equal(w->body_len, 18);
    assert_memory_equal(w->body, "\0\0\0\0\x0d\x0a\x0bshop.Orders", 18);
}

static void test_what_drips_in_byte_by_byte_is_the_same(void **state)
{
    struct world *w = *state;
    static const struct answer yes = {.status = 200, .type = GRPC, .trailer = "0", .body = SERVING};
    char why[HEALTH_WHY_BYTES] = "";
    w->answer = &yes;
    w->plan.how.text = "";
    start(w);
    assert_int_equal(run(w, 1, why), HEALTH_PASSED);
    assert_int_equal(w->body_len, 5);
}

static void test_each_failure_has_its_words(void **state)
{
    struct world *w = *state;
    static const struct {
        struct answer answer;
        const char *why;
    } cases[] = {
        {{200, GRPC, "0", NULL, NOT_SERVING}, "NOT_SERVING"},
        {{200, GRPC, "0", NULL, {"\0\0\0\0\2\x08\x03", 7}}, "SERVICE_UNKNOWN"},
        {{200, GRPC, "0", NULL, {"\0\0\0\0\0", 5}}, "UNKNOWN"},
        {{200, GRPC, "0", NULL, {"", 0}}, "not an answer to a gRPC health check"},
        {{200, GRPC, "0", NULL, {"hello world", 11}}, "not an answer to a gRPC health check"},
        {{200, GRPC, NULL, NULL, SERVING}, "it ends without a grpc-status"},
        {{200, GRPC, "14", NULL, SERVING}, "grpc-status 14"},
        {{200, GRPC, NULL, "5", {"", 0}}, "it knows no service \"shop.Orders\""},
        {{200, GRPC, NULL, "12", {"", 0}}, "it has no grpc.health.v1.Health"},
        {{200, GRPC, NULL, "0", {"", 0}}, "not an answer to a gRPC health check"},
        {{200, "text/html", NULL, NULL, {"ok", 2}}, "not a gRPC answer"},
        {{200, NULL, "0", NULL, SERVING}, "not a gRPC answer"},
        {{404, GRPC, "0", NULL, SERVING}, "status 404"},
        {{0, NULL, NULL, NULL, {"", 0}}, "it resets the stream"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char why[HEALTH_WHY_BYTES] = "";
        void *again = w;
        w->answer = &cases[i].answer;
        start(w);
        assert_int_equal(run(w, BYTES_MAX, why), HEALTH_FAILED);
        assert_string_equal(why, cases[i].why);
        assert_int_equal(teardown(&again), 0);
        assert_int_equal(setup(state), 0);
        w = *state;
    }
}

static void test_a_get_judges_the_status(void **state)
{
    struct world *w = *state;
    static const struct answer no_content = {.status = 204}, broken = {.status = 503};
    char why[HEALTH_WHY_BYTES] = "";
    w->plan.how.kind = CONFIG_HEALTH_HTTP;
    w->plan.how.text = "/healthz?full=1";
    w->answer = &no_content;
    start(w);
    assert_int_equal(run(w, BYTES_MAX, why), HEALTH_PASSED);
    assert_string_equal(w->asked, "GET http 127.0.0.1:50051 /healthz?full=1\n"
                                  "user-agent: parley-health/" PARLEY_VERSION "\n");
    void *again = w;
    assert_int_equal(teardown(&again), 0);
    assert_int_equal(setup(state), 0);
    w = *state;
    w->plan.how.kind = CONFIG_HEALTH_HTTP;
    w->plan.how.text = "/";
    w->answer = &broken;
    start(w);
    assert_int_equal(run(w, BYTES_MAX, why), HEALTH_FAILED);
    assert_string_equal(why, "status 503");
}

/* A body without an end: the message of a check is small. */
static void test_a_body_that_is_too_long_fails_at_once(void **state)
{
    struct world *w = *state;
    static char much[60000];
    static const struct answer long_one = {
        .status = 200, .type = GRPC, .trailer = "0", .body = {much, sizeof much}};
    char why[HEALTH_WHY_BYTES] = "";
    w->answer = &long_one;
    start(w);
    assert_int_equal(run(w, 4096, why), HEALTH_FAILED);
    assert_string_equal(why, "not an answer to a gRPC health check");
}

/* Frames that are allowed and say nothing: the bytes have a bound, whatever they are. */
static void test_frames_that_say_nothing_have_an_end(void **state)
{
    struct world *w = *state;
    static const char settings[] = "\0\0\0\4\0\0\0\0";      /* and a NUL: 9 bytes */
    static const char unknown[] = "\0\x0f\xff\x0a\0\0\0\0"; /* of a type of nobody's */
    static char payload[0xfff];
    char why[HEALTH_WHY_BYTES] = "";
    size_t fed = sizeof settings;
    start(w);
    enum health_verdict v = health_h2_feed(w->check, span_of(settings, sizeof settings), 1, why);
    while (v == HEALTH_PENDING && fed < 2 * HEALTH_H2_BYTES_MAX) {
        v = health_h2_feed(w->check, span_of(unknown, sizeof unknown), 1, why);
        if (v == HEALTH_PENDING)
            v = health_h2_feed(w->check, span_of(payload, sizeof payload), 1, why);
        fed += sizeof unknown + sizeof payload;
    }
    assert_int_equal(v, HEALTH_FAILED);
    assert_true(fed <= HEALTH_H2_BYTES_MAX + 2 * (sizeof unknown + sizeof payload));
}

static void test_what_is_not_http2_fails_at_once(void **state)
{
    struct world *w = *state;
    static const struct span said[] = {
        {"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n", 47},
        {"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", 30}};
    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        char why[HEALTH_WHY_BYTES] = "";
        start(w);
        assert_int_equal(health_h2_feed(w->check, said[i], 1, why), HEALTH_FAILED);
        assert_string_equal(why, "not an HTTP/2 answer");
        assert_int_equal(health_h2_feed(w->check, said[i], 1, why), HEALTH_FAILED);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_grpc_check_asks_for_its_service),
        CASE(test_what_drips_in_byte_by_byte_is_the_same),
        CASE(test_each_failure_has_its_words),
        CASE(test_a_get_judges_the_status),
        CASE(test_a_body_that_is_too_long_fails_at_once),
        CASE(test_frames_that_say_nothing_have_an_end),
        CASE(test_what_is_not_http2_fails_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
