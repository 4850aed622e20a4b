#include "core/model/reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_words_are_distinct_and_fit_a_header(void **state)
{
    (void)state;
    assert_string_equal(reason_word(REASON_NONE), "");
    for (unsigned i = 1; i < REASON_COUNT; i++) {
        const char *word = reason_word((enum reason)i);
        assert_true(strlen(word) > 0 && strlen(word) < 32);
        assert_int_equal(strspn(word, "abcdefghijklmnopqrstuvwxyz_"), strlen(word));
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(word, reason_word((enum reason)j));
    }
}

static void test_statuses_are_errors_or_absent(void **state)
{
    (void)state;
    for (unsigned i = 0; i < REASON_COUNT; i++) {
        unsigned status = reason_status((enum reason)i);
        assert_true(status == 0 || (status >= 400 && status <= 599));
    }
    assert_int_equal(reason_status(REASON_DENIED_DEFAULT), 403);
    assert_string_equal(reason_word(REASON_DENIED_DEFAULT), "denied_default");
    assert_int_equal(reason_status(REASON_UPSTREAM_TIMEOUT), 504);
    assert_int_equal(reason_status(REASON_CLIENT_GONE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_are_distinct_and_fit_a_header),
        cmocka_unit_test(test_statuses_are_errors_or_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
