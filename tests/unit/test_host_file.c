#include "cmd/daemon/host_file.h"
#include "tests/unit/support_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define MAIN      "etc/parley/parley.toml"
#define LAST_GOOD "var/lib/parley/last-good.toml"

struct world {
    char root[64];
    struct store store;
    struct diag diag;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    support_folder_make(w->root);
    assert_int_equal(store_open(w->root, NULL, &w->store), ERR_OK);
    diag_init(&w->diag);
    assert_int_equal(store_prepare(&w->store, false, &w->diag), ERR_OK);
    *state = w;
    return 0;
}

static char *path_of(const struct world *w, const char *path, char dst[STORE_PATH_MAX])
{
    (void)snprintf(dst, STORE_PATH_MAX, "%s/%s", w->root, path);
    return dst;
}

static int teardown(void **state)
{
    struct world *w = *state;
    support_folder_remove(w->root);
    diag_fini(&w->diag);
    free(w);
    return 0;
}

static void put(const struct world *w, const char *path, const char *text)
{
    char full[STORE_PATH_MAX];
    FILE *f = fopen(path_of(w, path, full), "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static bool ends_with(const char *s, const char *end)
{
    size_t a = strlen(s), b = strlen(end);
    return a >= b && strcmp(s + a - b, end) == 0;
}

static void test_missing_file_names_the_next_command(void **state)
{
    struct world *w = *state;
    struct host_file h;
    assert_int_equal(host_file_read(&w->store, &w->diag, &h), ERR_NOT_FOUND);
    assert_non_null(strstr(w->diag.entry[0].message, "etc/parley/parley.toml: parley init"));
}

static void test_default_include_takes_conf_d_in_order(void **state)
{
    struct world *w = *state;
    struct host_file h;
    put(w, MAIN, "[node]\nname = \"a\"\n");
    put(w, "etc/parley/conf.d/20-b.toml", "# b\n");
    put(w, "etc/parley/conf.d/10-a.toml", "# a\n");
    put(w, "etc/parley/conf.d/.hidden.toml", "# hidden\n");
    put(w, "etc/parley/conf.d/note.txt", "no toml\n");
    assert_int_equal(host_file_read(&w->store, &w->diag, &h), ERR_OK);
    assert_int_equal(h.count, 3);
    assert_true(ends_with(h.text[0].file, MAIN));
    assert_true(ends_with(h.text[1].file, "etc/parley/conf.d/10-a.toml"));
    assert_true(ends_with(h.text[2].file, "etc/parley/conf.d/20-b.toml"));
    assert_true(span_eq_str(h.text[2].text, "# b\n"));
    host_file_fini(&h);
}

static void test_named_include_must_be_there(void **state)
{
    struct world *w = *state;
    struct host_file h;
    put(w, MAIN, "include = [\"one.toml\"]\n");
    assert_int_equal(host_file_read(&w->store, &w->diag, &h), ERR_NOT_FOUND);
    assert_non_null(strstr(w->diag.entry[0].message, "one.toml, which does not exist"));
    put(w, "etc/parley/one.toml", "# one\n");
    assert_int_equal(host_file_read(&w->store, &w->diag, &h), ERR_OK);
    assert_int_equal(h.count, 2);
    host_file_fini(&h);
}

static void test_pattern_over_a_missing_folder_matches_nothing(void **state)
{
    struct world *w = *state;
    struct host_file h;
    put(w, MAIN, "include = [\"none.d/*.toml\"]\n");
    assert_int_equal(host_file_read(&w->store, &w->diag, &h), ERR_OK);
    assert_int_equal(h.count, 1);
    host_file_fini(&h);
}

static void test_star_in_a_folder_is_refused(void **state)
{
    struct world *w = *state;
    struct host_file h;
    put(w, MAIN, "include = [\"*/a.toml\"]\n");
    assert_int_equal(host_file_read(&w->store, &w->diag, &h), ERR_INVALID);
    assert_non_null(strstr(w->diag.entry[0].message, "last part only"));
}

static void test_last_good_gives_every_text_back_with_its_place(void **state)
{
    struct world *w = *state;
    struct host_file h, back;
    assert_int_equal(host_file_read_last_good(&w->store, &w->diag, &back), ERR_NOT_FOUND);
    put(w, MAIN, "[node]\nname = \"a\"");
    put(w, "etc/parley/conf.d/10-a.toml", "");
    put(w, "etc/parley/conf.d/20-b.toml", "# parley-file 3 x\nabc\n");
    assert_int_equal(host_file_read(&w->store, &w->diag, &h), ERR_OK);
    assert_int_equal(host_file_save_last_good(&w->store, &h, &w->diag), ERR_OK);
    assert_int_equal(host_file_read_last_good(&w->store, &w->diag, &back), ERR_OK);
    assert_int_equal(back.count, h.count);
    for (size_t i = 0; i < h.count; i++) {
        assert_string_equal(back.text[i].file, h.text[i].file);
        assert_true(span_eq(back.text[i].text, h.text[i].text));
    }
    host_file_fini(&back);
    host_file_fini(&h);
}

static void test_damaged_last_good_is_corrupt(void **state)
{
    struct world *w = *state;
    struct host_file h;
    put(w, LAST_GOOD, "parley-state 1 3 0123456789abcdef\nabc");
    assert_int_equal(host_file_read_last_good(&w->store, &w->diag, &h), ERR_CORRUPT);
    assert_int_equal(
        store_write_checked(&w->store, STORE_LAST_GOOD, SPAN_LIT("# parley-file 9 x\nabc\n"), NULL),
        ERR_OK);
    assert_int_equal(host_file_read_last_good(&w->store, &w->diag, &h), ERR_CORRUPT);
}

static void test_file_over_the_limit_is_refused(void **state)
{
    struct world *w = *state;
    struct host_file h;
    char path[STORE_PATH_MAX];
    put(w, MAIN, "#");
    assert_int_equal(truncate(path_of(w, MAIN, path), CONFIG_FILE_BYTES_MAX + 1), 0);
    assert_int_equal(host_file_read(&w->store, &w->diag, &h), ERR_TOO_LARGE);
    assert_int_equal(w->diag.errors, 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_missing_file_names_the_next_command),
        CASE(test_default_include_takes_conf_d_in_order),
        CASE(test_named_include_must_be_there),
        CASE(test_pattern_over_a_missing_folder_matches_nothing),
        CASE(test_star_in_a_folder_is_refused),
        CASE(test_last_good_gives_every_text_back_with_its_place),
        CASE(test_damaged_last_good_is_corrupt),
        CASE(test_file_over_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
