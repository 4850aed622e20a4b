#include "proxy/net/lineage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define TRACE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
#define CHILD "00-4bf92f3577b34da6a3ce929d0e0e4736-53995c3f42cd8ad8-01"
#define OTHER "00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b7-01"

static struct lineage lineage;

static int setup(void **state)
{
    static const struct hash_key key = {{8}};
    (void)state;
    lineage = (struct lineage){.slot = {0}};
    lineage_init(&lineage, &key);
    return 0;
}

static struct lineage_facts look(const char *trace, const char *service, uint64_t now_ms)
{
    struct lineage_place p = lineage_place(&lineage, span_str(trace), span_str(service));
    return lineage_look(&p, now_ms);
}

static void test_a_call_is_found_by_trace_and_service(void **state)
{
    (void)state;
    /* Around the turn of the lower half of the clock. */
    static const uint64_t now[] = {1000000, 0x1fffffff0, 0x200000000};
    for (size_t i = 0; i < sizeof now / sizeof now[0]; i++) {
        struct lineage_facts f = {.deadline_ms = now[i] + 15000, .again = i % 2};
        struct lineage_place p = lineage_place(&lineage, SPAN_LIT(TRACE), SPAN_LIT("api"));
        lineage_note(&p, &f);
        assert_true(look(CHILD, "api", now[i] + 7).deadline_ms == now[i] + 15000);
        assert_true(look(CHILD, "api", now[i] + 16000).deadline_ms == now[i] + 15000);
        assert_int_equal(look(CHILD, "api", now[i]).again, i % 2);
        assert_true(look(CHILD, "web", now[i]).deadline_ms == 0);
        assert_true(look(OTHER, "api", now[i]).deadline_ms == 0);
    }
}

static void test_a_failure_below_is_seen_and_forgotten_with_the_request(void **state)
{
    (void)state;
    struct lineage_place p = lineage_place(&lineage, SPAN_LIT(TRACE), SPAN_LIT("api"));
    struct lineage_place child = lineage_place(&lineage, SPAN_LIT(CHILD), SPAN_LIT("api"));
    struct lineage_facts f = {.deadline_ms = 20000};
    lineage_fail(&child); /* of no request: nothing is noted */
    assert_false(look(TRACE, "api", 10000).failed);
    lineage_note(&p, &f);
    lineage_fail(&child);
    assert_true(look(TRACE, "api", 10000).failed);
    assert_int_equal(look(TRACE, "api", 10000).deadline_ms, 20000);
    lineage_forget(&p);
    assert_false(look(TRACE, "api", 10000).failed);
    assert_int_equal(look(TRACE, "api", 10000).deadline_ms, 0);
}

static void test_what_is_no_trace_is_no_place(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "00-", "00-4bf92f3577b34da6a3ce929d0e0e4736",
                                      "00-4bf92f3577b34da6a3ce929d0e0e4736x00f067aa0ba902b7-01"};
    struct lineage_facts f = {.deadline_ms = 20000};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct lineage_place p = lineage_place(&lineage, span_str(bad[i]), SPAN_LIT("api"));
        assert_null(p.slot);
        lineage_note(&p, &f);
        lineage_fail(&p);
        assert_int_equal(lineage_look(&p, 10000).deadline_ms, 0);
        lineage_forget(&p);
    }
    assert_null(lineage_place(NULL, SPAN_LIT(TRACE), SPAN_LIT("api")).slot);
}

/* Many requests in few slots: what is found is one's own or nothing. */
static void test_requests_in_one_slot_are_not_mistaken(void **state)
{
    (void)state;
    char trace[64];
    unsigned found = 0;
    for (unsigned i = 0; i < 2 * LINEAGE_SLOTS; i++) {
        struct lineage_facts f = {.deadline_ms = 100000 + i};
        snprintf(trace, sizeof trace, "00-%032x-00f067aa0ba902b7-01", i);
        struct lineage_place p = lineage_place(&lineage, span_str(trace), SPAN_LIT("api"));
        lineage_note(&p, &f);
    }
    for (unsigned i = 0; i < 2 * LINEAGE_SLOTS; i++) {
        snprintf(trace, sizeof trace, "00-%032x-00f067aa0ba902b7-01", i);
        uint64_t deadline_ms = look(trace, "api", 100000).deadline_ms;
        assert_true(deadline_ms == 0 || deadline_ms == 100000 + i);
        found += deadline_ms != 0;
    }
    assert_in_range(found, LINEAGE_SLOTS / 2, LINEAGE_SLOTS);
}

#define ROW(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_a_call_is_found_by_trace_and_service),
        ROW(test_a_failure_below_is_seen_and_forgotten_with_the_request),
        ROW(test_what_is_no_trace_is_no_place),
        ROW(test_requests_in_one_slot_are_not_mistaken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
