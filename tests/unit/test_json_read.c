#include "core/wire/json_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int setup(void **state)
{
    struct arena *a = malloc(sizeof(*a));
    if (a == NULL) return -1;
    arena_init(a, 4096, 1u << 20);
    *state = a;
    return 0;
}

static int teardown(void **state)
{
    arena_fini(*state);
    free(*state);
    return 0;
}

static const struct json_value *tree(void **state, const char *text)
{
    const struct json_value *v = NULL;
    if (json_read(span_str(text), *state, &v, NULL) != ERR_OK) fail_msg("%s", text);
    return v;
}

static void test_a_document_becomes_a_tree(void **state)
{
    const struct json_value *v =
        tree(state, " { \"s\" : \"x\", \"n\": 12, \"f\": -1.5e3, \"b\": true, \"z\": null,\r\n"
                    "\t\"a\": [ 1, [ ], {} , \"y\" ], \"o\": {\"k\":false} } ");
    assert_int_equal(v->kind, JSON_OBJECT);
    assert_int_equal(v->count, 7);
    assert_true(span_eq_str(json_read_str(v, "s", SPAN_LIT("-")), "x"));
    assert_int_equal(json_read_u64(v, "n", 0), 12);
    assert_int_equal(json_read_get(v, "f")->kind, JSON_NUMBER);
    assert_int_equal(json_read_u64(v, "f", 7), 7); /* not a count */
    assert_true(json_read_bool(v, "b", false));
    assert_int_equal(json_read_get(v, "z")->kind, JSON_NULL);
    const struct json_value *a = json_read_get(v, "a");
    assert_int_equal(a->count, 4);
    assert_int_equal(a->child->next->kind, JSON_ARRAY);
    assert_int_equal(a->child->next->count, 0);
    assert_true(span_eq_str(a->child->next->next->next->text, "y"));
    assert_false(json_read_bool(json_read_get(v, "o"), "k", true));
}

static void test_an_absent_or_other_member_gives_the_default(void **state)
{
    const struct json_value *v = tree(state, "{\"s\":\"x\",\"n\":-1,\"f\":1.5}");
    assert_int_equal(json_read_u64(v, "none", 7), 7);
    assert_int_equal(json_read_u64(v, "s", 7), 7);
    assert_int_equal(json_read_u64(v, "n", 7), 7);
    assert_int_equal(json_read_u64(v, "f", 7), 7);
    assert_true(span_eq_str(json_read_str(v, "n", SPAN_LIT("-")), "-"));
    assert_true(json_read_bool(v, "s", true));
    assert_null(json_read_get(NULL, "s"));
    assert_null(json_read_get(v->child, "s"));
}

static void test_strings_are_unescaped(void **state)
{
    const struct json_value *v =
        tree(state, "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\", \"\\u00e4\\uD83D\\ude00\", \"a\\u0000b\"]");
    assert_true(span_eq_str(v->child->text, "\"\\/\b\f\n\r\t"));
    assert_true(span_eq_str(v->child->next->text, "\xc3\xa4\xf0\x9f\x98\x80"));
    assert_true(span_eq(v->child->next->next->text, span_of("a\0b", 3)));
}

static void test_what_is_not_json_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "}",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1,}",
        "[1 2]",
        "01",
        "-",
        "1.",
        ".5",
        "+1",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "tru",
        "truex",
        "nulll",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\n\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\xff\"",
        "'a'",
        "[1]]",
        "1 1",
        "// x\n1",
        "{\"a\":1,\"b\":2,\"a\":3}",
        "\"\\u00g0\"",
        "\xef\xbb\xbf"
        "1",
        "\"a\\\"",
        "{\"a\" 1}",
        "[",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct json_value *v = NULL;
        size_t offset = SIZE_MAX;
        if (json_read(span_str(bad[i]), *state, &v, &offset) != ERR_INVALID) fail_msg("%s", bad[i]);
        assert_null(v);
        assert_true(offset <= strlen(bad[i]));
    }
}

static void test_the_offset_shows_where_it_went_wrong(void **state)
{
    const struct json_value *v;
    size_t offset = 0;
    assert_int_equal(json_read(SPAN_LIT("{\"a\": tru}"), *state, &v, &offset), ERR_INVALID);
    assert_int_equal(offset, 6);
}

static void test_depth_is_bounded(void **state)
{
    size_t n = 100000;
    char *text = malloc(n);
    const struct json_value *v;
    assert_non_null(text);
    memset(text, '[', n);
    assert_int_equal(json_read(span_of(text, n), *state, &v, NULL), ERR_TOO_LARGE);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    assert_int_equal(json_read(span_of(text, 2 * JSON_DEPTH_MAX), *state, &v, NULL), ERR_OK);
    free(text);
}

static void test_the_arena_bounds_the_tree(void **state)
{
    (void)state;
    struct arena small;
    char text[4003];
    const struct json_value *v;
    memset(text, '1', sizeof(text));
    for (size_t i = 0; i < sizeof(text); i += 2)
        text[i] = ',';
    text[0] = '[';
    text[sizeof(text) - 1] = ']';
    arena_init(&small, 1024, 8192);
    assert_int_equal(json_read(span_of(text, sizeof(text)), &small, &v, NULL), ERR_NOMEM);
    arena_fini(&small);
}

static void test_the_reader_reads_what_the_writer_writes(void **state)
{
    struct strbuf sb;
    struct json j;
    char every[256];
    for (size_t i = 0; i < 128; i++)
        every[i] = (char)i;
    strbuf_init(&sb, 65536);
    json_init(&j, &sb);
    json_str(&j, span_of(every, 128));
    const struct json_value *v = tree(state, sb.p);
    assert_true(span_eq(v->text, span_of(every, 128)));
    strbuf_fini(&sb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_document_becomes_a_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_absent_or_other_member_gives_the_default, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_strings_are_unescaped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_json_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_offset_shows_where_it_went_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(test_depth_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_arena_bounds_the_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_reader_reads_what_the_writer_writes, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
