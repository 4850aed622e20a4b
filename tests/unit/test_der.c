#include "core/crypto/der.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void test_an_element_is_taken_off_the_front(void **state)
{
    (void)state;
    struct span in = SPAN_LIT("\x04\x02hi\x05\x00"), body;
    assert_int_equal(der_peek(in), DER_OCTET_STRING);
    assert_true(der_take(&in, DER_OCTET_STRING, &body));
    assert_true(span_eq_str(body, "hi"));
    assert_int_equal(in.len, 2);
    assert_false(der_take(&in, DER_OCTET_STRING, &body));
    assert_int_equal(in.len, 2);
    assert_true(der_take(&in, 0x05, &body));
    assert_int_equal(body.len, 0);
    assert_int_equal(der_peek(in), 0);
    assert_false(der_take(&in, 0x05, &body));
}

/* X.690 10.1: one way only to write a length. */
static void test_lengths_are_definite_and_shortest(void **state)
{
    (void)state;
    static char big[70000];
    static const struct span bad[] = {
        {"\x04", 1},                 /* no length */
        {"\x04\x80\x00\x00", 4},     /* indefinite */
        {"\x04\x81\x02hi", 5},       /* 2 in the long form */
        {"\x04\x82\x00\x02hi", 6},   /* 2 in a longer one */
        {"\x04\x83\x00\x00\x02", 5}, /* more than two bytes */
        {"\x04\x03hi", 4},           /* beyond the end */
        {"\x1f\x02hi", 4},           /* a tag of several bytes */
        {"\x00\x00", 2},             /* the reserved tag */
    };
    unsigned tag;
    struct span whole, body, in;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        in = bad[i];
        assert_false(der_take_whole(&in, &tag, &whole, &body));
        assert_int_equal(in.len, bad[i].len);
    }
    memcpy(big, "\x04\x81\x80", 3);
    in = span_of(big, 3 + 0x80);
    assert_true(der_take(&in, DER_OCTET_STRING, &body));
    assert_int_equal(body.len, 0x80);
    memcpy(big, "\x04\x82\xff\xff", 4);
    in = span_of(big, sizeof(big));
    assert_true(der_take_whole(&in, &tag, &whole, &body));
    assert_int_equal(body.len, 0xffff);
    assert_int_equal(whole.len, 0xffff + 4);
}

static void test_booleans_are_all_zeroes_or_all_ones(void **state)
{
    (void)state;
    bool v = false;
    struct span in = SPAN_LIT("\x01\x01\xff");
    assert_true(der_take_bool(&in, &v));
    assert_true(v);
    in = SPAN_LIT("\x01\x01\x00");
    assert_true(der_take_bool(&in, &v));
    assert_false(v);
    in = SPAN_LIT("\x01\x01\x01");
    assert_false(der_take_bool(&in, &v));
    in = SPAN_LIT("\x01\x02\xff\xff");
    assert_false(der_take_bool(&in, &v));
    in = SPAN_LIT("\x01\x00");
    assert_false(der_take_bool(&in, &v));
}

static void test_integers_are_positive_minimal_and_bounded(void **state)
{
    (void)state;
    struct span v, in = SPAN_LIT("\x02\x02\x00\x80");
    assert_true(der_take_uint(&in, 1, &v));
    assert_int_equal(v.len, 1);
    assert_int_equal((unsigned char)v.p[0], 0x80);
    in = SPAN_LIT("\x02\x01\x00");
    assert_true(der_take_uint(&in, 1, &v));
    static const struct span bad[] = {
        {"\x02\x00", 2}, {"\x02\x01\x80", 3}, {"\x02\x02\x00\x7f", 4}, {"\x02\x02\x01\x00", 4}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        in = bad[i];
        assert_false(der_take_uint(&in, 1, &v));
    }
}

static void test_bit_strings_have_zero_padding(void **state)
{
    (void)state;
    unsigned unused;
    struct span bits, in = SPAN_LIT("\x03\x02\x07\x80");
    assert_true(der_take_bits(&in, &bits, &unused));
    assert_int_equal(unused, 7);
    assert_int_equal(bits.len, 1);
    in = SPAN_LIT("\x03\x01\x00");
    assert_true(der_take_bits(&in, &bits, &unused));
    assert_int_equal(bits.len, 0);
    static const struct span bad[] = {
        {"\x03\x00", 2}, {"\x03\x01\x01", 3}, {"\x03\x02\x08\x00", 4}, {"\x03\x02\x07\xc0", 4}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        in = bad[i];
        assert_false(der_take_bits(&in, &bits, &unused));
    }
}

/* Whatever length an element has, the reader takes back what the writer put. */
static void test_written_elements_read_back_at_every_length(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 127, 128, 255, 256, 257, 5000, 65531};
    static uint8_t storage[66000], data[66000];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 31);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct der_writer w;
        struct span in, body, inner;
        size_t len;
        der_init(&w, storage, sizeof(storage));
        der_open(&w, DER_SEQUENCE);
        der_put(&w, DER_OCTET_STRING, data, sizes[i]);
        der_close(&w);
        assert_int_equal(der_finish(&w, &len), ERR_OK);
        in = span_of(storage, len);
        assert_true(der_take(&in, DER_SEQUENCE, &inner));
        assert_int_equal(in.len, 0);
        assert_true(der_take(&inner, DER_OCTET_STRING, &body));
        assert_int_equal(inner.len, 0);
        assert_true(span_eq(body, span_of(data, sizes[i])));
    }
}

static void test_values_are_written_in_their_only_form(void **state)
{
    (void)state;
    uint8_t storage[64];
    struct der_writer w;
    size_t len;
    der_init(&w, storage, sizeof(storage));
    der_put_uint(&w, "\x00\x00\x80", 3);
    der_put_uint(&w, "\x00", 1);
    der_put_uint(&w, "", 0);
    der_put_bool(&w, true);
    der_put_bits(&w, 7, "\x80", 1);
    assert_int_equal(der_finish(&w, &len), ERR_OK);
    assert_true(span_eq(span_of(storage, len),
                        SPAN_LIT("\x02\x02\x00\x80\x02\x01\x00\x02\x01\x00\x01\x01\xff"
                                 "\x03\x02\x07\x80")));
}

static void test_a_storage_that_is_too_small_is_told_at_the_end(void **state)
{
    (void)state;
    uint8_t storage[300], data[200] = {0};
    size_t len = 77;
    for (size_t cap = 0; cap <= sizeof(storage); cap++) {
        struct der_writer w;
        der_init(&w, storage, cap);
        der_open(&w, DER_SEQUENCE);
        der_put(&w, DER_OCTET_STRING, data, sizeof(data));
        der_close(&w);
        enum err err = der_finish(&w, &len);
        assert_int_equal(err, cap < 206 ? ERR_TOO_LARGE : ERR_OK);
    }
    assert_int_equal(len, 206);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_element_is_taken_off_the_front),
        cmocka_unit_test(test_lengths_are_definite_and_shortest),
        cmocka_unit_test(test_booleans_are_all_zeroes_or_all_ones),
        cmocka_unit_test(test_integers_are_positive_minimal_and_bounded),
        cmocka_unit_test(test_bit_strings_have_zero_padding),
        cmocka_unit_test(test_written_elements_read_back_at_every_length),
        cmocka_unit_test(test_values_are_written_in_their_only_form),
        cmocka_unit_test(test_a_storage_that_is_too_small_is_told_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
