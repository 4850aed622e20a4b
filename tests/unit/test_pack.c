#include "core/wire/pack.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define READ(r, literal) assert_int_equal(pack_reader_init(&(r), SPAN_LIT(literal), 4, 100), ERR_OK)

static void test_values_read_as_they_were_written(void **state)
{
    (void)state;
    static const uint64_t number[] = {0,   1,     127,   128,        255,
                                      256, 65535, 65536, UINT32_MAX, UINT64_MAX};
    static const int64_t whole[] = {0,    -1,     -32,       -33,       -128,
                                    -129, -32769, INT32_MIN, INT64_MIN, INT64_MAX};
    char buf[256];
    struct pack_writer w;
    pack_writer_init(&w, buf, sizeof(buf));
    pack_write_array(&w, 6 + 10 + 10);
    pack_write_nil(&w);
    pack_write_bool(&w, true);
    pack_write_bool(&w, false);
    pack_write_str(&w, SPAN_LIT("h\xc3\xa4"));
    pack_write_str(&w, SPAN_LIT(""));
    pack_write_bin(&w, "\x00\xff", 2);
    for (size_t i = 0; i < 10; i++) {
        pack_write_u64(&w, number[i]);
        pack_write_i64(&w, whole[i]);
    }
    assert_true(pack_writer_ok(&w));
    struct pack_reader r;
    uint32_t outer;
    uint8_t bin[2];
    assert_int_equal(pack_reader_init(&r, pack_writer_view(&w), 1, 100), ERR_OK);
    assert_int_equal(pack_read_array(&r, 26, &outer), 26);
    assert_int_equal(pack_read_peek(&r), PACK_NIL);
    pack_read_skip(&r);
    assert_true(pack_read_bool(&r));
    assert_false(pack_read_bool(&r));
    assert_int_equal(pack_read_peek(&r), PACK_STR);
    assert_true(span_eq_str(pack_read_str(&r), "h\xc3\xa4"));
    assert_int_equal(pack_read_str(&r).len, 0);
    pack_read_bin_exact(&r, bin, 2);
    assert_memory_equal(bin, "\x00\xff", 2);
    for (size_t i = 0; i < 10; i++) {
        assert_true(pack_read_u64(&r) == number[i]);
        assert_true(pack_read_i64(&r) == whole[i]);
    }
    pack_read_array_end(&r, outer);
    assert_int_equal(pack_reader_err(&r), ERR_OK);
}

static void test_numbers_take_their_shortest_form(void **state)
{
    (void)state;
    char buf[64];
    struct pack_writer w;
    pack_writer_init(&w, buf, sizeof(buf));
    pack_write_u64(&w, 5);
    pack_write_u64(&w, 200);
    pack_write_i64(&w, -5);
    pack_write_i64(&w, 300);
    pack_write_str(&w, SPAN_LIT("a"));
    struct span view = pack_writer_view(&w);
    assert_int_equal(view.len, 9);
    assert_memory_equal(view.p,
                        "\x05\xcc\xc8\xfb\xcd\x01\x2c\xa1"
                        "a",
                        9);
}

static void test_a_full_buffer_keeps_nothing_half_written(void **state)
{
    (void)state;
    char buf[8];
    struct pack_writer w;
    pack_writer_init(&w, buf, 4);
    pack_write_array(&w, 2);
    pack_write_str(&w, SPAN_LIT("abc"));
    assert_false(pack_writer_ok(&w));
    assert_int_equal(pack_writer_view(&w).len, 0);
    pack_write_nil(&w);
    assert_false(pack_writer_ok(&w));
    pack_writer_init(&w, buf, 4);
    pack_write_bin(&w, "abcd", 4);
    assert_false(pack_writer_ok(&w));
    pack_writer_init(&w, buf, 4);
    pack_write_str(&w, span_of("a", SIZE_MAX));
    assert_false(pack_writer_ok(&w));
    pack_writer_init(&w, buf, 4);
    pack_write_str(&w, SPAN_LIT("abc"));
    assert_true(pack_writer_ok(&w));
}

static void test_a_newer_version_may_append_items(void **state)
{
    (void)state;
    struct pack_reader r;
    uint32_t outer, inner;
    /* [1, [2, "new", {0: [0]}], 3, 1.5, ext] read by one that knows [1, [2], 3] */
    READ(r, "\x95\x01\x93\x02\xa3new\x81\x00\x91\x00\x03\xca\x00\x00\x00\x00\xd4\x01\x02");
    assert_int_equal(pack_read_array(&r, 3, &outer), 5);
    assert_int_equal(pack_read_u64(&r), 1);
    assert_int_equal(pack_read_array(&r, 1, &inner), 3);
    assert_int_equal(pack_read_u64(&r), 2);
    pack_read_array_end(&r, inner);
    assert_int_equal(pack_read_u64(&r), 3);
    pack_read_array_end(&r, outer);
    assert_int_equal(pack_reader_err(&r), ERR_OK);
}

static void test_the_first_failure_stays(void **state)
{
    (void)state;
    struct pack_reader r;
    uint32_t outer;
    READ(r, "\x92\x01\x02");
    assert_int_equal(pack_read_array(&r, 0, &outer), 2);
    assert_int_equal(pack_read_str(&r).len, 0);
    assert_int_equal(pack_reader_err(&r), ERR_INVALID);
    assert_int_equal(pack_read_u64(&r), 0);
    pack_reader_fail(&r, ERR_RANGE);
    pack_read_skip(&r);
    pack_read_array_end(&r, outer);
    assert_int_equal(pack_read_peek(&r), PACK_NIL);
    assert_int_equal(pack_reader_err(&r), ERR_INVALID);
}

static void test_an_array_is_not_read_past_its_end(void **state)
{
    (void)state;
    struct pack_reader r;
    uint32_t outer, inner;
    READ(r, "\x92\x91\x01\x02");
    assert_int_equal(pack_read_array(&r, 0, &outer), 2);
    assert_int_equal(pack_read_array(&r, 0, &inner), 1);
    assert_int_equal(pack_read_u64(&r), 1);
    assert_int_equal(pack_read_u64(&r), 0);
    assert_int_equal(pack_reader_err(&r), ERR_INVALID);
    READ(r, "\x91\x01");
    assert_int_equal(pack_read_array(&r, 2, &outer), 0);
    assert_int_equal(pack_reader_err(&r), ERR_INVALID);
    READ(r, "\x90");
    pack_read_skip(&r);
    assert_int_equal(pack_reader_err(&r), ERR_OK);
    pack_read_skip(&r);
    assert_int_equal(pack_reader_err(&r), ERR_INVALID);
}

static void test_numbers_out_of_range_are_refused(void **state)
{
    (void)state;
    struct pack_reader r;
    READ(r, "\xff");
    assert_int_equal(pack_read_u64(&r), 0);
    assert_int_equal(pack_reader_err(&r), ERR_INVALID);
    READ(r, "\xcf\x80\x00\x00\x00\x00\x00\x00\x00");
    assert_int_equal(pack_read_i64(&r), 0);
    assert_int_equal(pack_reader_err(&r), ERR_RANGE);
    READ(r, "\x05");
    assert_int_equal(pack_read_u64_max(&r, 4), 0);
    assert_int_equal(pack_reader_err(&r), ERR_RANGE);
    READ(r, "\xa1x");
    assert_int_equal(pack_read_i64(&r), 0);
    assert_int_equal(pack_reader_err(&r), ERR_INVALID);
    uint8_t key[4] = {1, 2, 3, 4};
    READ(r, "\xc4\x03"
            "abc");
    pack_read_bin_exact(&r, key, 4);
    assert_int_equal(pack_reader_err(&r), ERR_INVALID);
    assert_memory_equal(key, "\0\0\0\0", 4);
}

static void test_what_fails_the_check_is_never_read(void **state)
{
    (void)state;
    struct pack_reader r;
    uint32_t outer;
    assert_int_equal(pack_reader_init(&r, SPAN_LIT("\x92\x01"), 4, 100), ERR_INVALID);
    assert_int_equal(pack_read_array(&r, 0, &outer), 0);
    assert_int_equal(pack_reader_err(&r), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_read_as_they_were_written),
        cmocka_unit_test(test_numbers_take_their_shortest_form),
        cmocka_unit_test(test_a_full_buffer_keeps_nothing_half_written),
        cmocka_unit_test(test_a_newer_version_may_append_items),
        cmocka_unit_test(test_the_first_failure_stays),
        cmocka_unit_test(test_an_array_is_not_read_past_its_end),
        cmocka_unit_test(test_numbers_out_of_range_are_refused),
        cmocka_unit_test(test_what_fails_the_check_is_never_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
