#include "core/wire/utf8.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_every_scalar_value_reads_as_it_was_written(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
        char text[4];
        uint32_t read = UINT32_MAX;
        size_t len = utf8_encode(cp, text);
        if (cp >= 0xd800 && cp <= 0xdfff) {
            assert_int_equal(len, 0);
            continue;
        }
        assert_int_equal(utf8_decode(span_of(text, len), &read), len);
        assert_int_equal(read, cp);
        assert_int_equal(utf8_decode(span_of(text, len - 1), &read), 0);
    }
    char text[4];
    assert_int_equal(utf8_encode(0x110000, text), 0);
}

static void test_what_is_not_utf8_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc2",
        "\xc2\x41",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xe2\x82",
        "\xe2\x28\xa1",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf0\x9f\x98",
        "\xf8\x88\x80",
        "\xff",
        "\xfe",
        "\xf5\x80\x80\x80",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint32_t cp = 77;
        assert_int_equal(utf8_decode(span_str(bad[i]), &cp), 0);
        assert_int_equal(cp, 77);
    }
}

static void test_the_valid_front_ends_before_the_first_bad_byte(void **state)
{
    (void)state;
    assert_int_equal(utf8_valid_len(SPAN_LIT("h\xc3\xa4ll\xe2\x82\xac")), 8);
    assert_int_equal(utf8_valid_len(SPAN_LIT("ab\xc3")), 2);
    assert_int_equal(utf8_valid_len(SPAN_LIT("")), 0);
}

static void test_characters_are_counted_not_bytes(void **state)
{
    (void)state;
    assert_int_equal(utf8_count(SPAN_LIT("h\xc3\xa4ll\xe2\x82\xac")), 5);
    assert_int_equal(utf8_count(SPAN_LIT("\xf0\x9f\x98\x80")), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_scalar_value_reads_as_it_was_written),
        cmocka_unit_test(test_what_is_not_utf8_is_refused),
        cmocka_unit_test(test_the_valid_front_ends_before_the_first_bad_byte),
        cmocka_unit_test(test_characters_are_counted_not_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
