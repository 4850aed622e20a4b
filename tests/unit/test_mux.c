#include "core/wire/mux.h"

#include "core/base/check.h"
#include "core/wire/h2.h"
#include "core/wire/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A client and a server joined in memory, by either codec. */
struct side {
    struct mux *mux;
    struct iobuf wire; /* what it wrote */
    struct arena arena;
    struct headers fields;
    struct mux_stream stream[4];
    struct iobuf out[4];
    size_t begun;
    unsigned heads, interims, ends, closes, goaways, sent_ends;
    bool refuse, keep; /* refuses streams; does not consume */
    enum mux_close how;
    struct mux_head last;
    char path[300], value[300];
    size_t cookie_bytes;
    size_t data_bytes, sent_bytes, trailers;
};

struct joined {
    enum err (*codec)(const struct mux_options *o, struct mux **out);
    struct iobuf_pool pool;
    struct mux_alloc alloc;
    struct side client, server;
    uint64_t now_ms;
};

static struct mux_stream *on_begin(void *owner)
{
    struct side *s = owner;
    if (s->refuse) return NULL;
    struct mux_stream *stream = &s->stream[s->begun % 4];
    struct iobuf *out = &s->out[s->begun % 4];
    s->begun++;
    if (stream->id != 0) return NULL;
    iobuf_clear(out);
    *stream = (struct mux_stream){.arena = &s->arena, .fields = &s->fields, .out = out, .owner = s};
    return stream;
}

static void on_head(void *owner, struct mux_stream *stream, bool ended)
{
    struct side *s = owner;
    s->heads++;
    s->ends += ended;
    s->last = stream->head;
    snprintf(s->path, sizeof s->path, "%.*s", SPAN_ARG(stream->head.path));
    const struct header *f = headers_find(stream->head.headers, "x-a");
    struct span value = f != NULL ? f->value : SPAN_LIT("");
    snprintf(s->value, sizeof s->value, "%.*s", SPAN_ARG(value));
    f = headers_find(stream->head.headers, "cookie");
    s->cookie_bytes = f != NULL ? f->value.len : 0;
}

static void on_interim(void *owner, struct mux_stream *stream)
{
    struct side *s = owner;
    (void)stream;
    s->interims++;
}

static void on_data(void *owner, struct mux_stream *stream, struct span data)
{
    struct side *s = owner;
    s->data_bytes += data.len;
    if (!s->keep) mux_consume(s->mux, stream, data.len);
}

static void on_end(void *owner, struct mux_stream *stream, struct headers *trailers)
{
    struct side *s = owner;
    (void)stream;
    s->ends++;
    if (trailers != NULL) s->trailers += trailers->count;
}

static void on_sent(void *owner, struct mux_stream *stream, size_t bytes)
{
    struct side *s = owner;
    (void)stream;
    s->sent_bytes += bytes;
}

static void on_sent_end(void *owner, struct mux_stream *stream)
{
    struct side *s = owner;
    (void)stream;
    s->sent_ends++;
}

static void on_close(void *owner, struct mux_stream *stream, enum mux_close how)
{
    struct side *s = owner;
    (void)stream;
    s->closes++;
    s->how = how;
}

static void on_goaway(void *owner)
{
    ((struct side *)owner)->goaways++;
}

static void on_write(void *owner, struct span bytes)
{
    struct side *s = owner;
    assert_int_equal(iobuf_append_span(&s->wire, bytes), ERR_OK);
}

static const struct mux_events events = {on_begin,  on_head, on_interim,  on_data,
                                         on_end,    on_sent, on_sent_end, on_close,
                                         on_goaway, NULL,    on_write};

static void side_init(struct joined *j, struct side *s, bool server)
{
    struct mux_options o = {.server = server,
                            .events = &events,
                            .owner = s,
                            .alloc = &j->alloc,
                            .streams_max = 4,
                            .stream_window_bytes = LINK_STREAM_WINDOW_BYTES,
                            .connection_window_bytes = LINK_WINDOW_BYTES,
                            .now_ms = j->now_ms};
    iobuf_init(&s->wire, &j->pool);
    arena_init(&s->arena, 4096, (size_t)1 << 20);
    for (size_t i = 0; i < 4; i++)
        iobuf_init(&s->out[i], &j->pool);
    assert_int_equal(j->codec(&o, &s->mux), ERR_OK);
}

static void side_fini(struct side *s)
{
    mux_free(s->mux);
    iobuf_clear(&s->wire);
    for (size_t i = 0; i < 4; i++)
        iobuf_clear(&s->out[i]);
    arena_fini(&s->arena);
}

/* One side's frames to the other; false: nothing to move. */
static bool move(struct joined *j, struct side *from, struct side *to, enum err *result)
{
    assert_int_equal(mux_pull(from->mux, 16384), ERR_OK);
    bool moved = from->wire.len > 0;
    while (from->wire.len > 0) {
        struct span part = iobuf_front(&from->wire);
        enum err err = mux_feed(to->mux, part, j->now_ms);
        if (err != ERR_OK) *result = err;
        iobuf_consume(&from->wire, part.len);
    }
    return moved;
}

static enum err pump(struct joined *j)
{
    enum err result = ERR_OK;
    for (bool moved = true; moved;) {
        moved = move(j, &j->client, &j->server, &result);
        moved |= move(j, &j->server, &j->client, &result);
    }
    return result;
}

static int setup(void **state, enum err (*codec)(const struct mux_options *o, struct mux **out))
{
    struct joined *j = calloc(1, sizeof *j);
    j->codec = codec;
    j->now_ms = 1000;
    iobuf_pool_init(&j->pool, 16384, 4096);
    mux_alloc_init(&j->alloc, (size_t)64 << 20);
    side_init(j, &j->client, false);
    side_init(j, &j->server, true);
    assert_int_equal(pump(j), ERR_OK);
    *state = j;
    return 0;
}

static int setup_h2(void **state)
{
    return setup(state, h2_new);
}

static int setup_link(void **state)
{
    return setup(state, link_new);
}

static int teardown(void **state)
{
    struct joined *j = *state;
    side_fini(&j->client);
    side_fini(&j->server);
    mux_alloc_fini(&j->alloc);
    iobuf_pool_fini(&j->pool);
    free(j);
    return 0;
}

static enum err request(struct joined *j, size_t i, struct headers *fields, bool body)
{
    struct side *c = &j->client;
    struct mux_head head = {.method = body ? SPAN_LIT("POST") : SPAN_LIT("GET"),
                            .scheme = SPAN_LIT("http"),
                            .authority = SPAN_LIT("api.shop"),
                            .path = SPAN_LIT("/a?b"),
                            .headers = fields,
                            .content_length = -1};
    c->stream[i] = (struct mux_stream){
        .arena = &c->arena, .fields = &c->fields, .out = &c->out[i], .owner = c};
    return mux_request(c->mux, &c->stream[i], &head, body);
}

static void respond(struct joined *j, size_t i, unsigned status, bool body)
{
    struct headers none = {.count = 0};
    struct mux_head head = {.status = status, .headers = &none, .content_length = -1};
    assert_int_equal(mux_respond(j->server.mux, &j->server.stream[i], &head, body), ERR_OK);
}

static void put(struct iobuf *b, size_t bytes)
{
    char block[1000] = {0};
    for (; bytes > 0;) {
        size_t len = bytes < sizeof block ? bytes : sizeof block;
        assert_int_equal(iobuf_append(b, block, len), ERR_OK);
        bytes -= len;
    }
}

static void test_request_and_response_pass_whole(void **state)
{
    struct joined *j = *state;
    struct headers h = {.count = 0};
    assert_int_equal(headers_add(&h, SPAN_LIT("x-a"), SPAN_LIT("yes")), ERR_OK);
    assert_int_equal(request(j, 0, &h, false), ERR_OK);
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->server.heads, 1);
    assert_int_equal(j->server.ends, 1);
    assert_string_equal(j->server.path, "/a?b");
    assert_string_equal(j->server.value, "yes");
    respond(j, 0, 204, false);
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->client.heads, 1);
    assert_int_equal(j->client.last.status, 204);
    assert_int_equal(j->client.closes, 1);
    assert_int_equal(j->client.how, MUX_CLOSED);
    assert_int_equal(j->server.sent_ends, 1);
    assert_int_equal(mux_streams(j->client.mux), 0);
    assert_int_equal(mux_streams(j->server.mux), 0);
}

static void test_bodies_and_trailers_pass_both_ways(void **state)
{
    struct joined *j = *state;
    struct headers h = {.count = 0}, trailers = {.count = 0};
    assert_int_equal(headers_add(&trailers, SPAN_LIT("x-sum"), SPAN_LIT("1")), ERR_OK);
    assert_int_equal(request(j, 0, &h, true), ERR_OK);
    put(&j->client.out[0], 600000);
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->server.data_bytes, 600000);
    assert_int_equal(j->server.ends, 0);
    put(&j->client.out[0], 1000);
    j->client.stream[0].out_ended = true;
    j->client.stream[0].out_trailers = &trailers;
    mux_resume(j->client.mux, &j->client.stream[0]);
    respond(j, 0, 200, true);
    put(&j->server.out[0], 300000);
    j->server.stream[0].out_ended = true;
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->server.data_bytes, 601000);
    assert_int_equal(j->server.trailers, 1);
    assert_int_equal(j->client.sent_bytes, 601000);
    assert_int_equal(j->client.data_bytes, 300000);
    assert_int_equal(j->client.ends, 1);
    assert_int_equal(j->client.how, MUX_CLOSED);
}

static void test_unconsumed_bytes_hold_the_sender_back(void **state)
{
    struct joined *j = *state;
    struct headers h = {.count = 0};
    j->server.keep = true;
    assert_int_equal(request(j, 0, &h, true), ERR_OK);
    put(&j->client.out[0], 1000000);
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->server.data_bytes, LINK_STREAM_WINDOW_BYTES);
    mux_consume(j->server.mux, &j->server.stream[0], LINK_STREAM_WINDOW_BYTES);
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->server.data_bytes, 2 * LINK_STREAM_WINDOW_BYTES);
}

static void test_gone_streams_give_the_connection_window_back(void **state)
{
    struct joined *j = *state;
    struct headers h = {.count = 0};
    j->server.keep = true;
    /* More than the connection window in all. */
    for (unsigned i = 0; i < 100; i++) {
        j->server.data_bytes = 0;
        assert_int_equal(request(j, 0, &h, true), ERR_OK);
        put(&j->client.out[0], 250000);
        assert_int_equal(pump(j), ERR_OK);
        assert_int_equal(j->server.data_bytes, 250000);
        mux_reset(j->client.mux, &j->client.stream[0], MUX_CANCELLED);
        j->now_ms += 1000;
        assert_int_equal(pump(j), ERR_OK);
        assert_int_equal(j->server.how, MUX_CANCELLED);
    }
}

static void test_refused_stream_says_so(void **state)
{
    struct joined *j = *state;
    struct headers h = {.count = 0};
    j->server.refuse = true;
    assert_int_equal(request(j, 0, &h, false), ERR_OK);
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->client.how, MUX_REFUSED);
    assert_int_equal(j->server.heads, 0);
}

static void test_streams_over_the_limit_are_not_opened(void **state)
{
    struct joined *j = *state;
    struct headers h = {.count = 0};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(request(j, i, &h, false), ERR_OK);
    assert_false(mux_may_open(j->client.mux));
    j->client.stream[0].id = 0;
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->server.heads, 4);
}

static void test_interims_come_before_the_head(void **state)
{
    struct joined *j = *state;
    struct headers h = {.count = 0};
    struct mux_head early = {.status = 103, .headers = &h, .content_length = -1};
    assert_int_equal(request(j, 0, &h, false), ERR_OK);
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(mux_interim(j->server.mux, &j->server.stream[0], &early), ERR_OK);
    assert_int_equal(mux_interim(j->server.mux, &j->server.stream[0], &early), ERR_OK);
    respond(j, 0, 200, false);
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->client.interims, 2);
    assert_int_equal(j->client.heads, 1);
}

static void test_heads_over_the_limit_are_cut_and_the_connection_lives(void **state)
{
    struct joined *j = *state;
    static struct headers big;
    struct headers h = {.count = 0};
    big.count = big.bytes = 0;
    while (headers_add(&big, SPAN_LIT("x-a"), SPAN_LIT("0123456789")) == ERR_OK)
        continue;
    big.field[5].name = SPAN_LIT("x-b");
    assert_int_equal(request(j, 0, &big, false), ERR_OK);
    assert_int_equal(pump(j), ERR_OK);
    assert_false(j->server.last.too_large);
    static char value[HEADER_LINE_BYTES_MAX + 1];
    memset(value, 'v', sizeof value);
    assert_int_equal(headers_add(&h, SPAN_LIT("x-a"), span_of(value, sizeof value)), ERR_OK);
    assert_int_equal(request(j, 1, &h, false), ERR_OK);
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->server.heads, 2);
    assert_true(j->server.last.too_large);
    h.count = h.bytes = 0;
    assert_int_equal(request(j, 2, &h, false), ERR_OK);
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->server.heads, 3);
    assert_false(j->server.last.too_large);
}

static void test_cookie_crumbs_become_one_field(void **state)
{
    struct joined *j = *state;
    struct headers h = {.count = 0};
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(headers_add(&h, SPAN_LIT("cookie"), SPAN_LIT("abcdefgh=12345678")),
                         ERR_OK);
    assert_int_equal(request(j, 0, &h, false), ERR_OK);
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->server.last.headers->count, 1);
    assert_int_equal(j->server.cookie_bytes, 100 * 17 + 99 * 2);
}

/* Bytes on the wire of a request whose id is told nowhere else. */
static size_t request_bytes(struct joined *j, unsigned number)
{
    char id[27];
    struct headers h = {.count = 0};
    enum err result = ERR_OK;
    snprintf(id, sizeof id, "01ARZ3NDEKTSV4RRFFQ6%06u", number);
    assert_int_equal(headers_add(&h, SPAN_LIT("x-a"), SPAN_LIT("kept in the table")), ERR_OK);
    assert_int_equal(headers_add(&h, SPAN_LIT("parley-request-id"), span_str(id)), ERR_OK);
    assert_int_equal(request(j, 0, &h, false), ERR_OK);
    assert_int_equal(mux_pull(j->client.mux, 16384), ERR_OK);
    size_t bytes = j->client.wire.len;
    move(j, &j->client, &j->server, &result);
    assert_int_equal(result, ERR_OK);
    assert_string_equal(j->server.value, "kept in the table");
    respond(j, 0, 204, false);
    assert_int_equal(pump(j), ERR_OK);
    j->server.begun = 0;
    return bytes;
}

static void test_fields_that_always_change_leave_the_others_in_the_table(void **state)
{
    struct joined *j = *state;
    /* HPACK keeps what it meets once, the link frame what it meets twice. */
    size_t first = request_bytes(j, 0);
    (void)request_bytes(j, 1);
    size_t warm = request_bytes(j, 2);
    assert_true(warm < first);
    /* A table of 4 KiB would have let the others go by then. */
    for (unsigned i = 3; i < 200; i++)
        assert_int_equal(request_bytes(j, i), warm);
}

static void test_rapid_resets_end_the_connection(void **state)
{
    struct joined *j = *state;
    struct headers h = {.count = 0};
    unsigned resets = 0;
    for (; resets < 400 && j->client.goaways == 0; resets++) {
        if (request(j, 0, &h, false) != ERR_OK) break;
        assert_int_equal(pump(j), ERR_OK);
        mux_reset(j->client.mux, &j->client.stream[0], MUX_CANCELLED);
        if (pump(j) != ERR_OK) continue;
    }
    assert_int_equal(j->client.goaways, 1);
    assert_true(resets < 300);
    assert_true(mux_done(j->server.mux));
}

static void test_late_resets_do_not(void **state)
{
    struct joined *j = *state;
    struct headers h = {.count = 0};
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(request(j, 0, &h, false), ERR_OK);
        assert_int_equal(pump(j), ERR_OK);
        j->now_ms += 25;
        mux_reset(j->client.mux, &j->client.stream[0], MUX_CANCELLED);
        assert_int_equal(pump(j), ERR_OK);
    }
    assert_int_equal(j->client.goaways, 0);
}

static void test_resets_of_answered_streams_do_not(void **state)
{
    struct joined *j = *state;
    struct headers h = {.count = 0};
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(request(j, 0, &h, true), ERR_OK);
        assert_int_equal(pump(j), ERR_OK);
        size_t at = j->server.begun - 1;
        respond(j, at % 4, 200, false);
        assert_int_equal(pump(j), ERR_OK);
        mux_reset(j->server.mux, &j->server.stream[at % 4], MUX_CLOSED);
        mux_reset(j->client.mux, &j->client.stream[0], MUX_CANCELLED);
        assert_int_equal(pump(j), ERR_OK);
    }
    assert_int_equal(j->client.goaways, 0);
}

static void test_pings_end_the_connection_when_they_flood(void **state)
{
    struct joined *j = *state;
    unsigned pings = 0;
    for (; pings < 400 && j->client.goaways == 0; pings++) {
        mux_ping(j->client.mux);
        if (pump(j) != ERR_OK) break;
    }
    assert_int_equal(j->client.goaways, 1);
    assert_true(pings < 300);
}

static void test_graceful_end_lets_streams_finish(void **state)
{
    struct joined *j = *state;
    struct headers h = {.count = 0};
    assert_int_equal(request(j, 0, &h, false), ERR_OK);
    assert_int_equal(pump(j), ERR_OK);
    mux_shutdown_notice(j->server.mux);
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->client.goaways, 1);
    assert_false(mux_may_open(j->client.mux));
    mux_goaway(j->server.mux);
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->client.closes, 0);
    respond(j, 0, 200, false);
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->client.how, MUX_CLOSED);
    assert_int_equal(j->client.heads, 1);
    assert_true(mux_done(j->server.mux));
}

static void test_lost_connection_tells_what_never_left(void **state)
{
    struct joined *j = *state;
    struct headers h = {.count = 0};
    assert_int_equal(request(j, 0, &h, false), ERR_OK);
    assert_int_equal(pump(j), ERR_OK);
    mux_lost(j->client.mux);
    assert_int_equal(j->client.how, MUX_RESET);
    assert_int_equal(request(j, 1, &h, false), ERR_OK);
    mux_lost(j->client.mux);
    assert_int_equal(j->client.how, MUX_REFUSED);
    assert_int_equal(j->client.closes, 2);
    mux_lost(j->server.mux);
    assert_int_equal(j->server.closes, 1);
}

static void test_garbage_is_a_protocol_error(void **state)
{
    struct joined *j = *state;
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct side fresh = {.begun = 0};
    side_init(j, &fresh, true);
    assert_int_equal(mux_feed(fresh.mux, span_str(text), 0), ERR_PROTOCOL);
    side_fini(&fresh);
}

#define WITH_BOTH(name)                                                                            \
    {#name " (h2)", name, setup_h2, teardown, NULL},                                               \
    {                                                                                              \
#name " (link)", name, setup_link, teardown, NULL                                          \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BOTH(test_request_and_response_pass_whole),
        WITH_BOTH(test_bodies_and_trailers_pass_both_ways),
        WITH_BOTH(test_unconsumed_bytes_hold_the_sender_back),
        WITH_BOTH(test_gone_streams_give_the_connection_window_back),
        WITH_BOTH(test_refused_stream_says_so),
        WITH_BOTH(test_streams_over_the_limit_are_not_opened),
        WITH_BOTH(test_interims_come_before_the_head),
        WITH_BOTH(test_heads_over_the_limit_are_cut_and_the_connection_lives),
        WITH_BOTH(test_cookie_crumbs_become_one_field),
        WITH_BOTH(test_fields_that_always_change_leave_the_others_in_the_table),
        WITH_BOTH(test_rapid_resets_end_the_connection),
        WITH_BOTH(test_late_resets_do_not),
        WITH_BOTH(test_resets_of_answered_streams_do_not),
        WITH_BOTH(test_pings_end_the_connection_when_they_flood),
        WITH_BOTH(test_graceful_end_lets_streams_finish),
        WITH_BOTH(test_lost_connection_tells_what_never_left),
        WITH_BOTH(test_garbage_is_a_protocol_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
