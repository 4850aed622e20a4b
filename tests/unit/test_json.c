#include "core/wire/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define WITH_JSON(...)                                                                             \
    do {                                                                                           \
        struct strbuf sb;                                                                          \
        struct json j;                                                                             \
        strbuf_init(&sb, 65536);                                                                   \
        json_init(&j, &sb);                                                                        \
        __VA_ARGS__                                                                                \
        strbuf_fini(&sb);                                                                          \
    } while (0)

static void test_values_are_parted_by_commas_at_every_level(void **state)
{
    (void)state;
    WITH_JSON({
        json_object(&j);
        json_key(&j, "a");
        json_array(&j);
        json_u64(&j, UINT64_MAX);
        json_i64(&j, INT64_MIN);
        json_array(&j);
        json_array_end(&j);
        json_bool(&j, true);
        json_bool(&j, false);
        json_null(&j);
        json_array_end(&j);
        json_key(&j, "b");
        json_object(&j);
        json_object_end(&j);
        json_key(&j, "c");
        json_cstr(&j, NULL);
        json_key(&j, "d");
        json_raw(&j, SPAN_LIT("[1]"));
        json_object_end(&j);
        assert_string_equal(sb.p, "{\"a\":[18446744073709551615,-9223372036854775808,[],true,false,"
                                  "null],\"b\":{},\"c\":null,\"d\":[1]}");
    });
}

static void test_a_member_is_a_key_and_a_value(void **state)
{
    (void)state;
    WITH_JSON({
        json_object(&j);
        json_member_cstr(&j, "a", "x");
        json_member_cstr(&j, "b", NULL);
        json_member_u64(&j, "c", 7);
        json_member_bool(&j, "d", true);
        json_member_hex(&j, "e", "\x00\xfe", 2);
        json_member_hex(&j, "f", "", 0);
        json_member_base64(&j, "g", "\xff", 1);
        json_object_end(&j);
        assert_string_equal(sb.p,
                            "{\"a\":\"x\",\"b\":null,\"c\":7,\"d\":true,\"e\":\"00fe\",\"f\":\"\","
                            "\"g\":\"/w==\"}");
    });
}

static void test_a_level_entered_again_starts_without_comma(void **state)
{
    (void)state;
    WITH_JSON({
        json_array(&j);
        for (int i = 0; i < 3; i++) {
            json_object(&j);
            json_key(&j, "i");
            json_i64(&j, -i);
            json_object_end(&j);
        }
        json_array_end(&j);
        assert_string_equal(sb.p, "[{\"i\":0},{\"i\":-1},{\"i\":-2}]");
    });
}

static void test_strings_are_escaped(void **state)
{
    (void)state;
    WITH_JSON({
        json_str(
            &j, span_of("\"\\/\b\f\n\r\t\0\x01\x1f\x7f h\xc3\xa4\xf0\x9f\x98\x80\xe2\x80\xa8", 23));
        assert_string_equal(sb.p, "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u0001\\u001f\\u007f "
                                  "h\xc3\xa4\xf0\x9f\x98\x80\\u2028\"");
    });
}

static void test_bytes_that_are_not_utf8_are_replaced_one_by_one(void **state)
{
    (void)state;
    WITH_JSON({
        json_str(&j, SPAN_LIT("a\xff\xc3(\xe2\x82"));
        assert_string_equal(sb.p, "\"a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\"");
    });
}

static void test_keys_are_escaped_too(void **state)
{
    (void)state;
    WITH_JSON({
        json_object(&j);
        json_key(&j, "a\"\n");
        json_cstr(&j, "x");
        json_object_end(&j);
        assert_string_equal(sb.p, "{\"a\\\"\\n\":\"x\"}");
    });
}

static void test_numbers_that_json_cannot_say_are_null(void **state)
{
    (void)state;
    WITH_JSON({
        json_array(&j);
        json_f64(&j, 1.0 / 3.0, 3);
        json_f64(&j, -2.5, 0);
        json_f64(&j, (double)NAN, 2);
        json_f64(&j, (double)INFINITY, 2);
        json_array_end(&j);
        assert_string_equal(sb.p, "[0.333,-2,null,null]");
    });
}

static void test_the_deepest_level_is_64(void **state)
{
    (void)state;
    WITH_JSON({
        for (unsigned i = 0; i < JSON_DEPTH_MAX; i++)
            json_array(&j);
        json_u64(&j, 1);
        for (unsigned i = 0; i < JSON_DEPTH_MAX; i++)
            json_array_end(&j);
        assert_int_equal(sb.len, 2 * JSON_DEPTH_MAX + 1);
    });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_parted_by_commas_at_every_level),
        cmocka_unit_test(test_a_member_is_a_key_and_a_value),
        cmocka_unit_test(test_a_level_entered_again_starts_without_comma),
        cmocka_unit_test(test_strings_are_escaped),
        cmocka_unit_test(test_bytes_that_are_not_utf8_are_replaced_one_by_one),
        cmocka_unit_test(test_keys_are_escaped_too),
        cmocka_unit_test(test_numbers_that_json_cannot_say_are_null),
        cmocka_unit_test(test_the_deepest_level_is_64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
