#include "cmd/verbs/testapp_knobs.h"
#include "core/base/check.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct testapp_knobs read_ok(const char *target)
{
    struct testapp_knobs k = {.status = 1};
    assert_int_equal(testapp_knobs_read(span_str(target), &k), ERR_OK);
    return k;
}

static void test_ordinary_path_asks_for_nothing(void **state)
{
    struct testapp_knobs k = read_ok("/orders/17?status/503");
    (void)state;
    assert_int_equal(k.status, 200);
    assert_int_equal(k.delay_ms, 0);
    assert_false(k.stream || k.echo || k.upgrade);
}

static void test_knobs_combine(void **state)
{
    struct testapp_knobs k = read_ok("/delay/100/status/503");
    (void)state;
    assert_int_equal(k.delay_ms, 100);
    assert_int_equal(k.status, 503);
    k = read_ok("/bytes/65536");
    assert_true(k.stream);
    assert_int_equal(k.bytes, 65536);
    assert_true(read_ok("/echo").echo);
    assert_true(read_ok("/upgrade").upgrade);
}

static void test_number_out_of_range_is_refused(void **state)
{
    static const char *const bad[] = {
        "/status",      "/status/", "/status/99", "/status/600",  "/delay/-1",
        "/delay/60001", "/bytes/x", "/bytes/",    "/status/200x", "/bytes/99999999999999999999"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct testapp_knobs k = {.status = 1};
        assert_int_equal(testapp_knobs_read(span_str(bad[i]), &k), ERR_INVALID);
        assert_int_equal(k.status, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ordinary_path_asks_for_nothing),
        cmocka_unit_test(test_knobs_combine),
        cmocka_unit_test(test_number_out_of_range_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
