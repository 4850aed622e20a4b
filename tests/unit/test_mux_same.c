#include "core/base/check.h"
#include "core/base/rng.h"
#include "core/base/strbuf.h"
#include "core/wire/h2.h"
#include "core/wire/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The same calls on a connection of either codec tell the same story. Random calls are made on a
 * client and a server of each; what every stream is told, side by side, must be equal. */

#define STREAM_WINDOW 65535u
#define STREAMS       6u
#define LOG_BYTES     65536u
#define SEEDS         60u
#define CALLS         400u

struct end {
    struct mux *mux;
    struct iobuf wire;
    struct mux_stream stream[STREAMS];
    struct arena arena;
    struct headers fields[STREAMS];
    struct iobuf out[STREAMS];
    struct strbuf log[STREAMS];
    char text[STREAMS][LOG_BYTES];
    size_t data[STREAMS], sent[STREAMS];
    bool answers, answered[STREAMS];
    int64_t length[STREAMS]; /* as announced, -1: none */
    unsigned goaways;
    size_t next; /* server: which stream begins */
};

struct world {
    struct iobuf_pool pool;
    struct mux_alloc alloc;
    struct end client, server;
    uint64_t now_ms;
};

static size_t index_of(const struct end *e, const struct mux_stream *s)
{
    return (size_t)(s - e->stream);
}

/* Consecutive data is one word, however it was cut. */
static struct strbuf *log_of(struct end *e, const struct mux_stream *s)
{
    size_t i = index_of(e, s);
    if (e->data[i] > 0) strbuf_fmt(&e->log[i], "data %zu\n", e->data[i]);
    e->data[i] = 0;
    return &e->log[i];
}

static void log_fields(struct strbuf *log, const struct headers *h)
{
    for (size_t i = 0; h != NULL && i < h->count; i++)
        strbuf_fmt(log, "  %.*s: %.*s\n", SPAN_ARG(h->field[i].name), SPAN_ARG(h->field[i].value));
}

static void log_head(struct strbuf *log, const char *what, const struct mux_head *h, bool ended)
{
    strbuf_fmt(log, "%s %u %.*s %.*s %.*s %.*s %.*s length %lld%s%s\n", what, h->status,
               SPAN_ARG(h->method), SPAN_ARG(h->scheme), SPAN_ARG(h->authority), SPAN_ARG(h->path),
               SPAN_ARG(h->protocol), (long long)h->content_length, ended ? " end" : "",
               h->too_large ? " too large" : "");
    log_fields(log, h->headers);
}

static struct mux_stream *on_begin(void *owner)
{
    struct end *e = owner;
    struct mux_stream *s = &e->stream[e->next];
    iobuf_clear(&e->out[e->next]);
    *s = (struct mux_stream){
        .arena = &e->arena, .fields = &e->fields[e->next], .out = &e->out[e->next], .owner = e};
    e->answered[e->next] = false;
    return s;
}

static void on_head(void *owner, struct mux_stream *s, bool ended)
{
    log_head(log_of(owner, s), "head", &s->head, ended);
}

static void on_interim(void *owner, struct mux_stream *s)
{
    log_head(log_of(owner, s), "interim", &s->head, false);
}

static void on_data(void *owner, struct mux_stream *s, struct span data)
{
    struct end *e = owner;
    e->data[index_of(e, s)] += data.len;
}

static void on_end(void *owner, struct mux_stream *s, struct headers *trailers)
{
    struct strbuf *log = log_of(owner, s);
    strbuf_fmt(log, "end%s\n", trailers != NULL ? " with trailers" : "");
    log_fields(log, trailers);
}

static void on_sent(void *owner, struct mux_stream *s, size_t bytes)
{
    struct end *e = owner;
    e->sent[index_of(e, s)] += bytes;
}

static void on_sent_end(void *owner, struct mux_stream *s)
{
    strbuf_fmt(log_of(owner, s), "sent end\n");
}

static void on_close(void *owner, struct mux_stream *s, enum mux_close how)
{
    struct end *e = owner;
    assert_int_equal(s->id, 0);
    /* How far a stream came that was cut depends on how its body was cut into frames. */
    if (how != MUX_CLOSED) e->sent[index_of(e, s)] = 0;
    strbuf_fmt(log_of(owner, s), "close %d\n", (int)how);
}

static void on_goaway(void *owner)
{
    ((struct end *)owner)->goaways++;
}

static void on_write(void *owner, struct span bytes)
{
    struct end *e = owner;
    assert_int_equal(iobuf_append_span(&e->wire, bytes), ERR_OK);
}

static const struct mux_events events = {.on_begin = on_begin,
                                         .on_head = on_head,
                                         .on_interim = on_interim,
                                         .on_data = on_data,
                                         .on_end = on_end,
                                         .on_sent = on_sent,
                                         .on_sent_end = on_sent_end,
                                         .on_close = on_close,
                                         .on_goaway = on_goaway,
                                         .on_write = on_write};

struct codec {
    enum err (*open)(const struct mux_options *o, struct mux **out);
};

static void end_init(struct world *w, struct end *e, bool server, struct codec codec)
{
    struct mux_options o = {.server = server,
                            .events = &events,
                            .owner = e,
                            .alloc = &w->alloc,
                            .streams_max = STREAMS,
                            .stream_window_bytes = STREAM_WINDOW,
                            .connection_window_bytes = 1u << 20,
                            .now_ms = w->now_ms};
    e->answers = server;
    iobuf_init(&e->wire, &w->pool);
    arena_init(&e->arena, 65536, (size_t)64 << 20);
    for (size_t i = 0; i < STREAMS; i++) {
        iobuf_init(&e->out[i], &w->pool);
        strbuf_init_fixed(&e->log[i], e->text[i], LOG_BYTES);
    }
    assert_int_equal(codec.open(&o, &e->mux), ERR_OK);
}

static void end_fini(struct end *e)
{
    mux_free(e->mux);
    iobuf_clear(&e->wire);
    for (size_t i = 0; i < STREAMS; i++)
        iobuf_clear(&e->out[i]);
    arena_fini(&e->arena);
}

static bool move(struct world *w, struct end *from, struct end *to)
{
    assert_int_equal(mux_pull(from->mux, 16384), ERR_OK);
    bool moved = from->wire.len > 0;
    while (from->wire.len > 0) {
        struct span part = iobuf_front(&from->wire);
        assert_int_equal(mux_feed(to->mux, part, w->now_ms), ERR_OK);
        iobuf_consume(&from->wire, part.len);
    }
    return moved;
}

static void pump(struct world *w)
{
    bool moved = true;
    while (moved) {
        moved = move(w, &w->client, &w->server);
        moved |= move(w, &w->server, &w->client);
    }
}

static struct world *world_new(struct codec codec)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->now_ms = 1000;
    iobuf_pool_init(&w->pool, 16384, 4096);
    mux_alloc_init(&w->alloc, (size_t)64 << 20);
    end_init(w, &w->client, false, codec);
    end_init(w, &w->server, true, codec);
    pump(w);
    return w;
}

static void world_free(struct world *w)
{
    end_fini(&w->client);
    end_fini(&w->server);
    mux_alloc_fini(&w->alloc);
    iobuf_pool_fini(&w->pool);
    free(w);
}

/* --- calls --- */

/* One call, the same for both worlds. */
struct call {
    unsigned what;
    size_t stream;
    uint32_t a, b, c;
};

static void fields_of(const struct call *c, struct headers *h)
{
    static const char *const name[] = {"x-a",    "user-agent",   "content-type", "cookie",
                                       "accept", "x-request-id", "parley-load",  "authorization"};
    static const char *const value[] = {"",    "1",   "text/html; charset=utf-8",
                                        "a=b", "*/*", "01ARZ3NDEKTSV4RRFFQ69G5FAV"};
    h->count = 0;
    h->bytes = 0;
    for (unsigned i = 0; i < c->b % 6; i++) {
        const char *n = name[(c->b >> 4 * i) % ARRAY_LEN(name)];
        const char *v = value[(c->c >> 3 * i) % ARRAY_LEN(value)];
        assert_int_equal(headers_add(h, span_str(n), span_str(v)), ERR_OK);
    }
}

static void fill(struct iobuf *out, size_t bytes)
{
    static const char block[4096];
    for (; bytes > 0;) {
        size_t len = bytes < sizeof block ? bytes : sizeof block;
        assert_int_equal(iobuf_append(out, block, len), ERR_OK);
        bytes -= len;
    }
}

static void call_request(struct world *w, const struct call *c)
{
    static const char *const method[] = {"GET", "POST", "HEAD", "BREW", "OPTIONS"};
    static const char *const path[] = {"/", "/a/b?c=d", "/1k", "/a-path-of-its-own/0123456789"};
    static struct headers h;
    struct end *e = &w->client;
    struct mux_stream *s = &e->stream[c->stream];
    if (s->id != 0 || w->server.stream[c->stream].id != 0 || !mux_may_open(e->mux)) return;
    fields_of(c, &h);
    bool body = c->a % 2 == 0;
    struct mux_head head = {.method = span_str(method[c->a / 2 % ARRAY_LEN(method)]),
                            .scheme = SPAN_LIT("http"),
                            .authority = SPAN_LIT("api.shop"),
                            .path = span_str(path[c->a / 16 % ARRAY_LEN(path)]),
                            .headers = &h,
                            .content_length = body && c->a % 3 == 0 ? (int64_t)(c->c % 3000) : -1};
    w->server.next = c->stream;
    iobuf_clear(&e->out[c->stream]);
    *s = (struct mux_stream){
        .arena = &e->arena, .fields = &e->fields[c->stream], .out = &e->out[c->stream], .owner = e};
    if (body && head.content_length > 0 && c->b % 4 != 0) {
        fill(s->out, (size_t)head.content_length);
        s->out_ended = true;
    }
    assert_int_equal(mux_request(e->mux, s, &head, body), ERR_OK);
    e->answered[c->stream] = body;
    e->length[c->stream] = head.content_length;
}

static void call_respond(struct world *w, const struct call *c)
{
    static const unsigned status[] = {200, 404, 503, 201};
    static struct headers h;
    struct end *e = &w->server;
    struct mux_stream *s = &e->stream[c->stream];
    if (s->id == 0 || e->answered[c->stream]) return;
    fields_of(c, &h);
    struct mux_head head = {.status = c->a % 5 == 0 ? 103 : status[c->a % ARRAY_LEN(status)],
                            .headers = &h,
                            .content_length = -1};
    if (head.status == 103) {
        assert_int_equal(mux_interim(e->mux, s, &head), ERR_OK);
        return;
    }
    e->length[c->stream] = -1;
    assert_int_equal(mux_respond(e->mux, s, &head, c->a % 3 != 0), ERR_OK);
    /* Without a body nothing more may be said: as one that is answered and ended. */
    s->out_ended = c->a % 3 == 0;
    e->answered[c->stream] = true;
}

/* More of a body, its end, or both. */
static void call_send(struct end *e, const struct call *c)
{
    struct mux_stream *s = &e->stream[c->stream];
    static struct headers trailers[STREAMS];
    if (s->id == 0 || !e->answered[c->stream] || s->out_ended) return;
    if (e->length[c->stream] > 0 && e->sent[c->stream] > 0) return;
    /* How much of a body that is too long is given out depends on its frames. */
    size_t most = e->length[c->stream] > 0 ? (size_t)e->length[c->stream] : 100000;
    size_t len = c->a % 4 == 0 ? 0 : c->a % most;
    /* The windows of a link are narrow at first, and grow; HTTP/2's are not. */
    if (e->sent[c->stream] + len > STREAM_WINDOW / (e->answers ? LINK_NARROW_PART : 1)) len = 0;
    if (s->out->len == 0) fill(s->out, len);
    s->out_ended = c->b % 3 == 0;
    if (s->out_ended && c->b % 2 == 0) {
        trailers[c->stream].count = 0;
        trailers[c->stream].bytes = 0;
        assert_int_equal(headers_add(&trailers[c->stream], SPAN_LIT("grpc-status"), SPAN_LIT("0")),
                         ERR_OK);
        s->out_trailers = &trailers[c->stream];
    }
    mux_resume(e->mux, s);
}

static void call_consume(struct end *e, const struct call *c)
{
    struct mux_stream *s = &e->stream[c->stream];
    mux_consume(e->mux, s, c->a % 3 == 0 ? s->unconsumed_bytes / 2 : s->unconsumed_bytes);
}

static void call_reset(struct end *e, const struct call *c)
{
    struct mux_stream *s = &e->stream[c->stream];
    if (s->id == 0 || c->b % 4 != 0) return;
    mux_reset(e->mux, s, c->a % 2 == 0 ? MUX_CANCELLED : MUX_RESET);
    e->sent[c->stream] = 0;
    strbuf_fmt(log_of(e, s), "reset\n");
}

static void make(struct world *w, const struct call *c)
{
    w->now_ms += 100;
    switch (c->what % 10) {
    case 0:
    case 1:
        call_request(w, c);
        break;
    case 2:
    case 3:
        call_respond(w, c);
        break;
    case 4:
        call_send(&w->client, c);
        break;
    case 5:
        call_send(&w->server, c);
        break;
    case 6:
        call_consume(&w->client, c);
        break;
    case 7:
        call_consume(&w->server, c);
        break;
    case 8:
        call_reset(c->a % 3 == 0 ? &w->server : &w->client, c);
        break;
    default:
        if (c->a % 8 == 0) mux_ping(w->client.mux);
        if (c->a % 512 == 1 && w->client.goaways == 0) mux_shutdown_notice(w->server.mux);
        break;
    }
    pump(w);
}

static void same(struct end *a, struct end *b)
{
    assert_int_equal(a->goaways, b->goaways);
    for (size_t i = 0; i < STREAMS; i++) {
        log_of(a, &a->stream[i]);
        log_of(b, &b->stream[i]);
        assert_true(strbuf_ok(&a->log[i]));
        assert_string_equal(a->text[i], b->text[i]);
        assert_int_equal(a->sent[i], b->sent[i]);
        if (a->stream[i].id != 0)
            assert_int_equal(a->stream[i].unconsumed_bytes, b->stream[i].unconsumed_bytes);
    }
    assert_int_equal(mux_streams(a->mux), mux_streams(b->mux));
}

static void test_the_same_calls_tell_the_same_story(void **state)
{
    size_t told = 0;
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct rng rng;
        rng_seed(&rng, seed);
        struct world *h2 = world_new((struct codec){h2_new});
        struct world *link = world_new((struct codec){link_new});
        for (unsigned i = 0; i < CALLS; i++) {
            struct call c = {.what = (unsigned)rng_below(&rng, 1000),
                             .stream = rng_below(&rng, STREAMS),
                             .a = (uint32_t)rng_u64(&rng),
                             .b = (uint32_t)rng_u64(&rng),
                             .c = (uint32_t)rng_u64(&rng)};
            make(h2, &c);
            make(link, &c);
            same(&h2->client, &link->client);
            same(&h2->server, &link->server);
            assert_int_equal(mux_may_open(h2->client.mux), mux_may_open(link->client.mux));
        }
        mux_lost(h2->client.mux);
        mux_lost(link->client.mux);
        same(&h2->client, &link->client);
        for (size_t i = 0; i < STREAMS; i++)
            told += link->client.log[i].len;
        world_free(h2);
        world_free(link);
    }
    /* It was no silence that was compared. */
    assert_true(told > SEEDS * 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_calls_tell_the_same_story),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
