#include "cmd/verbs/demo_watch.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_only_endpoints_that_are_up_count(void **state)
{
    unsigned up = 0;
    (void)state;
    assert_true(demo_watch_read(SPAN_LIT("{\"data\":[{\"node\":\"n2\",\"status\":\"unreachable\"},"
                                         "{\"node\":\"n3\",\"status\":\"up\"}]}"),
                                &up));
    assert_int_equal(up, 1u << 3);
}

static void test_no_endpoint_is_nobody_up(void **state)
{
    unsigned up = 7;
    (void)state;
    assert_true(demo_watch_read(SPAN_LIT("{\"data\":[]}"), &up));
    assert_int_equal(up, 0);
}

static void test_other_documents_say_nothing(void **state)
{
    unsigned up = 7;
    (void)state;
    assert_false(demo_watch_read(SPAN_LIT(""), &up));
    assert_false(demo_watch_read(SPAN_LIT("{\"data\":[{\"node\""), &up));
    assert_false(demo_watch_read(SPAN_LIT("{\"error\":\"draining\"}"), &up));
    assert_false(demo_watch_read(SPAN_LIT("{\"data\":{\"node\":\"n2\"}}"), &up));
    assert_int_equal(up, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_endpoints_that_are_up_count),
        cmocka_unit_test(test_no_endpoint_is_nobody_up),
        cmocka_unit_test(test_other_documents_say_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
