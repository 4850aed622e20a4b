#include "core/wire/pack_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define CHECKED(literal) pack_check(SPAN_LIT(literal), 4, 100)

static void test_one_value_of_each_kind_is_well_formed(void **state)
{
    (void)state;
    static const struct {
        const char *byte;
        size_t len;
        enum pack_kind kind;
    } row[] = {
        {"\xc0", 1, PACK_NIL},
        {"\xc2", 1, PACK_BOOL},
        {"\xc3", 1, PACK_BOOL},
        {"\x7f", 1, PACK_UINT},
        {"\xcc\xff", 2, PACK_UINT},
        {"\xcd\xff\xff", 3, PACK_UINT},
        {"\xce\xff\xff\xff\xff", 5, PACK_UINT},
        {"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9, PACK_UINT},
        {"\xd0\x7f", 2, PACK_UINT},
        {"\xd3\x00\x00\x00\x00\x00\x00\x00\x00", 9, PACK_UINT},
        {"\xe0", 1, PACK_INT},
        {"\xd0\x80", 2, PACK_INT},
        {"\xd1\x80\x00", 3, PACK_INT},
        {"\xd2\x80\x00\x00\x00", 5, PACK_INT},
        {"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9, PACK_INT},
        {"\xca\x00\x00\x00\x00", 5, PACK_FLOAT},
        {"\xcb\x00\x00\x00\x00\x00\x00\x00\x00", 9, PACK_FLOAT},
        {"\xa1x", 2, PACK_STR},
        {"\xd9\x01x", 3, PACK_STR},
        {"\xda\x00\x01x", 4, PACK_STR},
        {"\xdb\x00\x00\x00\x01x", 6, PACK_STR},
        {"\xc4\x01x", 3, PACK_BIN},
        {"\xc5\x00\x01x", 4, PACK_BIN},
        {"\xc6\x00\x00\x00\x01x", 6, PACK_BIN},
        {"\x91\xc0", 2, PACK_ARRAY},
        {"\xdc\x00\x01\xc0", 4, PACK_ARRAY},
        {"\xdd\x00\x00\x00\x01\xc0", 6, PACK_ARRAY},
        {"\x81\xc0\xc0", 3, PACK_MAP},
        {"\xde\x00\x01\xc0\xc0", 5, PACK_MAP},
        {"\xdf\x00\x00\x00\x01\xc0\xc0", 7, PACK_MAP},
        {"\xd4\x01x", 3, PACK_EXT},
        {"\xd8\x01xxxxxxxxxxxxxxxx", 18, PACK_EXT},
        {"\xc7\x00\x01", 3, PACK_EXT},
        {"\xc7\x01\x01x", 4, PACK_EXT},
        {"\xc9\x00\x00\x00\x01\x01x", 7, PACK_EXT},
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct span doc = span_of(row[i].byte, row[i].len);
        struct pack_head h;
        if (pack_check(doc, 4, 100) != ERR_OK) fail_msg("row %zu", i);
        assert_int_equal(pack_check_head(doc, &h), ERR_OK);
        assert_int_equal(h.kind, row[i].kind);
        /* M15: no prefix of a document is one. */
        for (size_t cut = 0; cut < row[i].len; cut++)
            assert_int_equal(pack_check(span_of(row[i].byte, cut), 4, 100), ERR_INVALID);
    }
}

/* security.md M05. */
static void test_declared_lengths_that_are_not_there_are_refused(void **state)
{
    (void)state;
    assert_int_equal(CHECKED("\xdd\xff\xff\xff\xff"), ERR_INVALID);
    assert_int_equal(CHECKED("\xdd\x00\xff\xff\xff\xc0\xc0\xc0"), ERR_INVALID);
    assert_int_equal(CHECKED("\xdf\xff\xff\xff\xff\xc0\xc0"), ERR_INVALID);
    assert_int_equal(CHECKED("\xdf\x80\x00\x00\x00\xc0\xc0"), ERR_INVALID);
    assert_int_equal(CHECKED("\xc6\xff\xff\xff\xff\x00"), ERR_INVALID);
    assert_int_equal(CHECKED("\xdb\xff\xff\xff\xff\x00"), ERR_INVALID);
    assert_int_equal(CHECKED("\xc9\xff\xff\xff\xff\x00\x00"), ERR_INVALID);
    assert_int_equal(CHECKED("\x92\xc0"), ERR_INVALID);
    assert_int_equal(CHECKED("\x82\xc0\xc0\xc0"), ERR_INVALID);
    assert_int_equal(CHECKED("\xa5"
                             "abcd"),
                     ERR_INVALID);
    assert_int_equal(CHECKED("\x92\x92\xc0\xc0"), ERR_INVALID);
    assert_int_equal(CHECKED(""), ERR_INVALID);
    assert_int_equal(CHECKED("\xc1"), ERR_INVALID);
    assert_int_equal(CHECKED("\x91\xc1"), ERR_INVALID);
}

static void test_bytes_behind_the_value_are_refused(void **state)
{
    (void)state;
    assert_int_equal(CHECKED("\xc0\xc0"), ERR_INVALID);
    assert_int_equal(CHECKED("\x91\xc0\xc0"), ERR_INVALID);
    assert_int_equal(CHECKED("\x90"), ERR_OK);
    assert_int_equal(CHECKED("\x90\x00"), ERR_INVALID);
}

static void test_depth_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(CHECKED("\x91\x91\x91\x90"), ERR_OK);
    assert_int_equal(CHECKED("\x91\x91\x91\x91\xc0"), ERR_OK);
    assert_int_equal(CHECKED("\x91\x91\x91\x91\x90"), ERR_TOO_LARGE);
    assert_int_equal(CHECKED("\x81\xc0\x91\x91\x91\x90"), ERR_TOO_LARGE);
    assert_int_equal(pack_check(SPAN_LIT("\xc0"), 0, 1), ERR_OK);
    assert_int_equal(pack_check(SPAN_LIT("\x90"), 0, 1), ERR_TOO_LARGE);
    size_t len = 100000;
    char *deep = malloc(len);
    assert_non_null(deep);
    memset(deep, 0x91, len);
    assert_int_equal(pack_check(span_of(deep, len), PACK_DEPTH_MAX, 1000000), ERR_TOO_LARGE);
    free(deep);
}

static void test_the_number_of_values_is_bounded(void **state)
{
    (void)state;
    struct span doc = SPAN_LIT("\x94\xc0\x91\xc0\xc0\xc0");
    assert_int_equal(pack_check(doc, 4, 6), ERR_OK);
    assert_int_equal(pack_check(doc, 4, 5), ERR_TOO_LARGE);
    assert_int_equal(pack_check(doc, 4, 0), ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_value_of_each_kind_is_well_formed),
        cmocka_unit_test(test_declared_lengths_that_are_not_there_are_refused),
        cmocka_unit_test(test_bytes_behind_the_value_are_refused),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_the_number_of_values_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
