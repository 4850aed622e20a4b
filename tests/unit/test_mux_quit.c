#include "core/wire/mux_quit.h"

#include "core/wire/link.h"
#include "tests/unit/support_joined.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* An answer that is due at once, and a PING that has just gone without this one. */
#define TOLD_MS (2 * MUX_QUIT_WAIT_MS + 1)

static void ask(struct support_joined *j, size_t i, bool body)
{
    struct headers h = {.count = 0};
    assert_int_equal(support_joined_request(j, i, &h, body), ERR_OK);
}

/* A millisecond passes, at the client too. */
static void step(struct support_joined *j)
{
    j->now_ms++;
    (void)mux_tick(j->client.mux, j->now_ms);
}

static void pass(struct support_joined *j, unsigned ms)
{
    for (unsigned i = 0; i < ms; i++) {
        step(j);
        assert_int_equal(support_joined_pump(j), ERR_OK);
    }
}

static void cancel(struct support_joined *j, size_t i)
{
    mux_cancel(j->client.mux, &j->client.stream[i]);
    assert_int_equal(j->client.stream[i].id, 0);
    /* It is its owner's again. */
    iobuf_clear(&j->client.out[i]);
}

static void nothing_is_left(struct support_joined *j)
{
    assert_int_equal(j->client.goaways, 0);
    assert_int_equal(mux_streams(j->server.mux), 0);
    assert_false(mux_wants_tick(j->client.mux));
    for (size_t i = 0; i < 4; i++)
        ask(j, i, false);
}

static void test_whoever_gives_up_at_once_floods_nobody(void **state)
{
    struct support_joined *j = *state;
    unsigned asked = 0;
    for (unsigned ms = 0; ms < 20000; ms++) {
        for (unsigned i = 0; i < 4 && mux_may_open(j->client.mux); i++, asked++) {
            ask(j, asked % 4, false);
            if (ms % 3 != 0) assert_int_equal(support_joined_pump(j), ERR_OK);
            cancel(j, asked % 4);
        }
        pass(j, 1);
    }
    pass(j, TOLD_MS);
    assert_true(asked > 1000);
    assert_true(j->server.closes > 500);
    assert_int_equal(j->server.how, MUX_CANCELLED);
    nothing_is_left(j);
}

/* What took long to come comes at once. */
static void test_a_peer_that_slept_is_not_flooded(void **state)
{
    struct support_joined *j = *state;
    for (unsigned ms = 0; ms < 20000; ms++) {
        for (size_t i = 0; mux_may_open(j->client.mux); i++) {
            ask(j, i % 4, false);
            assert_int_equal(mux_pull(j->client.mux, 16384), ERR_OK);
            cancel(j, i % 4);
        }
        step(j);
        assert_int_equal(mux_pull(j->client.mux, 16384), ERR_OK);
    }
    pass(j, TOLD_MS);
    assert_int_equal(j->server.closes, 4);
    nothing_is_left(j);
}

static void test_the_peer_is_told_soon(void **state)
{
    struct support_joined *j = *state;
    for (unsigned after = 0; after <= MUX_QUIT_WAIT_MS + 1; after++) {
        unsigned closes = j->server.closes, ms = 0;
        ask(j, 0, false);
        ask(j, 1, true);
        pass(j, 1);
        cancel(j, 0);
        pass(j, after);
        cancel(j, 1);
        for (; j->server.closes < closes + 2 && ms < 1000; ms++)
            pass(j, 1);
        assert_in_range(ms, 1, TOLD_MS);
        assert_int_equal(j->server.how, MUX_CANCELLED);
    }
    nothing_is_left(j);
}

static void test_one_that_ends_by_itself_is_not_reset(void **state)
{
    struct support_joined *j = *state;
    ask(j, 0, false);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    cancel(j, 0);
    support_joined_respond(j, 0, 200, false);
    pass(j, 2);
    assert_int_equal(mux_streams(j->server.mux), 0);
    assert_int_equal(j->server.how, MUX_CLOSED);
    for (unsigned ms = 0; ms < TOLD_MS; ms++) {
        step(j);
        assert_false(mux_wants_write(j->client.mux));
    }
    assert_int_equal(j->client.heads, 0);
    assert_int_equal(j->client.closes, 0);
    nothing_is_left(j);
}

static void test_one_that_was_answered_a_while_ago_is_reset_at_once(void **state)
{
    struct support_joined *j = *state;
    ask(j, 0, false);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    support_joined_respond(j, 0, 200, true);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    j->now_ms += MUX_QUIT_WAIT_MS;
    support_joined_put(&j->server.out[0], 1000);
    mux_resume(j->server.mux, &j->server.stream[0]);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    assert_int_equal(j->client.data_bytes, 1000);
    cancel(j, 0);
    assert_false(mux_wants_tick(j->client.mux));
    assert_int_equal(support_joined_pump(j), ERR_OK);
    assert_int_equal(j->server.how, MUX_CANCELLED);
    nothing_is_left(j);
}

/* More than the connection's window in all, either way. */
static void test_bodies_that_were_under_way_give_their_windows_back(void **state)
{
    struct support_joined *j = *state;
    const size_t most = LINK_STREAM_WINDOW_BYTES, least = most / LINK_NARROW_PART;
    const unsigned rounds = (unsigned)(LINK_WINDOW_BYTES / least) + 10;
    j->server.keep = j->client.keep = true;
    for (unsigned i = 0; i < rounds; i++) {
        size_t at = j->server.begun % 4;
        unsigned closes = j->server.closes;
        j->server.data_bytes = j->client.data_bytes = 0;
        j->server.sent_bytes = 0;
        ask(j, at, true);
        support_joined_put(&j->client.out[at], most - 1000);
        assert_int_equal(support_joined_pump(j), ERR_OK);
        assert_int_equal(j->server.data_bytes, most - 1000);
        support_joined_put(&j->client.out[at], 1000);
        mux_resume(j->client.mux, &j->client.stream[at]);
        cancel(j, at);
        support_joined_respond(j, at, 200, true);
        support_joined_put(&j->server.out[at], 2 * most);
        mux_resume(j->server.mux, &j->server.stream[at]);
        for (unsigned k = 0; k < 3; k++) {
            pass(j, 1);
            assert_in_range(j->server.sent_bytes, least, most);
            j->now_ms += MUX_QUIT_WAIT_MS;
        }
        assert_int_equal(j->server.data_bytes, most - 1000);
        assert_int_equal(j->client.data_bytes, 0);
        assert_int_equal(j->client.heads, 0);
        assert_int_equal(j->server.closes, closes + 1);
        assert_int_equal(j->server.how, MUX_CANCELLED);
    }
    nothing_is_left(j);
}

static void test_a_lost_connection_forgets_them(void **state)
{
    struct support_joined *j = *state;
    ask(j, 0, true);
    ask(j, 1, true);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    cancel(j, 0);
    step(j);
    cancel(j, 1);
    mux_lost(j->client.mux);
    assert_int_equal(j->client.closes, 0);
}

static void test_a_server_that_goes_waits_for_them(void **state)
{
    struct support_joined *j = *state;
    ask(j, 0, false);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    mux_shutdown_notice(j->server.mux);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    mux_goaway(j->server.mux);
    cancel(j, 0);
    pass(j, 1);
    assert_false(mux_done(j->server.mux));
    pass(j, TOLD_MS);
    assert_int_equal(j->server.how, MUX_CANCELLED);
    assert_true(mux_done(j->server.mux));
    assert_true(mux_done(j->client.mux));
}

/* The owner's own PINGs neither make it early nor late. */
static void test_pings_are_told_apart(void **state)
{
    struct support_joined *j = *state;
    ask(j, 0, false);
    mux_ping(j->client.mux);
    assert_int_equal(mux_pull(j->client.mux, 16384), ERR_OK);
    cancel(j, 0);
    assert_int_equal(mux_tick(j->client.mux, j->now_ms), UINT64_MAX);
    mux_ping(j->client.mux);
    assert_int_equal(mux_tick(j->client.mux, j->now_ms), UINT64_MAX);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    assert_int_equal(mux_tick(j->client.mux, j->now_ms), j->now_ms + MUX_QUIT_WAIT_MS);
    pass(j, TOLD_MS);
    nothing_is_left(j);
}

/* The PING is made when there is memory for it. */
static void test_a_ping_that_had_no_memory_is_made_later(void **state)
{
    struct support_joined *j = *state;
    void *held[64];
    size_t count = 0, most = j->alloc.bytes_max;
    ask(j, 0, false);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    cancel(j, 0);
    j->alloc.bytes_max = 0;
    for (size_t len = MUX_ALLOC_BLOCK_MAX; len >= 64; len /= 2)
        while ((held[count] = mux_alloc_get(&j->alloc, len)) != NULL)
            assert_in_range(++count, 1, ARRAY_LEN(held) - 1);
    assert_int_equal(mux_tick(j->client.mux, j->now_ms), UINT64_MAX);
    assert_true(mux_starved(j->client.mux));
    while (count > 0)
        mux_alloc_put(&j->alloc, held[--count]);
    j->alloc.bytes_max = most;
    pass(j, TOLD_MS);
    assert_int_equal(j->server.closes, 1);
    assert_int_equal(j->server.how, MUX_CANCELLED);
    nothing_is_left(j);
}

static void test_room_is_bounded(void **state)
{
    struct mux_alloc alloc;
    struct mux_quit q;
    (void)state;
    mux_alloc_init(&alloc, 1 << 16);
    mux_quit_init(&q, &alloc);
    assert_false(mux_quit_ponged(&q, 0));
    for (unsigned i = 0; i < MUX_QUIT_MAX; i++) {
        assert_false(mux_quit_has(&q, (int32_t)i));
        assert_true(mux_quit_add(&q, (int32_t)i));
        assert_true(mux_quit_has(&q, (int32_t)i));
    }
    assert_false(mux_quit_add(&q, 1000));
    mux_quit_asked(&q);
    mux_quit_told(&q);
    assert_null(q.id);
    mux_alloc_fini(&alloc);
    mux_alloc_init(&alloc, 0);
    assert_false(mux_quit_add(&q, 1));
    mux_alloc_fini(&alloc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SUPPORT_JOINED_BOTH(test_whoever_gives_up_at_once_floods_nobody),
        SUPPORT_JOINED_BOTH(test_a_peer_that_slept_is_not_flooded),
        SUPPORT_JOINED_BOTH(test_the_peer_is_told_soon),
        SUPPORT_JOINED_BOTH(test_one_that_ends_by_itself_is_not_reset),
        SUPPORT_JOINED_BOTH(test_one_that_was_answered_a_while_ago_is_reset_at_once),
        SUPPORT_JOINED_BOTH(test_bodies_that_were_under_way_give_their_windows_back),
        SUPPORT_JOINED_BOTH(test_a_lost_connection_forgets_them),
        SUPPORT_JOINED_BOTH(test_a_server_that_goes_waits_for_them),
        SUPPORT_JOINED_BOTH(test_pings_are_told_apart),
        cmocka_unit_test_setup_teardown(test_a_ping_that_had_no_memory_is_made_later,
                                        support_joined_setup_h2, support_joined_teardown),
        cmocka_unit_test(test_room_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
