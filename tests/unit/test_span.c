#include "core/base/span.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static struct span lit(const char *s)
{
    return span_str(s);
}

static void test_equality_is_by_bytes(void **state)
{
    (void)state;
    assert_true(span_eq(lit("abc"), SPAN_LIT("abc")));
    assert_false(span_eq(lit("abc"), lit("abd")));
    assert_false(span_eq(lit("abc"), lit("ab")));
    assert_true(span_eq(span_of(NULL, 0), lit("")));
    assert_true(span_eq_str(SPAN_LIT("x"), "x"));
    assert_false(span_eq(SPAN_LIT("a\0b"), SPAN_LIT("a\0c")));
}

static void test_nocase_folds_ascii_only(void **state)
{
    (void)state;
    assert_true(span_eq_nocase(lit("Content-Length"), lit("cONTENT-lENGTH")));
    assert_false(span_eq_nocase(lit("a"), lit("b")));
    assert_false(span_eq_nocase(lit("["), lit("{")));
    assert_false(span_eq_nocase(lit("\xc3\x84"), lit("\xc3\xa4")));
    assert_false(span_eq_nocase(lit("ab"), lit("abc")));
}

static void test_starts_and_skip_stay_inside(void **state)
{
    (void)state;
    assert_true(span_starts(lit("/api/v1"), lit("/api")));
    assert_true(span_starts(lit("x"), lit("")));
    assert_false(span_starts(lit("/ap"), lit("/api")));
    assert_true(span_eq_str(span_skip(lit("abc"), 1), "bc"));
    assert_int_equal(span_skip(lit("abc"), 4).len, 0);
    assert_int_equal(span_skip(span_of(NULL, 0), 9).len, 0);
}

static void test_trim_drops_blanks_at_both_ends_only(void **state)
{
    (void)state;
    assert_true(span_eq_str(span_trim(lit(" \t a b \t")), "a b"));
    assert_int_equal(span_trim(lit(" \t ")).len, 0);
    assert_true(span_eq_str(span_trim(lit("\r\n")), "\r\n"));
}

static void test_cut_splits_at_the_first_separator(void **state)
{
    (void)state;
    struct span rest;
    assert_true(span_eq_str(span_cut(lit("a=b=c"), '=', &rest), "a"));
    assert_true(span_eq_str(rest, "b=c"));
    assert_true(span_eq_str(span_cut(lit("a="), '=', &rest), "a"));
    assert_non_null(rest.p);
    assert_int_equal(rest.len, 0);
    assert_true(span_eq_str(span_cut(lit("abc"), '=', &rest), "abc"));
    assert_null(rest.p);
}

static void test_u64_takes_digits_only_and_never_wraps(void **state)
{
    (void)state;
    uint64_t v = 5;
    const char *bad[] = {"",
                         "+1",
                         "-1",
                         " 1",
                         "1 ",
                         "0x1",
                         "1.0",
                         "18446744073709551616",
                         "99999999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(span_u64(lit(bad[i]), &v));
    assert_int_equal(v, 5);
    assert_true(span_u64(lit("18446744073709551615"), &v));
    assert_true(v == UINT64_MAX);
    assert_true(span_u64(lit("007"), &v));
    assert_int_equal(v, 7);
}

static void test_hex_is_of_the_wanted_length_or_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {"",     "0",    "00f",  "00ff0", "00ff00",
                                      "0g00", "00 f", "0x00", "-100"};
    unsigned char out[2] = {7, 7};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(span_hex(lit(bad[i]), out, 2));
    assert_int_equal(out[0], 7);
    assert_true(span_hex(lit("aF09"), out, 2));
    assert_int_equal(out[0], 0xaf);
    assert_int_equal(out[1], 0x09);
    assert_true(span_hex(lit(""), out, 0));
}

static void test_order_is_total(void **state)
{
    (void)state;
    assert_true(span_cmp(lit("a"), lit("b")) < 0);
    assert_true(span_cmp(lit("a"), lit("aa")) < 0);
    assert_true(span_cmp(lit("\xff"), lit("a")) > 0);
    assert_int_equal(span_cmp(lit("ab"), lit("ab")), 0);
    assert_true(span_cmp(span_of(NULL, 0), lit("a")) < 0);
}

static void test_cstr_refuses_what_does_not_fit(void **state)
{
    (void)state;
    char dst[4] = "zzz";
    assert_true(span_to_cstr(lit("abc"), dst, sizeof(dst)));
    assert_string_equal(dst, "abc");
    assert_false(span_to_cstr(lit("abcd"), dst, sizeof(dst)));
    assert_string_equal(dst, "");
    assert_false(span_to_cstr(SPAN_LIT("a\0b"), dst, sizeof(dst)));
    assert_string_equal(dst, "");
    assert_true(span_to_cstr(span_of(NULL, 0), dst, 1));
}

static void test_distance_counts_edits_and_swaps(void **state)
{
    (void)state;
    assert_int_equal(span_distance(lit("retry"), lit("retry")), 0);
    assert_int_equal(span_distance(lit("retyr"), lit("retry")), 1);
    assert_int_equal(span_distance(lit("ca"), lit("abc")), 3);
    assert_int_equal(span_distance(lit("kitten"), lit("sitting")), 3);
    assert_int_equal(span_distance(lit(""), lit("abc")), 3);
    assert_int_equal(span_distance(lit("abc"), lit("")), 3);
}

static void test_distance_of_long_texts_is_the_bound(void **state)
{
    (void)state;
    char text[65];
    memset(text, 'a', sizeof(text));
    assert_int_equal(span_distance(span_of(text, 65), span_of(text, 65)), 64);
    assert_int_equal(span_distance(span_of(text, 64), span_of(text, 64)), 0);
    assert_int_equal(span_distance(span_of(text, 64), lit("b")), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equality_is_by_bytes),
        cmocka_unit_test(test_nocase_folds_ascii_only),
        cmocka_unit_test(test_starts_and_skip_stay_inside),
        cmocka_unit_test(test_trim_drops_blanks_at_both_ends_only),
        cmocka_unit_test(test_cut_splits_at_the_first_separator),
        cmocka_unit_test(test_u64_takes_digits_only_and_never_wraps),
        cmocka_unit_test(test_hex_is_of_the_wanted_length_or_nothing),
        cmocka_unit_test(test_order_is_total),
        cmocka_unit_test(test_cstr_refuses_what_does_not_fit),
        cmocka_unit_test(test_distance_counts_edits_and_swaps),
        cmocka_unit_test(test_distance_of_long_texts_is_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
