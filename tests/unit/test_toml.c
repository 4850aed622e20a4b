#include "core/wire/toml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct arena arena;
    struct diag diag;
    struct strbuf text;
    struct toml_source src;
    const struct toml_value *root;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (f == NULL) return -1;
    arena_init(&f->arena, 65536, (size_t)256 << 20);
    diag_init(&f->diag);
    strbuf_init(&f->text, (size_t)16 << 20);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_fini(&f->arena);
    diag_fini(&f->diag);
    strbuf_fini(&f->text);
    free(f);
    return 0;
}

static enum err parse(struct fixture *f, struct span text)
{
    f->src = (struct toml_source){.file = "a.toml", .text = text};
    f->root = NULL;
    return toml_parse(&f->src, &f->arena, &f->diag, &f->root);
}

static void assert_place(const struct toml_place *at, unsigned line, unsigned column,
                         unsigned width)
{
    assert_int_equal(at->line, line);
    assert_int_equal(at->column, column);
    assert_int_equal(at->width, width);
}

static void test_every_key_and_value_keeps_its_place(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(parse(f, SPAN_LIT("# first\n"
                                       "[a.b]\n"
                                       "  \"h\xc3\xa4\" = \"\xe2\x82\xac\"  # one character\n"
                                       "x = [ 1,\r\n"
                                       "  { k = true } ]\n"
                                       "[[c]]\n"
                                       "d.e = 1979-05-27 07:32:00Z\n"
                                       "m = \"\"\"\n"
                                       "text\"\"\"\n"
                                       "z = 1\n")),
                     ERR_OK);
    const struct toml_value *a = toml_get(f->root, "a");
    const struct toml_value *b = toml_get(a, "b");
    assert_place(&a->key_at, 2, 2, 1);
    assert_place(&b->key_at, 2, 4, 1);
    assert_place(&b->at, 2, 1, 5);
    const struct toml_value *h = toml_get(b, "h\xc3\xa4");
    assert_place(&h->key_at, 3, 3, 4);
    assert_place(&h->at, 3, 10, 3);
    const struct toml_value *x = toml_get(b, "x");
    assert_place(&x->at, 4, 5, 1);
    assert_place(&x->u.node.child->at, 4, 7, 1);
    const struct toml_value *inner = x->u.node.child->next;
    assert_place(&inner->at, 5, 3, 12);
    assert_place(&toml_get(inner, "k")->at, 5, 9, 4);
    const struct toml_value *c = toml_get(f->root, "c")->u.node.child;
    assert_place(&c->at, 6, 1, 5);
    const struct toml_value *e = toml_get(toml_get(c, "d"), "e");
    assert_place(&e->key_at, 7, 3, 1);
    assert_place(&e->at, 7, 7, 20);
    assert_place(&toml_get(c, "m")->at, 8, 5, 1);
    assert_place(&toml_get(c, "z")->at, 10, 5, 1);
    assert_null(toml_get(f->root, "z"));
    assert_null(toml_get(h, "z"));
}

static void test_the_place_shows_its_source_line(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(parse(f, SPAN_LIT("\xef\xbb\xbf"
                                       "a = 1\r\nb = 2")),
                     ERR_OK);
    const struct toml_value *a = toml_get(f->root, "a"), *b = toml_get(f->root, "b");
    struct diag_at at = toml_diag_at(&f->src, &a->at);
    assert_true(span_eq_str(at.source, "a = 1"));
    assert_int_equal(at.column, 5);
    at = toml_diag_at(&f->src, &b->key_at);
    assert_true(span_eq_str(at.source, "b = 2"));
    assert_string_equal(at.file, "a.toml");
}

static void test_values_have_their_kind(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(parse(f, SPAN_LIT("a = -9223372036854775808\n"
                                       "b = 0xDEAD_beef\n"
                                       "c = -1.5e3\n"
                                       "d = false\n"
                                       "e = 07:32:00.999999999999\n"
                                       "f = 1979-05-27T00:32:00-07:30\n"
                                       "g = \"a\\u00e4\\n\"\n"
                                       "h = 'C:\\x'\n")),
                     ERR_OK);
    const struct toml_value *v = f->root->u.node.child;
    assert_true(v->kind == TOML_INTEGER && v->u.integer == INT64_MIN);
    v = v->next;
    assert_true(v->kind == TOML_INTEGER && v->u.integer == 0xdeadbeef);
    v = v->next;
    assert_true(v->kind == TOML_FLOAT && v->u.number == -1500.0);
    v = v->next;
    assert_true(v->kind == TOML_BOOL && !v->u.boolean);
    v = v->next;
    assert_int_equal(v->kind, TOML_TIME_LOCAL);
    assert_int_equal(v->u.date.nanosecond, 999999999);
    v = v->next;
    assert_int_equal(v->kind, TOML_DATETIME);
    assert_int_equal(v->u.date.offset_minutes, -450);
    v = v->next;
    assert_true(span_eq_str(v->u.text, "a\xc3\xa4\n"));
    v = v->next;
    assert_true(span_eq_str(v->u.text, "C:\\x"));
    assert_null(v->next);
}

static void test_errors_say_what_was_expected(void **state)
{
    static const struct {
        const char *text;
        unsigned line, column, width;
        const char *message;
    } row[] = {
        {"a", 1, 2, 1, "expected \"=\" behind the key, found the end of the file"},
        {"a =\n", 1, 4, 1, "expected a value, found the end of the line"},
        {"= 1", 1, 1, 1, "expected a key, found '='"},
        {"a = 1 b = 2", 1, 7, 1, "expected the end of the line, found 'b'"},
        {"a = info", 1, 5, 4, "info is not a value: a text needs quotes, a number only digits"},
        {"a = 08", 1, 5, 2, "08 is not a value: a number has no leading zeros"},
        {"a = 1__0", 1, 5, 4, "1__0 is not a value: an underscore stands between two digits"},
        {"a = +0x1", 1, 5, 4, "+0x1 is not a value: only a decimal number has a sign"},
        {"a = 9223372036854775808", 1, 5, 19,
         "9223372036854775808 is not a value: integers have 64 bits"},
        {"a = 1e999", 1, 5, 5, "1e999 is not a value: out of range"},
        {"a = \"x", 1, 5, 1, "this string has no closing \" on its line"},
        {"a = \"\\x41\"", 1, 6, 2,
         "no such escape: TOML knows \\b \\t \\n \\f \\r \\\" \\\\ \\uXXXX \\UXXXXXXXX"},
        {"a = \"\\ud800\"", 1, 6, 6, "U+D800 is no character"},
        {"a = \"\\u12\"", 1, 6, 4, "\\u needs 4 hexadecimal digits"},
        {"a = \"\x01\"", 1, 6, 1, "control character U+0001 in a string: write it as an escape"},
        {"a = 1 # \x7f", 1, 9, 1, "control character U+007F in a comment"},
        {"a = {b = 1,\n}", 1, 12, 1, "expected a key, found the end of the line"},
        {"a = {b = 1\n}", 1, 11, 1, "an inline table ends on its line: \"}\" is missing"},
        {"a = [1 2]", 1, 8, 1, "expected \",\" or \"]\", found '2'"},
        {"a = 2021-02-29", 1, 13, 2, "day 29 is not between 1 and 28"},
        {"a = 2000-02-30", 1, 13, 2, "day 30 is not between 1 and 29"},
        {"a = 24:00:00", 1, 5, 2, "hour 24 is not between 0 and 23"},
        {"a = 12:30", 1, 10, 1, "expected \":\" and the seconds, found the end of the file"},
        {"a = 1\na = 2", 2, 1, 1, "\"a\" is already defined at a.toml:1"},
        {"a.b = 1\na.b.c = 2", 2, 3, 1, "\"b\" is already defined at a.toml:1"},
        {"[a.b]\n[a]\n\n[a]", 4, 2, 1, "\"a\" is already defined at a.toml:2"},
        {"a = [{}]\n[[a]]", 2, 3, 1, "\"a\" is already defined at a.toml:1"},
        {"a = {}\n[a.b]", 2, 2, 1, "\"a\" is already defined at a.toml:1"},
        {"[a]\nb.c = 1\n[a.b]", 3, 4, 1, "\"b\" is already defined at a.toml:2"},
        {"[[a]", 1, 5, 1, "expected \"]]\", found the end of the file"},
        {"\na = \"\xff\"", 2, 6, 1, "byte 0xff is not UTF-8"},
        {"a = \"\"\"x", 1, 5, 1, "this string has no closing quotes"},
        {"a = \xe2\x82\xac", 1, 5, 1, "expected a value, found '\xe2\x82\xac'"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        assert_int_equal(parse(f, span_str(row[i].text)), ERR_INVALID);
        const struct diag_entry *e = &f->diag.entry[0];
        if (f->diag.errors != 1) fail_msg("%s: %u errors", row[i].text, f->diag.errors);
        assert_string_equal(e->message, row[i].message);
        if (e->line != row[i].line || e->column != row[i].column || e->width != row[i].width)
            fail_msg("%s: %u:%u+%u", row[i].text, e->line, e->column, e->width);
        diag_fini(&f->diag);
    }
}

static void test_several_bad_lines_are_reported_at_once(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(parse(f, SPAN_LIT("a = \n"
                                       "b = 1\n"
                                       "[c\n"
                                       "x = 1\n"
                                       "b = 2\n" /* goes with the header that is refused */
                                       "[d]\n"
                                       "b = info\n"
                                       "[d]\n"
                                       "b = 1\n")),
                     ERR_INVALID);
    assert_int_equal(f->diag.errors, 4);
    assert_int_equal(f->diag.entry[0].line, 1);
    assert_int_equal(f->diag.entry[1].line, 3);
    assert_int_equal(f->diag.entry[2].line, 7);
    assert_int_equal(f->diag.entry[3].line, 8);
}

static void test_nothing_is_guessed_inside_a_broken_array_or_long_string(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(parse(f, SPAN_LIT("a = [1 2,\nb = 3\n]\n")), ERR_INVALID);
    assert_int_equal(f->diag.errors, 1);
    diag_fini(&f->diag);
    assert_int_equal(parse(f, SPAN_LIT("a = '''\nb = \nc = \n")), ERR_INVALID);
    assert_int_equal(f->diag.errors, 1);
}

static void test_no_more_than_twenty_errors_are_looked_for(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100000; i++)
        strbuf_str(&f->text, "!\n");
    assert_int_equal(parse(f, strbuf_view(&f->text)), ERR_INVALID);
    assert_int_equal(f->diag.errors, DIAG_ENTRIES_MAX);
}

static void fill(struct fixture *f, const char *head, const char *unit, size_t count,
                 const char *tail)
{
    strbuf_reset(&f->text);
    strbuf_str(&f->text, head);
    for (size_t i = 0; i < count; i++)
        strbuf_str(&f->text, unit);
    strbuf_str(&f->text, tail);
    assert_true(strbuf_ok(&f->text));
}

/* security.md X01. */
static void test_depth_is_bounded(void **state)
{
    static const struct {
        const char *head, *unit, *tail;
        size_t count;
        enum err err;
    } row[] = {
        {"a=", "[", "", 100000, ERR_INVALID},
        {"a=", "{a=", "", 100000, ERR_INVALID},
        {"a=", "[{a=", "", 100000, ERR_INVALID},
        {"a", ".a", "=1", 10000, ERR_INVALID},
        {"[a", ".a", "]", 10000, ERR_INVALID},
        {"[[a", ".a", "]]", 10000, ERR_INVALID},
        {"a", ".a", "=1", TOML_DEPTH_MAX - 1, ERR_OK},
        {"a", ".a", "=1", TOML_DEPTH_MAX, ERR_INVALID},
        {"[a", ".a", "]", TOML_DEPTH_MAX - 2, ERR_OK},
        {"[a", ".a", "]", TOML_DEPTH_MAX - 1, ERR_INVALID},
        {"[a", ".a", "]\nb.b.b=1", TOML_DEPTH_MAX - 2, ERR_INVALID},
        {"a=[", "[],", "]", 1000, ERR_OK},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        fill(f, row[i].head, row[i].unit, row[i].count, row[i].tail);
        if (parse(f, strbuf_view(&f->text)) != row[i].err) fail_msg("row %zu", i);
        diag_fini(&f->diag);
    }
}

static void test_size_and_number_of_values_are_bounded(void **state)
{
    struct fixture *f = *state;
    fill(f, "", "\n", (size_t)CONFIG_FILE_BYTES_MAX + 1, "");
    assert_int_equal(parse(f, strbuf_view(&f->text)), ERR_TOO_LARGE);
    assert_string_equal(f->diag.entry[0].message, "larger than 8 MiB");
    diag_fini(&f->diag);
    fill(f, "", "\n", CONFIG_FILE_BYTES_MAX, "");
    assert_int_equal(parse(f, strbuf_view(&f->text)), ERR_OK);
    fill(f, "a=[", "1,", TOML_KEYS_MAX, "]");
    assert_int_equal(parse(f, strbuf_view(&f->text)), ERR_TOO_LARGE);
    assert_string_equal(f->diag.entry[0].message, "more values than a file may hold");
    diag_fini(&f->diag);
    fill(f, "a=[", "1,", TOML_KEYS_MAX - 1, "]");
    assert_int_equal(parse(f, strbuf_view(&f->text)), ERR_OK);
    assert_int_equal(toml_get(f->root, "a")->u.node.count, TOML_KEYS_MAX - 1);
}

static void test_the_arena_bounds_the_tree(void **state)
{
    struct fixture *f = *state;
    struct arena small;
    fill(f, "a=[", "1,", 10000, "]");
    arena_init(&small, 4096, 65536);
    f->src = (struct toml_source){.file = "a.toml", .text = strbuf_view(&f->text)};
    assert_int_equal(toml_parse(&f->src, &small, &f->diag, &f->root), ERR_NOMEM);
    arena_fini(&small);
}

static void test_all_keys_of_a_large_table_are_found(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100000; i++)
        strbuf_fmt(&f->text, "k%d = %d\n", i, i);
    assert_int_equal(parse(f, strbuf_view(&f->text)), ERR_OK);
    assert_int_equal(f->root->u.node.count, 100000);
    assert_int_equal(toml_get(f->root, "k99999")->u.integer, 99999);
    strbuf_str(&f->text, "k77777 = 1\n");
    assert_int_equal(parse(f, strbuf_view(&f->text)), ERR_INVALID);
    assert_string_equal(f->diag.entry[0].message, "\"k77777\" is already defined at a.toml:77778");
}

static void test_a_key_is_its_own_in_every_table(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(parse(f, SPAN_LIT("a = 1\n[b]\na = 2\n[c]\na = {a = 3}\n\"\" = 4\n")), ERR_OK);
    assert_int_equal(toml_get(toml_get(f->root, "b"), "a")->u.integer, 2);
    assert_int_equal(toml_get(toml_get(toml_get(f->root, "c"), "a"), "a")->u.integer, 3);
    assert_int_equal(toml_get(toml_get(f->root, "c"), "")->u.integer, 4);
}

static void test_an_empty_text_is_an_empty_table(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(parse(f, span_of(NULL, 0)), ERR_OK);
    assert_int_equal(f->root->u.node.count, 0);
    assert_int_equal(parse(f, span_of("a\0=1", 4)), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_key_and_value_keeps_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_place_shows_its_source_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_values_have_their_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors_say_what_was_expected, setup, teardown),
        cmocka_unit_test_setup_teardown(test_several_bad_lines_are_reported_at_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_nothing_is_guessed_inside_a_broken_array_or_long_string, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_more_than_twenty_errors_are_looked_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_depth_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_size_and_number_of_values_are_bounded, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_arena_bounds_the_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_keys_of_a_large_table_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_key_is_its_own_in_every_table, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_empty_text_is_an_empty_table, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
