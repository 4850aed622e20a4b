#include "cmd/verbs/demo_trace.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CROSSING                                                                                   \
    "{\"dir\":\"outbound\",\"node\":\"n1\",\"endpoint\":\"n2\",\"tries\":1,\"tls\":true}\n"
#define CROSSING_PLAIN                                                                             \
    "{\"dir\":\"outbound\",\"node\":\"n1\",\"endpoint\":\"n3\",\"tries\":2,\"tls\":false}\n"
#define INBOUND "{\"dir\":\"inbound\",\"node\":\"n2\",\"endpoint\":\"n2\",\"tls\":true}\n"
#define LOCAL   "{\"dir\":\"outbound\",\"node\":\"n1\",\"endpoint\":\"n1\",\"tls\":false}\n"
#define NOWHERE "{\"dir\":\"outbound\",\"node\":\"n1\",\"reason\":\"no_endpoint\",\"tls\":false}\n"

static void feed(struct demo_trace *t, const char *text)
{
    demo_trace_feed(t, span_str(text));
}

static void test_only_what_crosses_nodes_counts(void **state)
{
    struct demo_trace t = {.crossing = 0};
    (void)state;
    feed(&t, CROSSING INBOUND LOCAL NOWHERE);
    assert_int_equal(t.crossing, 1);
    assert_int_equal(t.mtls, 1);
    feed(&t, CROSSING_PLAIN);
    assert_int_equal(t.crossing, 2);
    assert_int_equal(t.mtls, 1);
    assert_int_equal(t.retried, 1);
    assert_int_equal(t.unread, 0);
}

static void test_line_in_pieces_is_one_line(void **state)
{
    struct demo_trace t = {.crossing = 0};
    const char *text = CROSSING CROSSING;
    (void)state;
    for (const char *p = text; *p; p++)
        demo_trace_feed(&t, span_of(p, 1));
    assert_int_equal(t.crossing, 2);
    assert_int_equal(t.unread, 0);
}

static void test_line_cut_by_a_kill_is_skipped(void **state)
{
    struct demo_trace t = {.crossing = 0};
    (void)state;
    feed(&t, "{\"dir\":\"outbound\",\"no" CROSSING CROSSING);
    assert_int_equal(t.unread, 1);
    assert_int_equal(t.crossing, 1);
}

static void test_line_over_the_limit_is_skipped(void **state)
{
    static char long_line[2 * ACCESS_LOG_LINE_BYTES_MAX];
    struct demo_trace t = {.crossing = 0};
    (void)state;
    memset(long_line, 'x', sizeof long_line);
    demo_trace_feed(&t, span_of(long_line, sizeof long_line));
    feed(&t, "\n" CROSSING);
    assert_int_equal(t.unread, 1);
    assert_int_equal(t.crossing, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_crosses_nodes_counts),
        cmocka_unit_test(test_line_in_pieces_is_one_line),
        cmocka_unit_test(test_line_cut_by_a_kill_is_skipped),
        cmocka_unit_test(test_line_over_the_limit_is_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
