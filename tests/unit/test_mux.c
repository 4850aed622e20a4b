#include "tests/unit/support_joined.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_request_and_response_pass_whole(void **state)
{
    struct support_joined *j = *state;
    struct headers h = {.count = 0};
    assert_int_equal(headers_add(&h, SPAN_LIT("x-a"), SPAN_LIT("yes")), ERR_OK);
    assert_int_equal(support_joined_request(j, 0, &h, false), ERR_OK);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    assert_int_equal(j->server.heads, 1);
    assert_int_equal(j->server.ends, 1);
    assert_string_equal(j->server.path, "/a?b");
    assert_string_equal(j->server.value, "yes");
    support_joined_respond(j, 0, 204, false);
    assert_int_equal(support_joined_pump(j), ERR_OK);
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
    struct support_joined *j = *state;
    struct headers h = {.count = 0}, trailers = {.count = 0};
    assert_int_equal(headers_add(&trailers, SPAN_LIT("x-sum"), SPAN_LIT("1")), ERR_OK);
    assert_int_equal(support_joined_request(j, 0, &h, true), ERR_OK);
    support_joined_put(&j->client.out[0], 600000);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    assert_int_equal(j->server.data_bytes, 600000);
    assert_int_equal(j->server.ends, 0);
    support_joined_put(&j->client.out[0], 1000);
    j->client.stream[0].out_ended = true;
    j->client.stream[0].out_trailers = &trailers;
    mux_resume(j->client.mux, &j->client.stream[0]);
    support_joined_respond(j, 0, 200, true);
    support_joined_put(&j->server.out[0], 300000);
    j->server.stream[0].out_ended = true;
    assert_int_equal(support_joined_pump(j), ERR_OK);
    assert_int_equal(j->server.data_bytes, 601000);
    assert_int_equal(j->server.trailers, 1);
    assert_int_equal(j->client.sent_bytes, 601000);
    assert_int_equal(j->client.data_bytes, 300000);
    assert_int_equal(j->client.ends, 1);
    assert_int_equal(j->client.how, MUX_CLOSED);
}

static void test_unconsumed_bytes_hold_the_sender_back(void **state)
{
    struct support_joined *j = *state;
    struct headers h = {.count = 0};
    j->server.keep = true;
    assert_int_equal(support_joined_request(j, 0, &h, true), ERR_OK);
    support_joined_put(&j->client.out[0], 1000000);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    assert_int_equal(j->server.data_bytes, LINK_STREAM_WINDOW_BYTES);
    mux_consume(j->server.mux, &j->server.stream[0], LINK_STREAM_WINDOW_BYTES);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    assert_int_equal(j->server.data_bytes, 2 * LINK_STREAM_WINDOW_BYTES);
}

static void test_gone_streams_give_the_connection_window_back(void **state)
{
    struct support_joined *j = *state;
    struct headers h = {.count = 0};
    j->server.keep = true;
    /* More than the connection window in all. */
    for (unsigned i = 0; i < LINK_WINDOW_BYTES / LINK_STREAM_WINDOW_BYTES + 10; i++) {
        j->server.data_bytes = 0;
        assert_int_equal(support_joined_request(j, 0, &h, true), ERR_OK);
        support_joined_put(&j->client.out[0], LINK_STREAM_WINDOW_BYTES);
        assert_int_equal(support_joined_pump(j), ERR_OK);
        assert_int_equal(j->server.data_bytes, LINK_STREAM_WINDOW_BYTES);
        mux_reset(j->client.mux, &j->client.stream[0], MUX_CANCELLED);
        j->now_ms += 1000;
        assert_int_equal(support_joined_pump(j), ERR_OK);
        assert_int_equal(j->server.how, MUX_CANCELLED);
    }
}

static void test_refused_stream_says_so(void **state)
{
    struct support_joined *j = *state;
    struct headers h = {.count = 0};
    j->server.refuse = true;
    assert_int_equal(support_joined_request(j, 0, &h, false), ERR_OK);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    assert_int_equal(j->client.how, MUX_REFUSED);
    assert_int_equal(j->server.heads, 0);
}

static void test_streams_over_the_limit_are_not_opened(void **state)
{
    struct support_joined *j = *state;
    struct headers h = {.count = 0};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(support_joined_request(j, i, &h, false), ERR_OK);
    assert_false(mux_may_open(j->client.mux));
    j->client.stream[0].id = 0;
    assert_int_equal(support_joined_pump(j), ERR_OK);
    assert_int_equal(j->server.heads, 4);
}

static void test_interims_come_before_the_head(void **state)
{
    struct support_joined *j = *state;
    struct headers h = {.count = 0};
    struct mux_head early = {.status = 103, .headers = &h, .content_length = -1};
    assert_int_equal(support_joined_request(j, 0, &h, false), ERR_OK);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    assert_int_equal(mux_interim(j->server.mux, &j->server.stream[0], &early), ERR_OK);
    assert_int_equal(mux_interim(j->server.mux, &j->server.stream[0], &early), ERR_OK);
    support_joined_respond(j, 0, 200, false);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    assert_int_equal(j->client.interims, 2);
    assert_int_equal(j->client.heads, 1);
}

static void test_heads_over_the_limit_are_cut_and_the_connection_lives(void **state)
{
    struct support_joined *j = *state;
    static struct headers big;
    struct headers h = {.count = 0};
    big.count = big.bytes = 0;
    while (headers_add(&big, SPAN_LIT("x-a"), SPAN_LIT("0123456789")) == ERR_OK)
        continue;
    big.field[5].name = SPAN_LIT("x-b");
    assert_int_equal(support_joined_request(j, 0, &big, false), ERR_OK);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    assert_false(j->server.last.too_large);
    static char value[HEADER_LINE_BYTES_MAX + 1];
    memset(value, 'v', sizeof value);
    assert_int_equal(headers_add(&h, SPAN_LIT("x-a"), span_of(value, sizeof value)), ERR_OK);
    assert_int_equal(support_joined_request(j, 1, &h, false), ERR_OK);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    assert_int_equal(j->server.heads, 2);
    assert_true(j->server.last.too_large);
    h.count = h.bytes = 0;
    assert_int_equal(support_joined_request(j, 2, &h, false), ERR_OK);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    assert_int_equal(j->server.heads, 3);
    assert_false(j->server.last.too_large);
}

static void test_cookie_crumbs_become_one_field(void **state)
{
    struct support_joined *j = *state;
    struct headers h = {.count = 0};
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(headers_add(&h, SPAN_LIT("cookie"), SPAN_LIT("abcdefgh=12345678")),
                         ERR_OK);
    assert_int_equal(support_joined_request(j, 0, &h, false), ERR_OK);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    assert_int_equal(j->server.last.headers->count, 1);
    assert_int_equal(j->server.cookie_bytes, 100 * 17 + 99 * 2);
}

/* Bytes on the wire of a request whose id is told nowhere else. */
static size_t request_bytes(struct support_joined *j, unsigned number)
{
    char id[27];
    struct headers h = {.count = 0};
    enum err result = ERR_OK;
    snprintf(id, sizeof id, "01ARZ3NDEKTSV4RRFFQ6%06u", number);
    assert_int_equal(headers_add(&h, SPAN_LIT("x-a"), SPAN_LIT("kept in the table")), ERR_OK);
    assert_int_equal(headers_add(&h, SPAN_LIT("parley-request-id"), span_str(id)), ERR_OK);
    assert_int_equal(support_joined_request(j, 0, &h, false), ERR_OK);
    assert_int_equal(mux_pull(j->client.mux, 16384), ERR_OK);
    size_t bytes = j->client.wire.len;
    support_joined_move(j, &j->client, &j->server, &result);
    assert_int_equal(result, ERR_OK);
    assert_string_equal(j->server.value, "kept in the table");
    support_joined_respond(j, 0, 204, false);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    j->server.begun = 0;
    return bytes;
}

static void test_fields_that_always_change_leave_the_others_in_the_table(void **state)
{
    struct support_joined *j = *state;
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
    struct support_joined *j = *state;
    struct headers h = {.count = 0};
    unsigned resets = 0;
    for (; resets < 400 && j->client.goaways == 0; resets++) {
        if (support_joined_request(j, 0, &h, false) != ERR_OK) break;
        assert_int_equal(support_joined_pump(j), ERR_OK);
        mux_reset(j->client.mux, &j->client.stream[0], MUX_CANCELLED);
        if (support_joined_pump(j) != ERR_OK) continue;
    }
    assert_int_equal(j->client.goaways, 1);
    assert_true(resets < 300);
    assert_true(mux_done(j->server.mux));
}

static void test_late_resets_do_not(void **state)
{
    struct support_joined *j = *state;
    struct headers h = {.count = 0};
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(support_joined_request(j, 0, &h, false), ERR_OK);
        assert_int_equal(support_joined_pump(j), ERR_OK);
        j->now_ms += 25;
        mux_reset(j->client.mux, &j->client.stream[0], MUX_CANCELLED);
        assert_int_equal(support_joined_pump(j), ERR_OK);
    }
    assert_int_equal(j->client.goaways, 0);
}

static void test_resets_of_answered_streams_do_not(void **state)
{
    struct support_joined *j = *state;
    struct headers h = {.count = 0};
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(support_joined_request(j, 0, &h, true), ERR_OK);
        assert_int_equal(support_joined_pump(j), ERR_OK);
        size_t at = j->server.begun - 1;
        support_joined_respond(j, at % 4, 200, false);
        assert_int_equal(support_joined_pump(j), ERR_OK);
        mux_reset(j->server.mux, &j->server.stream[at % 4], MUX_CLOSED);
        mux_reset(j->client.mux, &j->client.stream[0], MUX_CANCELLED);
        assert_int_equal(support_joined_pump(j), ERR_OK);
    }
    assert_int_equal(j->client.goaways, 0);
}

static void test_pings_end_the_connection_when_they_flood(void **state)
{
    struct support_joined *j = *state;
    unsigned pings = 0;
    for (; pings < 400 && j->client.goaways == 0; pings++) {
        mux_ping(j->client.mux);
        if (support_joined_pump(j) != ERR_OK) break;
    }
    assert_int_equal(j->client.goaways, 1);
    assert_true(pings < 300);
}

static void test_graceful_end_lets_streams_finish(void **state)
{
    struct support_joined *j = *state;
    struct headers h = {.count = 0};
    assert_int_equal(support_joined_request(j, 0, &h, false), ERR_OK);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    mux_shutdown_notice(j->server.mux);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    assert_int_equal(j->client.goaways, 1);
    assert_false(mux_may_open(j->client.mux));
    mux_goaway(j->server.mux);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    assert_int_equal(j->client.closes, 0);
    support_joined_respond(j, 0, 200, false);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    assert_int_equal(j->client.how, MUX_CLOSED);
    assert_int_equal(j->client.heads, 1);
    assert_true(mux_done(j->server.mux));
}

static void test_lost_connection_tells_what_never_left(void **state)
{
    struct support_joined *j = *state;
    struct headers h = {.count = 0};
    assert_int_equal(support_joined_request(j, 0, &h, false), ERR_OK);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    mux_lost(j->client.mux);
    assert_int_equal(j->client.how, MUX_RESET);
    assert_int_equal(support_joined_request(j, 1, &h, false), ERR_OK);
    mux_lost(j->client.mux);
    assert_int_equal(j->client.how, MUX_REFUSED);
    assert_int_equal(j->client.closes, 2);
    mux_lost(j->server.mux);
    assert_int_equal(j->server.closes, 1);
}

static void test_garbage_is_a_protocol_error(void **state)
{
    struct support_joined *j = *state;
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct support_side fresh = {.begun = 0};
    support_joined_side_init(j, &fresh, true);
    assert_int_equal(mux_feed(fresh.mux, span_str(text), 0), ERR_PROTOCOL);
    support_joined_side_fini(&fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SUPPORT_JOINED_BOTH(test_request_and_response_pass_whole),
        SUPPORT_JOINED_BOTH(test_bodies_and_trailers_pass_both_ways),
        SUPPORT_JOINED_BOTH(test_unconsumed_bytes_hold_the_sender_back),
        SUPPORT_JOINED_BOTH(test_gone_streams_give_the_connection_window_back),
        SUPPORT_JOINED_BOTH(test_refused_stream_says_so),
        SUPPORT_JOINED_BOTH(test_streams_over_the_limit_are_not_opened),
        SUPPORT_JOINED_BOTH(test_interims_come_before_the_head),
        SUPPORT_JOINED_BOTH(test_heads_over_the_limit_are_cut_and_the_connection_lives),
        SUPPORT_JOINED_BOTH(test_cookie_crumbs_become_one_field),
        SUPPORT_JOINED_BOTH(test_fields_that_always_change_leave_the_others_in_the_table),
        SUPPORT_JOINED_BOTH(test_rapid_resets_end_the_connection),
        SUPPORT_JOINED_BOTH(test_late_resets_do_not),
        SUPPORT_JOINED_BOTH(test_resets_of_answered_streams_do_not),
        SUPPORT_JOINED_BOTH(test_pings_end_the_connection_when_they_flood),
        SUPPORT_JOINED_BOTH(test_graceful_end_lets_streams_finish),
        SUPPORT_JOINED_BOTH(test_lost_connection_tells_what_never_left),
        SUPPORT_JOINED_BOTH(test_garbage_is_a_protocol_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
