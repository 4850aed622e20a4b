#include "proxy/http/exchange.h"
#include "proxy/http/grpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_timeouts_are_read_in_every_unit(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } rows[] = {{"1n", 1},      {"1000001n", 2}, {"1500u", 2},
                {"0m", 1},      {"250m", 250},   {"2S", 2000},
                {"3M", 180000}, {"1H", 3600000}, {"99999999H", 359999996400000}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t ms = 0;
        assert_true(grpc_timeout_parse(span_str(rows[i].text), &ms));
        assert_int_equal(ms, rows[i].ms);
    }
}

/* F07. */
static void test_timeouts_that_are_none_are_refused(void **state)
{
    static const char *const rows[] = {"",   "S",   "99999999999H", "100000000m", "-1S", "+1S",
                                       "1X", "1 S", "1.5S",         "1",          " 1S", "1s"};
    uint64_t ms = 7;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_false(grpc_timeout_parse(span_str(rows[i]), &ms));
    assert_int_equal(ms, 7);
}

static void test_timeouts_are_written_in_eight_digits(void **state)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } rows[] = {{1, "1m"},
                {99999999, "99999999m"},
                {100000001, "100001S"},
                {359999996400000, "99999999H"},
                {UINT64_MAX / 2, "99999999H"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[GRPC_TIMEOUT_BYTES_MAX];
        struct span got = span_of(out, grpc_timeout_format(rows[i].ms, out));
        assert_true(span_eq_str(got, rows[i].text));
    }
}

static bool counts_as_grpc(const char *type, const char *timeout, struct request *req)
{
    static struct headers h;
    h.count = h.bytes = 0;
    *req = (struct request){.headers = &h};
    assert_int_equal(headers_add(&h, SPAN_LIT("content-type"), span_str(type)), ERR_OK);
    assert_int_equal(headers_add(&h, SPAN_LIT("grpc-timeout"), span_str(timeout)), ERR_OK);
    grpc_request(req);
    return req->grpc;
}

static void test_calls_are_known_by_their_content_type(void **state)
{
    struct request req;
    (void)state;
    assert_true(counts_as_grpc("application/grpc", "1S", &req));
    assert_int_equal(req.timeout_ms, 1000);
    assert_null(headers_find(req.headers, "grpc-timeout"));
    assert_true(counts_as_grpc("Application/GRPC+proto", "1X", &req));
    assert_int_equal(req.timeout_ms, 0);
    assert_non_null(headers_find(req.headers, "grpc-timeout"));
    assert_true(counts_as_grpc("application/grpc;charset=utf-8", "1S", &req));
    assert_false(counts_as_grpc("application/grpc-web", "1S", &req));
    assert_int_equal(req.timeout_ms, 0);
    assert_false(counts_as_grpc("application/json", "1S", &req));
}

static void test_reasons_have_a_status(void **state)
{
    (void)state;
    assert_int_equal(grpc_status(REASON_DENIED_RULE), 7);
    assert_int_equal(grpc_status(REASON_DENIED_DEFAULT), 7);
    assert_int_equal(grpc_status(REASON_UPSTREAM_TIMEOUT), 4);
    assert_int_equal(grpc_status(REASON_DEADLINE_EXPIRED), 4);
    assert_int_equal(grpc_status(REASON_CONN_TIMEOUT), 14);
    assert_int_equal(grpc_status(REASON_NO_ENDPOINT), 14);
    assert_int_equal(grpc_status(REASON_RETRY_EXHAUSTED), 14);
    assert_int_equal(grpc_status(REASON_UPSTREAM_RESET), 14);
    assert_int_equal(grpc_status(REASON_NO_ROUTE), 12);
    assert_int_equal(grpc_status(REASON_METHOD_NOT_ALLOWED), 12);
    assert_int_equal(grpc_status(REASON_HEADERS_TOO_LARGE), 8);
    assert_int_equal(grpc_status(REASON_INTERNAL), 13);
}

/* As grpc_outcome says of a call that got these. */
static unsigned outcome(const char *noted, unsigned status, enum reason reason, bool aborted)
{
    static struct exchange ex;
    struct headers h = {.count = 0};
    ex = (struct exchange){.resp.status = status, .reason = reason, .aborted = aborted};
    if (noted != NULL) {
        assert_int_equal(headers_add(&h, SPAN_LIT("grpc-status"), span_str(noted)), ERR_OK);
        grpc_note(&ex, &h);
    }
    return grpc_outcome(&ex);
}

static void test_a_call_ends_with_what_its_caller_got(void **state)
{
    (void)state;
    assert_int_equal(outcome("0", 200, REASON_NONE, false), 0);
    assert_int_equal(outcome("16", 200, REASON_NONE, false), 16);
    assert_int_equal(outcome("17", 200, REASON_NONE, false), 2);
    assert_int_equal(outcome("-1", 200, REASON_NONE, false), 2);
    assert_int_equal(outcome("ok", 200, REASON_NONE, false), 2);
    /* Without one. */
    assert_int_equal(outcome(NULL, 200, REASON_NONE, false), 2);
    assert_int_equal(outcome(NULL, 401, REASON_NONE, false), 16);
    assert_int_equal(outcome(NULL, 503, REASON_APP, false), 14);
    /* The mesh's own. */
    assert_int_equal(outcome(NULL, 200, REASON_DENIED_RULE, false), 7);
    /* Cut while, or before, the trailers went out. */
    assert_int_equal(outcome("0", 200, REASON_CLIENT_GONE, true), 1);
    assert_int_equal(outcome(NULL, 200, REASON_UPSTREAM_RESET, true), 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timeouts_are_read_in_every_unit),
        cmocka_unit_test(test_timeouts_that_are_none_are_refused),
        cmocka_unit_test(test_timeouts_are_written_in_eight_digits),
        cmocka_unit_test(test_calls_are_known_by_their_content_type),
        cmocka_unit_test(test_reasons_have_a_status),
        cmocka_unit_test(test_a_call_ends_with_what_its_caller_got),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
