#include "core/wire/h2.h"

#include "core/base/check.h"
#include "core/wire/h2_flood.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A client and a server joined in memory. */
struct side {
    struct h2 *h2;
    struct iobuf wire; /* what it wrote */
    struct arena arena;
    struct headers fields;
    struct h2_stream stream[4];
    struct iobuf out[4];
    size_t begun;
    unsigned heads, interims, ends, closes, goaways, sent_ends;
    bool refuse, keep; /* refuses streams; does not consume */
    enum h2_close how;
    struct h2_head last;
    char path[300], value[300];
    size_t cookie_bytes;
    size_t data_bytes, sent_bytes, trailers;
};

struct joined {
    struct iobuf_pool pool;
    struct h2_alloc alloc;
    struct side client, server;
    uint64_t now_ms;
};

static struct h2_stream *on_begin(void *owner)
{
    struct side *s = owner;
    if (s->refuse) return NULL;
    struct h2_stream *stream = &s->stream[s->begun % 4];
    struct iobuf *out = &s->out[s->begun % 4];
    s->begun++;
    if (stream->id != 0) return NULL;
    iobuf_clear(out);
    *stream = (struct h2_stream){.arena = &s->arena, .fields = &s->fields, .out = out, .owner = s};
    return stream;
}

static void on_head(void *owner, struct h2_stream *stream, bool ended)
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

static void on_interim(void *owner, struct h2_stream *stream)
{
    struct side *s = owner;
    (void)stream;
    s->interims++;
}

static void on_data(void *owner, struct h2_stream *stream, struct span data)
{
    struct side *s = owner;
    s->data_bytes += data.len;
    if (!s->keep) h2_consume(s->h2, stream, data.len);
}

static void on_end(void *owner, struct h2_stream *stream, struct headers *trailers)
{
    struct side *s = owner;
    (void)stream;
    s->ends++;
    if (trailers != NULL) s->trailers += trailers->count;
}

static void on_sent(void *owner, struct h2_stream *stream, size_t bytes)
{
    struct side *s = owner;
    (void)stream;
    s->sent_bytes += bytes;
}

static void on_sent_end(void *owner, struct h2_stream *stream)
{
    struct side *s = owner;
    (void)stream;
    s->sent_ends++;
}

static void on_close(void *owner, struct h2_stream *stream, enum h2_close how)
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

static const struct h2_events events = {on_begin,  on_head, on_interim,  on_data,
                                        on_end,    on_sent, on_sent_end, on_close,
                                        on_goaway, NULL,    on_write};

static void side_init(struct joined *j, struct side *s, bool server)
{
    struct h2_options o = {.server = server,
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
    assert_int_equal(h2_new(&o, &s->h2), ERR_OK);
}

static void side_fini(struct side *s)
{
    h2_free(s->h2);
    iobuf_clear(&s->wire);
    for (size_t i = 0; i < 4; i++)
        iobuf_clear(&s->out[i]);
    arena_fini(&s->arena);
}

/* One side's frames to the other; false: nothing to move. */
static bool move(struct joined *j, struct side *from, struct side *to, enum err *result)
{
    assert_int_equal(h2_pull(from->h2, 16384), ERR_OK);
    bool moved = from->wire.len > 0;
    while (from->wire.len > 0) {
        struct span part = iobuf_front(&from->wire);
        enum err err = h2_feed(to->h2, part, j->now_ms);
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

static int setup(void **state)
{
    struct joined *j = calloc(1, sizeof *j);
    j->now_ms = 1000;
    iobuf_pool_init(&j->pool, 16384, 4096);
    h2_alloc_init(&j->alloc, (size_t)64 << 20);
    side_init(j, &j->client, false);
    side_init(j, &j->server, true);
    assert_int_equal(pump(j), ERR_OK);
    *state = j;
    return 0;
}

static int teardown(void **state)
{
    struct joined *j = *state;
    side_fini(&j->client);
    side_fini(&j->server);
    h2_alloc_fini(&j->alloc);
    iobuf_pool_fini(&j->pool);
    free(j);
    return 0;
}

static enum err request(struct joined *j, size_t i, struct headers *fields, bool body)
{
    struct side *c = &j->client;
    struct h2_head head = {.method = body ? SPAN_LIT("POST") : SPAN_LIT("GET"),
                           .scheme = SPAN_LIT("http"),
                           .authority = SPAN_LIT("api.shop"),
                           .path = SPAN_LIT("/a?b"),
                           .headers = fields,
                           .content_length = -1};
    c->stream[i] =
        (struct h2_stream){.arena = &c->arena, .fields = &c->fields, .out = &c->out[i], .owner = c};
    return h2_request(c->h2, &c->stream[i], &head, body);
}

static void respond(struct joined *j, size_t i, unsigned status, bool body)
{
    struct headers none = {.count = 0};
    struct h2_head head = {.status = status, .headers = &none, .content_length = -1};
    assert_int_equal(h2_respond(j->server.h2, &j->server.stream[i], &head, body), ERR_OK);
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
    assert_int_equal(j->client.how, H2_CLOSED);
    assert_int_equal(j->server.sent_ends, 1);
    assert_int_equal(h2_streams(j->client.h2), 0);
    assert_int_equal(h2_streams(j->server.h2), 0);
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
    h2_resume(j->client.h2, &j->client.stream[0]);
    respond(j, 0, 200, true);
    put(&j->server.out[0], 300000);
    j->server.stream[0].out_ended = true;
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->server.data_bytes, 601000);
    assert_int_equal(j->server.trailers, 1);
    assert_int_equal(j->client.sent_bytes, 601000);
    assert_int_equal(j->client.data_bytes, 300000);
    assert_int_equal(j->client.ends, 1);
    assert_int_equal(j->client.how, H2_CLOSED);
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
    h2_consume(j->server.h2, &j->server.stream[0], LINK_STREAM_WINDOW_BYTES);
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
        h2_reset(j->client.h2, &j->client.stream[0], H2_CANCELLED);
        j->now_ms += 1000;
        assert_int_equal(pump(j), ERR_OK);
        assert_int_equal(j->server.how, H2_CANCELLED);
    }
}

static void test_refused_stream_says_so(void **state)
{
    struct joined *j = *state;
    struct headers h = {.count = 0};
    j->server.refuse = true;
    assert_int_equal(request(j, 0, &h, false), ERR_OK);
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->client.how, H2_REFUSED);
    assert_int_equal(j->server.heads, 0);
}

static void test_streams_over_the_limit_are_not_opened(void **state)
{
    struct joined *j = *state;
    struct headers h = {.count = 0};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(request(j, i, &h, false), ERR_OK);
    assert_false(h2_may_open(j->client.h2));
    j->client.stream[0].id = 0;
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->server.heads, 4);
}

static void test_interims_come_before_the_head(void **state)
{
    struct joined *j = *state;
    struct headers h = {.count = 0};
    struct h2_head early = {.status = 103, .headers = &h, .content_length = -1};
    assert_int_equal(request(j, 0, &h, false), ERR_OK);
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(h2_interim(j->server.h2, &j->server.stream[0], &early), ERR_OK);
    assert_int_equal(h2_interim(j->server.h2, &j->server.stream[0], &early), ERR_OK);
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
    assert_int_equal(h2_pull(j->client.h2, 16384), ERR_OK);
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
    size_t first = request_bytes(j, 0), second = request_bytes(j, 1);
    assert_true(second < first);
    /* A table of 4 KiB would have let the others go by then. */
    for (unsigned i = 2; i < 200; i++)
        assert_int_equal(request_bytes(j, i), second);
}

static void test_rapid_resets_end_the_connection(void **state)
{
    struct joined *j = *state;
    struct headers h = {.count = 0};
    unsigned resets = 0;
    for (; resets < 400 && j->client.goaways == 0; resets++) {
        if (request(j, 0, &h, false) != ERR_OK) break;
        assert_int_equal(pump(j), ERR_OK);
        h2_reset(j->client.h2, &j->client.stream[0], H2_CANCELLED);
        assert_int_equal(pump(j), ERR_OK);
    }
    assert_int_equal(j->client.goaways, 1);
    assert_true(resets < 300);
    assert_true(h2_done(j->server.h2));
}

static void test_late_resets_do_not(void **state)
{
    struct joined *j = *state;
    struct headers h = {.count = 0};
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(request(j, 0, &h, false), ERR_OK);
        assert_int_equal(pump(j), ERR_OK);
        j->now_ms += 25;
        h2_reset(j->client.h2, &j->client.stream[0], H2_CANCELLED);
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
        h2_reset(j->server.h2, &j->server.stream[at % 4], H2_CLOSED);
        h2_reset(j->client.h2, &j->client.stream[0], H2_CANCELLED);
        assert_int_equal(pump(j), ERR_OK);
    }
    assert_int_equal(j->client.goaways, 0);
}

static void test_pings_end_the_connection_when_they_flood(void **state)
{
    struct joined *j = *state;
    unsigned pings = 0;
    for (; pings < 400 && j->client.goaways == 0; pings++) {
        h2_ping(j->client.h2);
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
    h2_shutdown_notice(j->server.h2);
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->client.goaways, 1);
    assert_false(h2_may_open(j->client.h2));
    h2_goaway(j->server.h2);
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->client.closes, 0);
    respond(j, 0, 200, false);
    assert_int_equal(pump(j), ERR_OK);
    assert_int_equal(j->client.how, H2_CLOSED);
    assert_int_equal(j->client.heads, 1);
    assert_true(h2_done(j->server.h2));
}

static void test_lost_connection_tells_what_never_left(void **state)
{
    struct joined *j = *state;
    struct headers h = {.count = 0};
    assert_int_equal(request(j, 0, &h, false), ERR_OK);
    assert_int_equal(pump(j), ERR_OK);
    h2_lost(j->client.h2);
    assert_int_equal(j->client.how, H2_RESET);
    assert_int_equal(request(j, 1, &h, false), ERR_OK);
    h2_lost(j->client.h2);
    assert_int_equal(j->client.how, H2_REFUSED);
    assert_int_equal(j->client.closes, 2);
    h2_lost(j->server.h2);
    assert_int_equal(j->server.closes, 1);
}

static void test_garbage_is_a_protocol_error(void **state)
{
    struct joined *j = *state;
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct side fresh = {.begun = 0};
    side_init(j, &fresh, true);
    assert_int_equal(h2_feed(fresh.h2, span_str(text), 0), ERR_PROTOCOL);
    side_fini(&fresh);
}

static void test_flood_budget_refills_with_time(void **state)
{
    struct h2_flood f;
    unsigned taken = 0;
    (void)state;
    h2_flood_init(&f, NULL, 5000);
    while (h2_flood_spend(&f, 5000))
        taken++;
    assert_int_equal(taken, H2_FLOOD_BURST);
    assert_false(h2_flood_spend(&f, 5000 + H2_FLOOD_REFILL_MS - 1));
    assert_true(h2_flood_spend(&f, 5000 + H2_FLOOD_REFILL_MS));
    assert_false(h2_flood_spend(&f, 5000 + H2_FLOOD_REFILL_MS));
    for (taken = 0; h2_flood_spend(&f, 1000000000); taken++)
        continue;
    assert_int_equal(taken, H2_FLOOD_BURST);
}

static void test_allocator_reuses_and_bounds(void **state)
{
    struct h2_alloc a;
    (void)state;
    h2_alloc_init(&a, 100000);
    void *p = h2_alloc_get(&a, 100), *q = h2_alloc_get(&a, 65);
    h2_alloc_put(&a, p);
    assert_ptr_equal(h2_alloc_get(&a, 128), p);
    size_t mallocs = a.mallocs_total;
    p = h2_alloc_resize(&a, p, 129);
    assert_int_equal(a.mallocs_total, mallocs + 1);
    void *large = h2_alloc_get(&a, 50000);
    assert_non_null(large);
    assert_null(h2_alloc_get(&a, 50000));
    assert_null(h2_alloc_get(&a, SIZE_MAX));
    h2_alloc_put(&a, large);
    h2_alloc_put(&a, p);
    h2_alloc_put(&a, q);
    h2_alloc_put(&a, NULL);
    h2_alloc_fini(&a);
}

#define WITH_PAIR(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PAIR(test_request_and_response_pass_whole),
        WITH_PAIR(test_bodies_and_trailers_pass_both_ways),
        WITH_PAIR(test_unconsumed_bytes_hold_the_sender_back),
        WITH_PAIR(test_gone_streams_give_the_connection_window_back),
        WITH_PAIR(test_refused_stream_says_so),
        WITH_PAIR(test_streams_over_the_limit_are_not_opened),
        WITH_PAIR(test_interims_come_before_the_head),
        WITH_PAIR(test_heads_over_the_limit_are_cut_and_the_connection_lives),
        WITH_PAIR(test_cookie_crumbs_become_one_field),
        WITH_PAIR(test_fields_that_always_change_leave_the_others_in_the_table),
        WITH_PAIR(test_rapid_resets_end_the_connection),
        WITH_PAIR(test_late_resets_do_not),
        WITH_PAIR(test_resets_of_answered_streams_do_not),
        WITH_PAIR(test_pings_end_the_connection_when_they_flood),
        WITH_PAIR(test_graceful_end_lets_streams_finish),
        WITH_PAIR(test_lost_connection_tells_what_never_left),
        WITH_PAIR(test_garbage_is_a_protocol_error),
        cmocka_unit_test(test_flood_budget_refills_with_time),
        cmocka_unit_test(test_allocator_reuses_and_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
