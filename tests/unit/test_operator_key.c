/* Operator keys: their text, their file, and which file a command takes. */
#include "cmd/operator_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/parley-opkey-XXXXXX";

static int folder_up(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int folder_down(void **state)
{
    (void)state;
    return rmdir(folder);
}

static const char *in_folder(const char *name, char dst[256])
{
    (void)snprintf(dst, 256, "%s/%s", folder, name);
    return dst;
}

static void test_the_public_half_travels_as_text(void **state)
{
    (void)state;
    uint8_t key[SIGN_PUBLIC_BYTES], back[SIGN_PUBLIC_BYTES];
    char text[OPERATOR_KEY_TEXT_MAX];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)(i * 7);
    assert_string_equal(operator_key_format(key, text),
                        "po1_00070e151c232a31383f464d545b626970777e858c939aa1a8afb6bdc4cbd2d9_"
                        "45296988");
    assert_int_equal(operator_key_parse(span_str(text), back), ERR_OK);
    assert_memory_equal(key, back, sizeof key);
}

static void test_what_is_mistyped_is_told_apart(void **state)
{
    (void)state;
    uint8_t key[SIGN_PUBLIC_BYTES] = {1}, back[SIGN_PUBLIC_BYTES];
    char text[OPERATOR_KEY_TEXT_MAX + 1];
    operator_key_format(key, text);
    size_t len = strlen(text);
    assert_int_equal(operator_key_parse(span_of(text, len - 1), back), ERR_MORE);
    text[len] = 'x';
    assert_int_equal(operator_key_parse(span_of(text, len + 1), back), ERR_TOO_LARGE);
    text[10] = text[10] == '1' ? '2' : '1';
    assert_int_equal(operator_key_parse(span_of(text, len), back), ERR_CORRUPT);
    text[10] = 'g';
    assert_int_equal(operator_key_parse(span_of(text, len), back), ERR_INVALID);
    assert_int_equal(operator_key_parse(SPAN_LIT("pj1_token"), back), ERR_INVALID);
    assert_int_equal(operator_key_parse(SPAN_LIT(""), back), ERR_INVALID);
}

static enum verb_exit load_from(const char *path, struct operator_key *out)
{
    static const struct verb_flag flag = {"key", 0, FLAG_TEXT, "FILE", ""};
    struct verb_ctx ctx = {.root = folder};
    if (path != NULL) {
        ctx.value[0].flag = &flag;
        ctx.value[0].text = path;
        ctx.value_count = 1;
    }
    return operator_key_load(&ctx, out);
}

static void same_key(const char *path, const struct sign_key *want)
{
    struct operator_key got;
    assert_int_equal(load_from(path, &got), EXIT_DONE);
    assert_memory_equal(sign_key_public(got.key), sign_key_public(want), SIGN_PUBLIC_BYTES);
    assert_false(got.bound);
    operator_key_fini(&got);
}

static void test_a_file_is_found_by_flag_environment_and_place(void **state)
{
    (void)state;
    char a[256], b[256], c[256], dir[256];
    struct sign_key *one = NULL, *two = NULL, *three = NULL;
    struct operator_key none;
    assert_int_equal(sign_key_new(NULL, &one), ERR_OK);
    assert_int_equal(sign_key_new(NULL, &two), ERR_OK);
    assert_int_equal(sign_key_new(NULL, &three), ERR_OK);
    assert_int_equal(mkdir(in_folder("etc", dir), 0700), 0);
    assert_int_equal(mkdir(in_folder("etc/parley", dir), 0700), 0);
    unsetenv("XDG_CONFIG_HOME");
    setenv("HOME", folder, 1);
    unsetenv("PARLEY_OPERATOR_KEY");
    assert_int_equal(load_from(NULL, &none), EXIT_NOT_PERMITTED);
    assert_int_equal(operator_key_save(in_folder("etc/parley/operator.key", a), one, NULL, NULL),
                     ERR_OK);
    assert_int_equal(operator_key_save(in_folder("env", b), two, NULL, NULL), ERR_OK);
    assert_int_equal(operator_key_save(in_folder("flag", c), three, NULL, NULL), ERR_OK);
    same_key(NULL, one);
    setenv("PARLEY_OPERATOR_KEY", b, 1);
    same_key(NULL, two);
    same_key(c, three);
    assert_int_equal(load_from("/nowhere/key", &none), EXIT_NOT_PERMITTED);
    unsetenv("PARLEY_OPERATOR_KEY");
    sign_key_free(one);
    sign_key_free(two);
    sign_key_free(three);
    assert_int_equal(unlink(a) + unlink(b) + unlink(c), 0);
    assert_int_equal(rmdir(in_folder("etc/parley", dir)), 0);
    assert_int_equal(rmdir(in_folder("etc", dir)), 0);
}

static void test_a_file_is_private_whole_and_never_overwritten(void **state)
{
    (void)state;
    char path[256];
    struct sign_key *key = NULL;
    struct operator_key none;
    struct stat st;
    struct diag d;
    diag_init(&d);
    assert_int_equal(sign_key_new(NULL, &key), ERR_OK);
    assert_int_equal(operator_key_save(in_folder("k", path), key, NULL, &d), ERR_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(operator_key_save(path, key, NULL, &d), ERR_EXISTS);
    assert_int_equal(d.errors, 1);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(load_from(path, &none), EXIT_NOT_PERMITTED);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, st.st_size - 3), 0);
    assert_int_equal(load_from(path, &none), EXIT_FAILED);
    assert_null(none.key);
    assert_int_equal(unlink(path), 0);
    sign_key_free(key);
    diag_fini(&d);
}

static const struct mesh_id ours = {{1, 2, 3}}, theirs = {{1, 2, 4}};

/* What an agent says of itself does not make a key sign for another mesh. */
static void test_a_key_signs_for_its_own_mesh_alone(void **state)
{
    (void)state;
    char path[256];
    struct sign_key *key = NULL;
    struct operator_key k;
    assert_int_equal(sign_key_new(NULL, &key), ERR_OK);
    assert_int_equal(operator_key_save(in_folder("k", path), key, &ours, NULL), ERR_OK);
    assert_int_equal(operator_key_open(path, &k), EXIT_DONE);
    assert_memory_equal(sign_key_public(k.key), sign_key_public(key), SIGN_PUBLIC_BYTES);
    assert_true(k.bound);
    assert_int_equal(operator_key_bind(&k, &theirs), EXIT_NOT_PERMITTED);
    assert_int_equal(operator_key_bind(&k, &ours), EXIT_DONE);
    operator_key_fini(&k);
    assert_int_equal(unlink(path), 0);
    sign_key_free(key);
}

static void test_one_without_a_mesh_is_bound_where_it_is_used_first(void **state)
{
    (void)state;
    char path[256];
    struct sign_key *key = NULL;
    struct operator_key k;
    assert_int_equal(sign_key_new(NULL, &key), ERR_OK);
    assert_int_equal(operator_key_save(in_folder("k", path), key, NULL, NULL), ERR_OK);
    assert_int_equal(operator_key_open(path, &k), EXIT_DONE);
    assert_int_equal(operator_key_bind(&k, &ours), EXIT_DONE);
    assert_int_equal(operator_key_bind(&k, &theirs), EXIT_NOT_PERMITTED);
    operator_key_fini(&k);
    assert_int_equal(operator_key_open(path, &k), EXIT_DONE);
    assert_memory_equal(sign_key_public(k.key), sign_key_public(key), SIGN_PUBLIC_BYTES);
    assert_int_equal(operator_key_bind(&k, &theirs), EXIT_NOT_PERMITTED);
    assert_int_equal(operator_key_bind(&k, &ours), EXIT_DONE);
    operator_key_fini(&k);
    assert_int_equal(unlink(path), 0);
    sign_key_free(key);
}

static void test_the_first_operator_is_who_logged_in(void **state)
{
    (void)state;
    unsetenv("SUDO_USER");
    setenv("LOGNAME", "alice", 1);
    assert_string_equal(operator_key_login().text, "alice");
    setenv("SUDO_USER", "bob", 1);
    assert_string_equal(operator_key_login().text, geteuid() == 0 ? "bob" : "alice");
    setenv("SUDO_USER", "not a name", 1);
    assert_string_equal(operator_key_login().text, "alice");
    unsetenv("SUDO_USER");
    unsetenv("LOGNAME");
    unsetenv("USER");
    assert_string_equal(operator_key_login().text, "admin");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_public_half_travels_as_text),
        cmocka_unit_test(test_what_is_mistyped_is_told_apart),
        cmocka_unit_test(test_a_file_is_found_by_flag_environment_and_place),
        cmocka_unit_test(test_a_file_is_private_whole_and_never_overwritten),
        cmocka_unit_test(test_a_key_signs_for_its_own_mesh_alone),
        cmocka_unit_test(test_one_without_a_mesh_is_bound_where_it_is_used_first),
        cmocka_unit_test(test_the_first_operator_is_who_logged_in),
    };
    return cmocka_run_group_tests(tests, folder_up, folder_down);
}
