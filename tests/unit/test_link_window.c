#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/wire/link.h"
#include "core/wire/link_impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* What a reader that is slow makes its link hold, and what one that is fast is given. A client and
 * a server of as many streams and bytes as in use, joined. */

#define STREAMS LINK_STREAMS_MAX
#define NARROW  (LINK_STREAM_WINDOW_BYTES / LINK_NARROW_PART)
#define WIDE    LINK_STREAM_WINDOW_BYTES

struct end {
    struct mux *mux;
    struct iobuf wire;
    struct arena arena;
    struct mux_stream stream[STREAMS];
    struct headers fields;
    struct iobuf out[STREAMS];
    size_t next;       /* server: which stream begins */
    size_t leave;      /* bytes that a reader takes at most */
    size_t got, heads; /* of all streams */
};

struct joined {
    struct iobuf_pool pool;
    struct mux_alloc alloc;
    struct end client, server;
};

static struct mux_stream *on_begin(void *owner)
{
    struct end *e = owner;
    size_t i = e->next++;
    e->stream[i] = (struct mux_stream){
        .arena = &e->arena, .fields = &e->fields, .out = &e->out[i], .owner = e};
    return &e->stream[i];
}

static void on_head(void *owner, struct mux_stream *s, bool ended)
{
    struct end *e = owner;
    (void)s;
    (void)ended;
    e->heads++;
}

static void on_data(void *owner, struct mux_stream *s, struct span data)
{
    struct end *e = owner;
    size_t take = data.len < e->leave ? data.len : e->leave;
    e->got += data.len;
    e->leave -= take;
    mux_consume(e->mux, s, take);
}

static void on_end(void *owner, struct mux_stream *s, struct headers *trailers)
{
    (void)owner;
    (void)s;
    (void)trailers;
}

static void on_close(void *owner, struct mux_stream *s, enum mux_close how)
{
    (void)owner;
    (void)s;
    (void)how;
}

static void on_write(void *owner, struct span bytes)
{
    struct end *e = owner;
    assert_int_equal(iobuf_append_span(&e->wire, bytes), ERR_OK);
}

static const struct mux_events events = {.on_begin = on_begin,
                                         .on_head = on_head,
                                         .on_data = on_data,
                                         .on_end = on_end,
                                         .on_close = on_close,
                                         .on_write = on_write};

static void end_init(struct joined *j, struct end *e, bool server)
{
    struct mux_options o = {.server = server,
                            .events = &events,
                            .owner = e,
                            .alloc = &j->alloc,
                            .streams_max = STREAMS,
                            .stream_window_bytes = LINK_STREAM_WINDOW_BYTES,
                            .connection_window_bytes = LINK_WINDOW_BYTES,
                            .now_ms = 1000};
    iobuf_init(&e->wire, &j->pool);
    arena_init(&e->arena, 65536, (size_t)16 << 20);
    for (size_t i = 0; i < STREAMS; i++)
        iobuf_init(&e->out[i], &j->pool);
    e->leave = SIZE_MAX;
    assert_int_equal(link_new(&o, &e->mux), ERR_OK);
}

static void end_fini(struct end *e)
{
    mux_lost(e->mux);
    mux_free(e->mux);
    for (size_t i = 0; i < STREAMS; i++)
        iobuf_clear(&e->out[i]);
    iobuf_clear(&e->wire);
    arena_fini(&e->arena);
}

/* What `from` has to say goes to `to`. */
static bool carry(struct end *from, struct end *to)
{
    assert_int_equal(mux_pull(from->mux, 65536), ERR_OK);
    bool some = from->wire.len > 0;
    while (from->wire.len > 0) {
        struct span front = iobuf_front(&from->wire);
        assert_int_equal(mux_feed(to->mux, front, 2000), ERR_OK);
        iobuf_consume(&from->wire, front.len);
    }
    return some;
}

static void pump(struct joined *j)
{
    for (bool more = true; more;) {
        more = carry(&j->client, &j->server);
        more |= carry(&j->server, &j->client);
    }
}

static int setup(void **state)
{
    struct joined *j = calloc(1, sizeof *j);
    assert_non_null(j);
    iobuf_pool_init(&j->pool, 16384, 65536);
    mux_alloc_init(&j->alloc, (size_t)16 << 20);
    end_init(j, &j->client, false);
    end_init(j, &j->server, true);
    pump(j);
    *state = j;
    return 0;
}

static int teardown(void **state)
{
    struct joined *j = *state;
    end_fini(&j->client);
    end_fini(&j->server);
    mux_alloc_fini(&j->alloc);
    iobuf_pool_fini(&j->pool);
    free(j);
    return 0;
}

static void more(struct end *e, size_t i, size_t bytes, bool last)
{
    static const char block[16384];
    for (size_t len; bytes > 0; bytes -= len) {
        len = bytes < sizeof block ? bytes : sizeof block;
        assert_int_equal(iobuf_append(&e->out[i], block, len), ERR_OK);
    }
    e->stream[i].out_ended = last;
}

/* A request of `sent` bytes and a response of `bytes`, which ends if `last`. */
static void exchange(struct joined *j, size_t sent, size_t bytes, bool last)
{
    static struct headers none;
    struct mux_head request = {.method = SPAN_LIT("POST"),
                               .scheme = SPAN_LIT("http"),
                               .authority = SPAN_LIT("a"),
                               .path = SPAN_LIT("/"),
                               .headers = &none,
                               .content_length = -1};
    struct mux_head response = {.status = 200, .headers = &none, .content_length = -1};
    size_t i = j->server.next;
    struct mux_stream *s = &j->client.stream[i];
    *s = (struct mux_stream){.arena = &j->client.arena,
                             .fields = &j->client.fields,
                             .out = &j->client.out[i],
                             .owner = &j->client};
    more(&j->client, i, sent, true);
    assert_int_equal(mux_request(j->client.mux, s, &request, sent > 0), ERR_OK);
    pump(j);
    assert_int_equal(j->server.next, i + 1);
    more(&j->server, i, bytes, last);
    assert_int_equal(mux_respond(j->server.mux, &j->server.stream[i], &response, true), ERR_OK);
    pump(j);
}

static void test_a_link_that_is_new_holds_part_of_a_window_of_each_slow_reader(void **state)
{
    struct joined *j = *state;
    j->client.leave = 0;
    for (size_t i = 0; i < STREAMS; i++) {
        exchange(j, 0, 4 * WIDE, false);
        assert_int_equal(j->client.got, (i + 1) * NARROW);
    }
    assert_int_equal(j->client.heads, STREAMS);
}

static void test_one_that_read_all_makes_the_next_response_wide(void **state)
{
    struct joined *j = *state;
    exchange(j, 0, WIDE, true);
    assert_int_equal(j->client.got, WIDE);
    j->client.leave = j->client.got = 0;
    exchange(j, 0, 2 * WIDE, false);
    assert_int_equal(j->client.got, WIDE);
    /* And that one, which was not read, makes the next narrow again. */
    exchange(j, 0, 2 * WIDE, false);
    assert_int_equal(j->client.got, WIDE + NARROW);
}

static void test_short_responses_say_nothing_of_their_reader(void **state)
{
    struct joined *j = *state;
    for (unsigned i = 0; i < 100; i++)
        exchange(j, 0, 1024, true);
    j->client.leave = j->client.got = 0;
    exchange(j, 0, 2 * WIDE, false);
    assert_int_equal(j->client.got, NARROW);
}

/* What a kernel takes of a response is no sign of who reads it. */
static void test_a_reader_that_stops_soon_is_given_no_more(void **state)
{
    struct joined *j = *state;
    j->client.leave = 3 * (size_t)WIDE;
    exchange(j, 0, 100 * WIDE, false);
    assert_true(j->client.stream[0].unconsumed_bytes <= NARROW);
    assert_int_equal(j->client.stream[0].window, NARROW);
}

static void test_a_reader_that_keeps_up_is_given_the_most(void **state)
{
    struct joined *j = *state;
    exchange(j, 0, 100 * WIDE, false);
    assert_int_equal(j->client.got, 100 * WIDE);
    assert_int_equal(j->client.stream[0].window, LINK_STREAM_WINDOW_BYTES_MAX);
    j->client.leave = j->client.got = 0;
    more(&j->server, 0, 100 * WIDE, false);
    mux_resume(j->server.mux, &j->server.stream[0]);
    pump(j);
    assert_true(j->client.got <= LINK_STREAM_WINDOW_BYTES_MAX);
    assert_true(j->client.got > LINK_STREAM_WINDOW_BYTES_MAX / 2);
}

/* Grown as far as all together may, then read no more: who comes behind them is answered. */
static void test_streams_that_grew_leave_the_others_their_windows(void **state)
{
    struct joined *j = *state;
    size_t most = (LINK_WINDOW_BYTES - STREAMS * WIDE) / 2, grown = 0;
    for (size_t i = 0; i < STREAMS - 1; i++) {
        j->client.leave = SIZE_MAX;
        exchange(j, 0, 64 * WIDE, false);
        j->client.leave = 0;
        more(&j->server, i, 16 * WIDE, false);
        mux_resume(j->server.mux, &j->server.stream[i]);
        pump(j);
        size_t window = j->client.stream[i].window;
        if (window > WIDE) grown += window - WIDE;
    }
    assert_true(grown > most / 2);
    assert_true(grown <= most);
    j->client.leave = SIZE_MAX;
    j->client.got = 0;
    exchange(j, 0, 10 * WIDE, true);
    assert_int_equal(j->client.got, 10 * WIDE);
}

static void test_what_one_grew_by_comes_back_when_it_ends(void **state)
{
    struct joined *j = *state;
    for (size_t i = 0; i < STREAMS; i++) {
        exchange(j, 0, 64 * WIDE, true);
        assert_int_equal(j->client.got, 64 * WIDE);
        j->client.got = 0;
        assert_int_equal(j->client.stream[i].window, LINK_STREAM_WINDOW_BYTES_MAX);
    }
}

static void test_a_request_has_a_whole_window_and_grows_too(void **state)
{
    struct joined *j = *state;
    j->server.leave = 0;
    exchange(j, 4 * WIDE, 0, true);
    assert_int_equal(j->server.got, WIDE);
    j->server.leave = SIZE_MAX;
    exchange(j, 64 * WIDE, 0, true);
    assert_int_equal(j->server.got, 65 * WIDE);
    assert_int_equal(j->server.stream[1].window, LINK_STREAM_WINDOW_BYTES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_a_link_that_is_new_holds_part_of_a_window_of_each_slow_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_that_read_all_makes_the_next_response_wide, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_short_responses_say_nothing_of_their_reader, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_reader_that_stops_soon_is_given_no_more, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_reader_that_keeps_up_is_given_the_most, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_streams_that_grew_leave_the_others_their_windows,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_one_grew_by_comes_back_when_it_ends, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_request_has_a_whole_window_and_grows_too, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
