#include "core/wire/h2_recent.h"
#include "core/wire/h2_walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_a_higher_stream_is_fresh(void **state)
{
    struct h2_recent r = {.last_id = 0};
    (void)state;
    assert_int_equal(h2_recent_look(&r, 1), H2_RECENT_FRESH);
    h2_recent_open(&r, 1);
    assert_int_equal(h2_recent_look(&r, 1), H2_RECENT_OTHER);
    assert_int_equal(h2_recent_look(&r, 3), H2_RECENT_FRESH);
}

static void test_a_stream_that_was_left_out_is_skipped(void **state)
{
    struct h2_recent r = {.last_id = 0};
    (void)state;
    h2_recent_open(&r, 5);
    assert_int_equal(h2_recent_look(&r, 1), H2_RECENT_SKIPPED);
    assert_int_equal(h2_recent_look(&r, 3), H2_RECENT_SKIPPED);
    assert_int_equal(h2_recent_look(&r, 5), H2_RECENT_OTHER);
    h2_recent_open(&r, 11);
    assert_int_equal(h2_recent_look(&r, 5), H2_RECENT_OTHER);
    assert_int_equal(h2_recent_look(&r, 7), H2_RECENT_SKIPPED);
    assert_int_equal(h2_recent_look(&r, 9), H2_RECENT_SKIPPED);
}

static void test_what_the_peer_ended_stays_ended_for_64_streams(void **state)
{
    struct h2_recent r = {.last_id = 0};
    (void)state;
    for (int32_t id = 1; id <= 127; id += 2)
        h2_recent_open(&r, id);
    h2_recent_end(&r, 1);
    h2_recent_end(&r, 127);
    h2_recent_end(&r, 129);
    assert_int_equal(h2_recent_look(&r, 1), H2_RECENT_ENDED);
    assert_int_equal(h2_recent_look(&r, 3), H2_RECENT_OTHER);
    assert_int_equal(h2_recent_look(&r, 127), H2_RECENT_ENDED);
    h2_recent_open(&r, 129);
    assert_int_equal(h2_recent_look(&r, 129), H2_RECENT_OTHER);
    /* Too long ago to tell: nothing is held against the peer. */
    assert_int_equal(h2_recent_look(&r, 1), H2_RECENT_OTHER);
    h2_recent_end(&r, 1);
    assert_int_equal(h2_recent_look(&r, 129), H2_RECENT_OTHER);
    h2_recent_open(&r, INT32_MAX);
    assert_int_equal(h2_recent_look(&r, INT32_MAX - 2), H2_RECENT_SKIPPED);
    assert_int_equal(h2_recent_look(&r, 127), H2_RECENT_OTHER);
}

static void test_the_highest_may_be_the_first(void **state)
{
    struct h2_recent r = {.last_id = 0};
    (void)state;
    h2_recent_open(&r, INT32_MAX);
    assert_int_equal(h2_recent_look(&r, INT32_MAX), H2_RECENT_OTHER);
    assert_int_equal(h2_recent_look(&r, 1), H2_RECENT_OTHER);
    assert_int_equal(h2_recent_look(&r, INT32_MAX - 2), H2_RECENT_SKIPPED);
}

/* Preface, SETTINGS (empty), DATA of 5 bytes on 1, DATA of 0 bytes on 0x7fffffff with R set. */
static const char wire[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                           "\0\0\0\4\0\0\0\0\0"
                           "\0\0\5\0\1\0\0\0\1"
                           "hello"
                           "\0\0\0\0\1\xff\xff\xff\xff";

static void test_heads_are_found_however_the_bytes_come(void **state)
{
    static const struct {
        uint8_t type;
        int32_t id;
        size_t end;
    } want[] = {{4, 0, 33}, {0, 1, 42}, {0, INT32_MAX, 56}};
    (void)state;
    for (size_t piece = 1; piece <= sizeof wire - 1; piece++) {
        struct h2_walk w = {.skip = 24};
        size_t at = 0, found = 0;
        while (at < sizeof wire - 1) {
            size_t len = sizeof wire - 1 - at;
            bool complete;
            if (len > piece) len = piece;
            at += h2_walk_next(&w, span_of(wire + at, len), &complete);
            if (!complete) continue;
            assert_int_equal(w.type, want[found].type);
            assert_int_equal(w.stream_id, want[found].id);
            assert_int_equal(at, want[found].end);
            found++;
        }
        assert_int_equal(found, 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_higher_stream_is_fresh),
        cmocka_unit_test(test_a_stream_that_was_left_out_is_skipped),
        cmocka_unit_test(test_what_the_peer_ended_stays_ended_for_64_streams),
        cmocka_unit_test(test_the_highest_may_be_the_first),
        cmocka_unit_test(test_heads_are_found_however_the_bytes_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
