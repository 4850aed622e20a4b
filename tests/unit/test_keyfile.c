#include "core/io/keyfile.h"

#include "core/base/check.h"
#include "core/io/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static const uint8_t secret[32] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                   16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
/* The CRC is what zlib.crc32 of Python says of the two middle words. */
static const char line[] =
    "parley-key-1 node AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= ce1d33f4\n";

struct folder {
    char path[64];
    char key[96];
};

static int folder_open(void **state)
{
    struct folder *f = calloc(1, sizeof(*f));
    if (f == NULL) return -1;
    snprintf(f->path, sizeof(f->path), "/tmp/parley-key-XXXXXX");
    *state = f;
    if (mkdtemp(f->path) == NULL) return -1;
    snprintf(f->key, sizeof(f->key), "%s/key", f->path);
    return 0;
}

static int folder_close(void **state)
{
    struct folder *f = *state;
    (void)unlink(f->key);
    int result = rmdir(f->path);
    free(f);
    return result;
}

static enum err load(const struct folder *f, const char *type, uint8_t out[32])
{
    memset(out, 0xee, 32);
    return keyfile_load(f->key, type, out, 32);
}

static void assert_untouched(const uint8_t out[32])
{
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(out[i], 0xee);
}

static void test_stored_key_has_the_written_form_and_comes_back(void **state)
{
    const struct folder *f = *state;
    uint8_t out[32];
    struct strbuf sb;
    struct stat st;
    assert_int_equal(keyfile_store(f->key, "node", secret, 32), ERR_OK);
    assert_int_equal(stat(f->key, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    strbuf_init(&sb, 1000);
    assert_int_equal(keyfile_read(f->key, &sb), ERR_OK);
    assert_string_equal(sb.p, line);
    strbuf_fini(&sb);
    assert_int_equal(load(f, "node", out), ERR_OK);
    assert_memory_equal(out, secret, 32);
}

static void test_each_flipped_bit_and_each_cut_is_corrupt(void **state)
{
    const struct folder *f = *state;
    uint8_t out[32];
    char damaged[sizeof(line)];
    for (size_t bit = 0; bit < (sizeof(line) - 1) * 8; bit++) {
        memcpy(damaged, line, sizeof(line));
        damaged[bit / 8] = (char)(damaged[bit / 8] ^ (1 << bit % 8));
        struct span text = span_of(damaged, sizeof(line) - 1);
        /* No fsync per bit: this test is about reading. */
        FILE *file = fopen(f->key, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(text.p, 1, text.len, file), text.len);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(chmod(f->key, 0600), 0);
        assert_int_equal(load(f, "node", out), ERR_CORRUPT);
        assert_untouched(out);
    }
    assert_int_equal(file_write(f->key, 0600, span_str(line)), ERR_OK);
    for (size_t len = sizeof(line) - 1; len-- > 0;) {
        assert_int_equal(truncate(f->key, (off_t)len), 0);
        assert_int_equal(load(f, "node", out), ERR_CORRUPT);
        assert_untouched(out);
    }
}

static void test_longer_file_is_corrupt(void **state)
{
    const struct folder *f = *state;
    uint8_t out[32];
    char text[4096];
    memset(text, 'A', sizeof(text));
    memcpy(text, line, sizeof(line) - 1);
    assert_int_equal(file_write(f->key, 0600, span_of(text, sizeof(text))), ERR_OK);
    assert_int_equal(load(f, "node", out), ERR_CORRUPT);
    assert_int_equal(file_write(f->key, 0600, span_of(text, sizeof(line))), ERR_OK);
    assert_int_equal(load(f, "node", out), ERR_CORRUPT);
    assert_untouched(out);
}

static void test_other_type_or_length_is_a_mismatch(void **state)
{
    const struct folder *f = *state;
    uint8_t out[32];
    assert_int_equal(keyfile_store(f->key, "gossip", secret, 32), ERR_OK);
    assert_int_equal(load(f, "node", out), ERR_MISMATCH);
    assert_int_equal(keyfile_store(f->key, "node", secret, 31), ERR_OK);
    assert_int_equal(load(f, "node", out), ERR_MISMATCH);
    assert_untouched(out);
}

static void test_key_that_others_may_read_is_refused(void **state)
{
    const struct folder *f = *state;
    uint8_t out[32];
    struct strbuf sb;
    static const mode_t open_modes[] = {0640, 0604, 0620, 0601, 0666};
    assert_int_equal(keyfile_store(f->key, "node", secret, 32), ERR_OK);
    strbuf_init(&sb, 1000);
    for (size_t i = 0; i < ARRAY_LEN(open_modes); i++) {
        assert_int_equal(chmod(f->key, open_modes[i]), 0);
        assert_int_equal(load(f, "node", out), ERR_PERM);
        assert_int_equal(keyfile_read(f->key, &sb), ERR_PERM);
    }
    assert_int_equal(chmod(f->key, 0400), 0);
    assert_int_equal(load(f, "node", out), ERR_OK);
    assert_int_equal(sb.len, 0);
    strbuf_fini(&sb);
}

static void test_link_and_missing_file_are_refused(void **state)
{
    struct folder *f = *state;
    uint8_t out[32];
    char target[96];
    assert_int_equal(load(f, "node", out), ERR_NOT_FOUND);
    snprintf(target, sizeof(target), "%s/target", f->path);
    assert_int_equal(keyfile_store(target, "node", secret, 32), ERR_OK);
    assert_int_equal(symlink(target, f->key), 0);
    assert_int_equal(load(f, "node", out), ERR_PERM);
    assert_int_equal(unlink(target), 0);
}

static void test_type_and_length_are_checked_before_anything_is_written(void **state)
{
    const struct folder *f = *state;
    static const uint8_t large[KEYFILE_SECRET_MAX + 1];
    assert_int_equal(keyfile_store(f->key, "", secret, 32), ERR_INVALID);
    assert_int_equal(keyfile_store(f->key, "no de", secret, 32), ERR_INVALID);
    assert_int_equal(keyfile_store(f->key, "a23456789012345678901234567890123", secret, 32),
                     ERR_INVALID);
    assert_int_equal(keyfile_store(f->key, "node", secret, 0), ERR_INVALID);
    assert_int_equal(keyfile_store(f->key, "node", large, sizeof(large)), ERR_INVALID);
    assert_int_equal(access(f->key, F_OK), -1);
    assert_int_equal(keyfile_store(f->key, "node", large, KEYFILE_SECRET_MAX), ERR_OK);
}

static void test_secret_of_another_format_is_bounded_by_its_buffer(void **state)
{
    const struct folder *f = *state;
    char storage[8];
    struct strbuf sb;
    assert_int_equal(file_write(f->key, 0600, SPAN_LIT("1234567")), ERR_OK);
    strbuf_init_fixed(&sb, storage, sizeof(storage));
    assert_int_equal(keyfile_read(f->key, &sb), ERR_OK);
    assert_string_equal(storage, "1234567");
    assert_int_equal(file_write(f->key, 0600, SPAN_LIT("12345678")), ERR_OK);
    strbuf_init_fixed(&sb, storage, sizeof(storage));
    assert_int_equal(keyfile_read(f->key, &sb), ERR_TOO_LARGE);
}

int main(void)
{
#define KEY_TEST(name) cmocka_unit_test_setup_teardown(name, folder_open, folder_close)
    const struct CMUnitTest tests[] = {
        KEY_TEST(test_stored_key_has_the_written_form_and_comes_back),
        KEY_TEST(test_each_flipped_bit_and_each_cut_is_corrupt),
        KEY_TEST(test_longer_file_is_corrupt),
        KEY_TEST(test_other_type_or_length_is_a_mismatch),
        KEY_TEST(test_key_that_others_may_read_is_refused),
        KEY_TEST(test_link_and_missing_file_are_refused),
        KEY_TEST(test_type_and_length_are_checked_before_anything_is_written),
        KEY_TEST(test_secret_of_another_format_is_bounded_by_its_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
