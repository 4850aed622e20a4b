#include "core/base/check.h"
#include "core/wire/mux_flood.h"
#include "tests/unit/support_joined.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* What comes over HTTP/2 for streams that are over: a little is the peer's right (RFC 9113 5.1). */

#define MOST 100000u

/* Until the end of a connection on which a stream was asked for and reset by the server. */
static unsigned late(struct support_joined *j, bool to_server, const char *frame, size_t len)
{
    struct headers none = {.count = 0};
    assert_int_equal(support_joined_request(j, 0, &none, true), ERR_OK);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    mux_reset(j->server.mux, &j->server.stream[0], MUX_RESET);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    struct mux *m = to_server ? j->server.mux : j->client.mux;
    unsigned n = 0;
    while (n < MOST && mux_feed(m, span_of(frame, len), 5000) == ERR_OK) {
        n++;
        if (mux_pull(m, 65536) != ERR_OK || mux_done(m)) break;
    }
    return n;
}

static void is_bounded(unsigned n)
{
    /* The last is the one that ends it. */
    assert_in_range(n, MUX_FLOOD_BURST, MUX_FLOOD_BURST + MUX_FLOOD_LATE_EACH + 1);
}

static void test_resets_of_what_is_over_are_bounded(void **state)
{
    static const char reset[] = "\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08";
    is_bounded(late(*state, true, reset, sizeof reset - 1));
}

static void test_trailers_of_what_is_over_are_bounded(void **state)
{
    static const char head[] = "\0\0\x01\x01\x04\0\0\0\x01\x88"; /* not the end */
    is_bounded(late(*state, true, head, sizeof head - 1));
}

static void test_answers_to_what_is_over_are_bounded(void **state)
{
    static const char head[] = "\0\0\x01\x01\x04\0\0\0\x01\x88"; /* :status 200 */
    is_bounded(late(*state, false, head, sizeof head - 1));
}

static void test_empty_data_of_what_is_over_is_bounded(void **state)
{
    static const char data[] = "\0\0\0\0\0\0\0\0\x01";
    is_bounded(late(*state, true, data, sizeof data - 1));
}

static void test_requests_behind_goaway_are_bounded(void **state)
{
    struct support_joined *j = *state;
    char head[] = "\0\0\x03\x01\x05\0\0\0\x01\x82\x84\x86"; /* GET, /, http */
    struct headers none = {.count = 0};
    /* One that is open keeps the connection. */
    assert_int_equal(support_joined_request(j, 0, &none, true), ERR_OK);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    mux_goaway(j->server.mux);
    assert_int_equal(support_joined_pump(j), ERR_OK);
    unsigned begun = (unsigned)j->server.begun, n = 0;
    for (unsigned id = 3; n < MOST; n++, id += 2) {
        head[6] = (char)(id >> 16);
        head[7] = (char)(id >> 8);
        head[8] = (char)id;
        if (mux_feed(j->server.mux, span_of(head, sizeof head - 1), 5000) != ERR_OK) break;
        if (mux_pull(j->server.mux, 65536) != ERR_OK || mux_done(j->server.mux)) break;
    }
    assert_int_equal(j->server.begun, begun);
    assert_true(n >= MUX_FLOOD_LATE_MAX && n <= MUX_FLOOD_LATE_MAX + MUX_FLOOD_BURST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_resets_of_what_is_over_are_bounded,
                                        support_joined_setup_h2, support_joined_teardown),
        cmocka_unit_test_setup_teardown(test_answers_to_what_is_over_are_bounded,
                                        support_joined_setup_h2, support_joined_teardown),
        cmocka_unit_test_setup_teardown(test_empty_data_of_what_is_over_is_bounded,
                                        support_joined_setup_h2, support_joined_teardown),
        cmocka_unit_test_setup_teardown(test_trailers_of_what_is_over_are_bounded,
                                        support_joined_setup_h2, support_joined_teardown),
        cmocka_unit_test_setup_teardown(test_requests_behind_goaway_are_bounded,
                                        support_joined_setup_h2, support_joined_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
