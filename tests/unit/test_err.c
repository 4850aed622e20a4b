#include "core/base/err.h"

#include <errno.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void test_every_code_has_a_name_and_a_sentence(void **state)
{
    (void)state;
    for (int i = 0; i < ERR_COUNT; i++) {
        assert_int_equal(strncmp(err_name((enum err)i), "ERR_", 4), 0);
        assert_true(strlen(err_text((enum err)i)) > 3);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(err_text((enum err)i), err_text((enum err)j));
    }
    assert_string_equal(err_name(ERR_NOMEM), "ERR_NOMEM");
    assert_string_equal(err_text(ERR_EOF), "the other side ended the stream");
}

static void test_a_code_outside_the_list_is_named_unknown(void **state)
{
    (void)state;
    assert_string_equal(err_name(ERR_COUNT), "ERR_UNKNOWN");
    assert_string_equal(err_text((enum err)(ERR_COUNT + 1)), "unknown error");
}

static void test_errno_becomes_its_code(void **state)
{
    (void)state;
    assert_int_equal(err_from_errno(0), ERR_OK);
    assert_int_equal(err_from_errno(EWOULDBLOCK), ERR_AGAIN);
    assert_int_equal(err_from_errno(ENOMEM), ERR_NOMEM);
    assert_int_equal(err_from_errno(EMFILE), ERR_FULL);
    assert_int_equal(err_from_errno(ECONNREFUSED), ERR_REFUSED);
    assert_int_equal(err_from_errno(ECONNRESET), ERR_RESET);
    assert_int_equal(err_from_errno(EPIPE), ERR_RESET);
    assert_int_equal(err_from_errno(EADDRINUSE), ERR_IN_USE);
    assert_int_equal(err_from_errno(EHOSTUNREACH), ERR_UNREACHABLE);
    assert_int_equal(err_from_errno(EACCES), ERR_PERM);
    assert_int_equal(err_from_errno(ENOENT), ERR_NOT_FOUND);
}

static void test_no_errno_but_zero_is_success(void **state)
{
    (void)state;
    for (int e = 1; e < 4096; e++)
        assert_int_not_equal(err_from_errno(e), ERR_OK);
    assert_int_equal(err_from_errno(EIO), ERR_IO);
    assert_int_equal(err_from_errno(-1), ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_has_a_name_and_a_sentence),
        cmocka_unit_test(test_a_code_outside_the_list_is_named_unknown),
        cmocka_unit_test(test_errno_becomes_its_code),
        cmocka_unit_test(test_no_errno_but_zero_is_success),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
