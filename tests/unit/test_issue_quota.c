/* What a member may have signed, by its key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/daemon/enroll_message.h"
#include "cmd/daemon/issue_quota.h"

#define START_MS      1000000u
#define REQUEST_BYTES ((size_t)ENROLL_LEAVES_MAX * ISSUE_QUOTA_LEAF_BYTES)

static const struct hash_key hash = {.byte = "0123456789abcdef"};
static const uint8_t web[ISSUE_QUOTA_KEY_BYTES] = {1}, db[ISSUE_QUOTA_KEY_BYTES] = {2};

static unsigned served(struct issue_quota *q, const uint8_t *key, uint64_t now_ms)
{
    unsigned n = 0;
    while (n < 1000 && issue_quota_take(q, &hash, key, REQUEST_BYTES, now_ms))
        n++;
    return n;
}

static void test_requests_without_end_are_refused(void **state)
{
    struct issue_quota *q = calloc(1, sizeof *q);
    (void)state;
    assert_non_null(q);
    unsigned first = served(q, web, START_MS);
    assert_in_range(first, 4, 8); /* a start with some hundred services is served at once */
    assert_int_equal(served(q, web, START_MS + 100), 0);
    assert_in_range(served(q, web, START_MS + 3600 * 1000), first, first);
    free(q);
}

static void test_refused_requests_do_not_put_off_the_next(void **state)
{
    struct issue_quota *q = calloc(1, sizeof *q);
    uint64_t now_ms = START_MS;
    (void)state;
    assert_non_null(q);
    (void)served(q, web, now_ms);
    while (!issue_quota_take(q, &hash, web, REQUEST_BYTES, now_ms))
        now_ms += 1000;
    assert_in_range(now_ms - START_MS, 1000, 60000);
    free(q);
}

static void test_one_member_does_not_use_up_what_another_has(void **state)
{
    struct issue_quota *q = calloc(1, sizeof *q);
    (void)state;
    assert_non_null(q);
    (void)served(q, web, START_MS);
    assert_true(issue_quota_take(q, &hash, db, REQUEST_BYTES, START_MS));
    assert_int_equal(served(q, web, START_MS), 0);
    free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_without_end_are_refused),
        cmocka_unit_test(test_refused_requests_do_not_put_off_the_next),
        cmocka_unit_test(test_one_member_does_not_use_up_what_another_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
