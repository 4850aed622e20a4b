#include "core/io/file.h"

#include "core/base/check.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

struct folder {
    char path[64];
    char name[128];
};

static int folder_open(void **state)
{
    struct folder *f = calloc(1, sizeof(*f));
    if (f == NULL) return -1;
    snprintf(f->path, sizeof(f->path), "/tmp/parley-file-XXXXXX");
    *state = f;
    return mkdtemp(f->path) != NULL ? 0 : -1;
}

/* Fails when a test leaves something behind. */
static int folder_close(void **state)
{
    struct folder *f = *state;
    int result = rmdir(f->path);
    free(f);
    return result;
}

static const char *in(struct folder *f, const char *name)
{
    snprintf(f->name, sizeof(f->name), "%s/%s", f->path, name);
    return f->name;
}

static void assert_content(const char *path, const char *want)
{
    struct strbuf sb;
    strbuf_init(&sb, 1000);
    assert_int_equal(file_read(path, &sb), ERR_OK);
    assert_true(span_eq_str(strbuf_view(&sb), want));
    strbuf_fini(&sb);
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static void test_write_makes_then_replaces_with_exactly_the_mode(void **state)
{
    struct folder *f = *state;
    const char *path = in(f, "a");
    mode_t before = umask(0077);
    assert_int_equal(file_write(path, 0644, SPAN_LIT("one")), ERR_OK);
    assert_content(path, "one");
    assert_int_equal(mode_of(path), 0644);
    assert_int_equal(file_write(path, 0600, SPAN_LIT("")), ERR_OK);
    assert_content(path, "");
    assert_int_equal(mode_of(path), 0600);
    umask(before);
    assert_int_equal(file_remove(path), ERR_OK);
    assert_int_equal(file_remove(path), ERR_OK);
}

static void test_write_replaces_a_link_and_spares_what_it_points_to(void **state)
{
    struct folder *f = *state;
    char target[128];
    snprintf(target, sizeof(target), "%s/target", f->path);
    const char *path = in(f, "link");
    assert_int_equal(file_write(target, 0600, SPAN_LIT("kept")), ERR_OK);
    assert_int_equal(symlink(target, path), 0);
    /* A link where the new file is prepared must not be written through either. */
    char fresh[160];
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    assert_int_equal(symlink(target, fresh), 0);
    assert_int_equal(file_write(path, 0600, SPAN_LIT("new")), ERR_OK);
    assert_content(target, "kept");
    assert_content(path, "new");
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_int_equal(unlink(target), 0);
    assert_int_equal(unlink(path), 0);
}

static void test_write_that_fails_leaves_nothing(void **state)
{
    struct folder *f = *state;
    assert_int_equal(file_write(in(f, "none/a"), 0600, SPAN_LIT("x")), ERR_NOT_FOUND);
    /* A folder in the place of the file: the rename fails, the new file goes. */
    assert_int_equal(mkdir(in(f, "a"), 0700), 0);
    assert_int_not_equal(file_write(f->name, 0600, SPAN_LIT("x")), ERR_OK);
    assert_int_equal(rmdir(f->name), 0);
    assert_int_equal(access(in(f, "a.new"), F_OK), -1);
}

static void test_new_file_of_root_belongs_to_the_owner_of_what_it_replaces(void **state)
{
    struct folder *f = *state;
    struct stat st;
    if (geteuid() != 0) skip();
    assert_int_equal(chown(f->path, 4321, 4322), 0);
    const char *path = in(f, "a");
    assert_int_equal(file_write(path, 0600, SPAN_LIT("x")), ERR_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 4321);
    assert_int_equal(st.st_gid, 4322);
    assert_int_equal(chown(path, 4323, 4324), 0);
    assert_int_equal(file_write(path, 0600, SPAN_LIT("y")), ERR_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 4323);
    assert_int_equal(st.st_gid, 4324);
    assert_int_equal(unlink(path), 0);
}

static void test_read_is_bounded_and_wants_a_regular_file(void **state)
{
    struct folder *f = *state;
    struct strbuf sb;
    char *large = calloc(1, 70000);
    assert_non_null(large);
    memset(large, 'x', 70000);
    assert_int_equal(file_write(in(f, "a"), 0600, span_of(large, 70000)), ERR_OK);
    strbuf_init(&sb, 70001);
    assert_int_equal(file_read(f->name, &sb), ERR_OK);
    assert_int_equal(sb.len, 70000);
    strbuf_fini(&sb);
    strbuf_init(&sb, 70000);
    assert_int_equal(file_read(f->name, &sb), ERR_TOO_LARGE);
    strbuf_fini(&sb);
    free(large);
    assert_int_equal(unlink(f->name), 0);
    strbuf_init(&sb, 100);
    assert_int_equal(file_read(in(f, "none"), &sb), ERR_NOT_FOUND);
    assert_int_equal(file_read(f->path, &sb), ERR_INVALID);
    assert_int_equal(mkfifo(in(f, "pipe"), 0600), 0);
    assert_int_equal(file_read(f->name, &sb), ERR_INVALID);
    assert_int_equal(unlink(f->name), 0);
    strbuf_fini(&sb);
}

static void test_folders_are_made_with_the_mode_and_existing_ones_stay(void **state)
{
    struct folder *f = *state;
    mode_t before = umask(0077);
    assert_int_equal(mkdir(in(f, "a"), 0711), 0);
    mode_t first = mode_of(f->name);
    assert_int_equal(file_make_folders(in(f, "a//b/c/"), 0750), ERR_OK);
    assert_int_equal(mode_of(in(f, "a")), first);
    assert_int_equal(mode_of(in(f, "a/b")), 0750);
    assert_int_equal(mode_of(in(f, "a/b/c")), 0750);
    assert_int_equal(file_make_folders(in(f, "a/b"), 0700), ERR_OK);
    assert_int_equal(mode_of(f->name), 0750);
    umask(before);
    assert_int_equal(file_write(in(f, "a/file"), 0600, SPAN_LIT("x")), ERR_OK);
    assert_int_not_equal(file_make_folders(in(f, "a/file/x"), 0700), ERR_OK);
    assert_int_equal(file_make_folders(in(f, "a/file"), 0700), ERR_EXISTS);
    assert_int_equal(file_make_folders("", 0700), ERR_INVALID);
    assert_int_equal(unlink(in(f, "a/file")), 0);
    assert_int_equal(rmdir(in(f, "a/b/c")), 0);
    assert_int_equal(rmdir(in(f, "a/b")), 0);
    assert_int_equal(rmdir(in(f, "a")), 0);
}

static void test_list_is_sorted_filtered_and_bounded(void **state)
{
    struct folder *f = *state;
    static const char *const names[] = {"b.toml",  "a.toml", "10.toml", ".hidden.toml",
                                        "c.toml~", "toml",   "C.toml"};
    static const char *const want[] = {"10.toml", "C.toml", "a.toml", "b.toml"};
    struct file_list list;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(file_write(in(f, names[i]), 0600, SPAN_LIT("")), ERR_OK);
    assert_int_equal(file_list(f->path, SPAN_LIT("*.toml"), 4, &list), ERR_OK);
    assert_int_equal(list.count, ARRAY_LEN(want));
    for (size_t i = 0; i < list.count; i++)
        assert_string_equal(list.name[i], want[i]);
    file_list_free(&list);
    assert_int_equal(file_list(f->path, SPAN_LIT("*.toml"), 3, &list), ERR_FULL);
    assert_int_equal(file_list(in(f, "none"), SPAN_LIT("*"), 3, &list), ERR_NOT_FOUND);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(unlink(in(f, names[i])), 0);
}

static void test_lock_is_held_by_one_process_until_it_is_closed(void **state)
{
    struct folder *f = *state;
    int first, second;
    const char *path = in(f, "lock");
    assert_int_equal(file_lock(path, &first), ERR_OK);
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(file_lock(path, &second), ERR_BUSY);
    close(first);
    assert_int_equal(file_lock(path, &second), ERR_OK);
    close(second);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(file_lock(in(f, "none/lock"), &first), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write_makes_then_replaces_with_exactly_the_mode,
                                        folder_open, folder_close),
        cmocka_unit_test_setup_teardown(test_write_replaces_a_link_and_spares_what_it_points_to,
                                        folder_open, folder_close),
        cmocka_unit_test_setup_teardown(test_write_that_fails_leaves_nothing, folder_open,
                                        folder_close),
        cmocka_unit_test_setup_teardown(
            test_new_file_of_root_belongs_to_the_owner_of_what_it_replaces, folder_open,
            folder_close),
        cmocka_unit_test_setup_teardown(test_read_is_bounded_and_wants_a_regular_file, folder_open,
                                        folder_close),
        cmocka_unit_test_setup_teardown(test_folders_are_made_with_the_mode_and_existing_ones_stay,
                                        folder_open, folder_close),
        cmocka_unit_test_setup_teardown(test_list_is_sorted_filtered_and_bounded, folder_open,
                                        folder_close),
        cmocka_unit_test_setup_teardown(test_lock_is_held_by_one_process_until_it_is_closed,
                                        folder_open, folder_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
