#include "core/base/diag.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static const char *printed(const struct diag *d)
{
    static char text[65536];
    struct strbuf sb;
    strbuf_init_fixed(&sb, text, sizeof(text));
    diag_print(d, &sb);
    assert_true(strbuf_ok(&sb));
    return text;
}

static void test_prints_place_source_and_caret(void **state)
{
    (void)state;
    struct diag d;
    diag_init(&d);
    struct diag_at at = {.file = "/etc/parley/parley.toml",
                         .source = SPAN_LIT("retires = { on = [\"connect\"], tries = 3 }"),
                         .line = 38,
                         .column = 1,
                         .width = 7};
    diag_error(&d, &at, "unknown key \"%s\" in [%s]; did you mean \"%s\"?", "retires",
               "upstream.api", "retry");
    assert_string_equal(printed(&d),
                        "/etc/parley/parley.toml:38:1: error: unknown key \"retires\" in "
                        "[upstream.api]; did you mean \"retry\"?\n"
                        "   38 | retires = { on = [\"connect\"], tries = 3 }\n"
                        "      | ^~~~~~~\n");
    diag_fini(&d);
}

static void test_unknown_parts_of_a_place_are_left_out(void **state)
{
    (void)state;
    struct diag d;
    struct diag_at file_only = {.file = "a.toml"};
    struct diag_at line_only = {.file = "a.toml", .line = 4, .source = SPAN_LIT("x = 1")};
    diag_init(&d);
    diag_error(&d, NULL, "no file");
    assert_string_equal(printed(&d), "error: no file\n");
    diag_warning(&d, &file_only, "odd");
    diag_error(&d, &line_only, "bad");
    assert_string_equal(printed(&d), "error: no file\n"
                                     "a.toml: warning: odd\n"
                                     "a.toml:4: error: bad\n"
                                     "    4 | x = 1\n"
                                     "2 errors, 1 warning\n");
    diag_fini(&d);
}

static void test_a_finding_shows_its_code(void **state)
{
    (void)state;
    struct diag d;
    struct diag_at at = {.file = "a.toml", .line = 25, .column = 1, .code = "L07"};
    diag_init(&d);
    diag_warning(&d, &at, "rule \"all\" is open");
    assert_string_equal(printed(&d), "a.toml:25:1: warning[L07]: rule \"all\" is open\n");
    diag_fini(&d);
}

static void test_columns_count_characters(void **state)
{
    (void)state;
    struct diag d;
    struct diag_at at = {.file = "f",
                         .source = SPAN_LIT("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\" = x")};
    at.line = 1;
    at.column = 9;
    diag_init(&d);
    diag_error(&d, &at, "bare word");
    assert_non_null(strstr(printed(&d), "\n      |         ^\n"));
    assert_int_equal(d.entry[0].width, 1);
    diag_fini(&d);
}

static void test_caret_stays_within_the_line(void **state)
{
    (void)state;
    struct diag d;
    struct diag_at at = {.file = "f", .source = SPAN_LIT("abc"), .line = 1, .column = 2};
    at.width = 100;
    diag_init(&d);
    diag_error(&d, &at, "wide");
    assert_non_null(strstr(printed(&d), "\n      |  ^~\n"));
    at.column = 4;
    diag_error(&d, &at, "at the end");
    assert_non_null(strstr(printed(&d), "\n      |    ^\n"));
    diag_fini(&d);
    at.column = 5;
    diag_error(&d, &at, "beyond");
    assert_null(strchr(printed(&d), '^'));
    diag_fini(&d);
}

static void test_controls_never_reach_the_terminal(void **state)
{
    (void)state;
    struct diag d;
    struct diag_at at = {
        .file = "a\nb", .source = SPAN_LIT("\t\x1b[31m\x7f\0\xff\xc2\x9b!"), .line = 1};
    at.column = 11;
    diag_init(&d);
    diag_error(&d, &at, "key \"%s\"", "\x1b]0;\r\xc2\x85\x80\xc3\xa9");
    const char *text = printed(&d);
    assert_non_null(
        strstr(text, "a\\x0ab:1:11: error: key \"\\x1b]0;\\x0d\\xc2\\x85\\x80\xc3\xa9\"\n"));
    for (const char *p = text; *p != '\0'; p++)
        assert_true((unsigned char)*p >= 0x20 || *p == '\n');
    /* One character each: tab, ESC, "[31m", DEL, NUL, a stray byte, a C1 control; then '!'. */
    assert_non_null(strstr(text, "\n      |           ^\n"));
    diag_fini(&d);
}

static void test_malformed_utf8_is_escaped(void **state)
{
    (void)state;
    const char *bad[] = {"\xc0\xaf",         "\xe0\x80\x80",     "\xed\xa0\x80", "\xf0\x80\x80\x80",
                         "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct diag d;
        diag_init(&d);
        diag_error(&d, NULL, "%s", bad[i]);
        for (const char *p = d.entry[0].message; *p != '\0'; p++)
            assert_true((unsigned char)*p < 0x80);
        diag_fini(&d);
    }
}

static void test_keeps_twenty_and_counts_the_rest(void **state)
{
    (void)state;
    struct diag d;
    diag_init(&d);
    for (int i = 0; i < 25; i++)
        diag_error(&d, NULL, "error %d", i);
    diag_warning(&d, NULL, "late");
    assert_int_equal(d.count, DIAG_ENTRIES_MAX);
    assert_int_equal(d.errors, 25);
    assert_int_equal(d.warnings, 1);
    assert_non_null(strstr(printed(&d), "25 errors, 1 warning (the first 20 shown)\n"));
    assert_null(strstr(printed(&d), "error 20"));
    diag_fini(&d);
}

static void test_long_message_is_cut_between_characters(void **state)
{
    (void)state;
    struct diag d;
    char text[2001];
    for (size_t i = 0; i < 2000; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[2000] = '\0';
    diag_init(&d);
    diag_error(&d, NULL, "%s", text);
    diag_error(&d, NULL, "x%s", text);
    for (int i = 0; i < 2; i++) {
        assert_true(strlen(d.entry[i].message) >= 1000);
        assert_true(strlen(d.entry[i].message) < 1024);
        assert_null(strchr(d.entry[i].message, '\\'));
    }
    diag_fini(&d);
}

static void test_no_collector_is_no_trouble(void **state)
{
    (void)state;
    diag_error(NULL, NULL, "nobody listens");
    struct diag d;
    diag_init(&d);
    assert_string_equal(printed(&d), "");
    diag_fini(&d);
}

static void test_did_you_mean_finds_the_closest_or_the_only_longer(void **state)
{
    (void)state;
    const char *const words[] = {"retry", "request_timeout", "listen", "limits", "timeout"};
    assert_string_equal(diag_did_you_mean(SPAN_LIT("rerty"), words, 5), "retry");
    assert_string_equal(diag_did_you_mean(SPAN_LIT("timeuot"), words, 5), "timeout");
    assert_string_equal(diag_did_you_mean(SPAN_LIT("req"), words, 5), "request_timeout");
    assert_null(diag_did_you_mean(SPAN_LIT("re"), words, 5));
    assert_null(diag_did_you_mean(SPAN_LIT("zzz"), words, 5));
    assert_null(diag_did_you_mean(SPAN_LIT("lo"), words, 5));
    assert_null(diag_did_you_mean(SPAN_LIT(""), words, 5));
    assert_string_equal(diag_did_you_mean(SPAN_LIT("retires"), words, 5), "retry");
    assert_null(diag_did_you_mean(SPAN_LIT("retiring"), words, 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prints_place_source_and_caret),
        cmocka_unit_test(test_unknown_parts_of_a_place_are_left_out),
        cmocka_unit_test(test_a_finding_shows_its_code),
        cmocka_unit_test(test_columns_count_characters),
        cmocka_unit_test(test_caret_stays_within_the_line),
        cmocka_unit_test(test_controls_never_reach_the_terminal),
        cmocka_unit_test(test_malformed_utf8_is_escaped),
        cmocka_unit_test(test_keeps_twenty_and_counts_the_rest),
        cmocka_unit_test(test_long_message_is_cut_between_characters),
        cmocka_unit_test(test_no_collector_is_no_trouble),
        cmocka_unit_test(test_did_you_mean_finds_the_closest_or_the_only_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
