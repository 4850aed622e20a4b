#include "core/base/strbuf.h"

#include <stdlib.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void test_new_buffer_is_empty_text(void **state)
{
    (void)state;
    struct strbuf sb;
    strbuf_init(&sb, 100);
    assert_string_equal(sb.p, "");
    assert_true(strbuf_ok(&sb));
    assert_int_equal(strbuf_view(&sb).len, 0);
    strbuf_fini(&sb);
    strbuf_fini(&sb);
}

static void test_appends_build_one_text(void **state)
{
    (void)state;
    struct strbuf sb;
    strbuf_init(&sb, 1000);
    strbuf_str(&sb, "a");
    strbuf_char(&sb, '-');
    strbuf_u64(&sb, 0);
    strbuf_char(&sb, ' ');
    strbuf_u64(&sb, UINT64_MAX);
    strbuf_span(&sb, SPAN_LIT(" x"));
    strbuf_fmt(&sb, " %d %s", -3, "y");
    strbuf_hex(&sb, "\x00\xfe", 2);
    strbuf_add(&sb, NULL, 0);
    assert_string_equal(sb.p, "a-0 18446744073709551615 x -3 y00fe");
    assert_true(strbuf_ok(&sb));
    strbuf_fini(&sb);
}

static void test_grows_up_to_its_bound_and_no_further(void **state)
{
    (void)state;
    struct strbuf sb;
    strbuf_init(&sb, 1001);
    for (int i = 0; i < 1000; i++)
        strbuf_char(&sb, 'x');
    assert_true(strbuf_ok(&sb));
    assert_int_equal(sb.len, 1000);
    assert_true(sb.cap <= 1001);
    strbuf_char(&sb, 'y');
    assert_false(strbuf_ok(&sb));
    assert_int_equal(sb.len, 1000);
    assert_int_equal(strlen(sb.p), 1000);
    strbuf_fini(&sb);
}

static void test_room_is_filled_by_the_caller_or_not_given(void **state)
{
    (void)state;
    char storage[8];
    struct strbuf sb;
    strbuf_init_fixed(&sb, storage, sizeof(storage));
    strbuf_str(&sb, "ab");
    char *room = strbuf_room(&sb, 5);
    assert_ptr_equal(room, storage + 2);
    memcpy(room, "cdefg", 5);
    assert_string_equal(strbuf_view(&sb).p, "abcdefg");
    assert_true(strbuf_ok(&sb));
    assert_null(strbuf_room(&sb, 1));
    assert_false(strbuf_ok(&sb));
    assert_string_equal(strbuf_view(&sb).p, "abcdefg");
}

static void test_overflow_stays_until_reset(void **state)
{
    (void)state;
    char storage[4];
    struct strbuf sb;
    strbuf_init_fixed(&sb, storage, sizeof(storage));
    strbuf_str(&sb, "abcd");
    strbuf_str(&sb, "a");
    assert_false(strbuf_ok(&sb));
    assert_string_equal(sb.p, "");
    strbuf_reset(&sb);
    strbuf_str(&sb, "abc");
    assert_true(strbuf_ok(&sb));
    assert_string_equal(storage, "abc");
    strbuf_fmt(&sb, "%d", 12);
    assert_false(strbuf_ok(&sb));
    assert_string_equal(storage, "abc");
}

static void test_hex_of_unthinkable_length_overflows(void **state)
{
    (void)state;
    struct strbuf sb;
    strbuf_init(&sb, 100);
    strbuf_hex(&sb, "x", SIZE_MAX / 2 + 1);
    assert_false(strbuf_ok(&sb));
    strbuf_reset(&sb);
    strbuf_add(&sb, "x", SIZE_MAX);
    assert_false(strbuf_ok(&sb));
    strbuf_fini(&sb);
}

/* RFC 4648 10. */
static void test_base64_pads_to_four_digits(void **state)
{
    (void)state;
    static const char *const want[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                       "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    struct strbuf sb;
    strbuf_init(&sb, 100);
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        strbuf_reset(&sb);
        strbuf_base64(&sb, "foobar", i);
        assert_string_equal(sb.p, want[i]);
    }
    strbuf_reset(&sb);
    strbuf_base64(&sb, "\x00\xff\xfb\xf0", 4);
    assert_string_equal(sb.p, "AP/78A==");
    strbuf_base64(&sb, "x", SIZE_MAX);
    assert_false(strbuf_ok(&sb));
    strbuf_fini(&sb);
    char eight[8];
    strbuf_init_fixed(&sb, eight, sizeof(eight));
    strbuf_base64(&sb, "foobar", 6);
    assert_false(strbuf_ok(&sb));
    assert_string_equal(eight, "");
}

static void test_take_gives_the_text_away(void **state)
{
    (void)state;
    struct strbuf sb;
    strbuf_init(&sb, 100);
    strbuf_str(&sb, "mine");
    char *text = strbuf_take(&sb);
    assert_string_equal(text, "mine");
    assert_string_equal(sb.p, "");
    free(text);
    text = strbuf_take(&sb);
    assert_string_equal(text, "");
    free(text);
    strbuf_fini(&sb);
}

static void test_take_refuses_cut_or_fixed_text(void **state)
{
    (void)state;
    char storage[8];
    struct strbuf sb;
    strbuf_init_fixed(&sb, storage, sizeof(storage));
    assert_null(strbuf_take(&sb));
    strbuf_init(&sb, 2);
    strbuf_str(&sb, "ab");
    assert_null(strbuf_take(&sb));
    strbuf_fini(&sb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_buffer_is_empty_text),
        cmocka_unit_test(test_appends_build_one_text),
        cmocka_unit_test(test_grows_up_to_its_bound_and_no_further),
        cmocka_unit_test(test_room_is_filled_by_the_caller_or_not_given),
        cmocka_unit_test(test_overflow_stays_until_reset),
        cmocka_unit_test(test_hex_of_unthinkable_length_overflows),
        cmocka_unit_test(test_base64_pads_to_four_digits),
        cmocka_unit_test(test_take_gives_the_text_away),
        cmocka_unit_test(test_take_refuses_cut_or_fixed_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
