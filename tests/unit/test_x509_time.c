#include "core/crypto/x509_time.h"

#include <string.h>
#include <time.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static bool read_text(unsigned tag, const char *text, int64_t *out)
{
    uint8_t storage[64];
    struct der_writer w;
    size_t len;
    der_init(&w, storage, sizeof(storage));
    der_put(&w, tag, text, strlen(text));
    assert_int_equal(der_finish(&w, &len), ERR_OK);
    struct span in = span_of(storage, len);
    return x509_time_take(&in, out);
}

static void test_known_dates_are_read(void **state)
{
    (void)state;
    static const struct {
        unsigned tag;
        const char *text;
        int64_t when_s;
    } cases[] = {
        {DER_UTC_TIME, "700101000000Z", 0},
        {DER_UTC_TIME, "260101000000Z", 1767225600},
        {DER_UTC_TIME, "500101000000Z", -631152000},
        {DER_UTC_TIME, "491231235959Z", 2524607999},
        {DER_UTC_TIME, "000229120000Z", 951825600},
        {DER_GENERALIZED_TIME, "20500101000000Z", 2524608000},
        {DER_GENERALIZED_TIME, "99991231235959Z", X509_TIME_MAX_S},
        {DER_GENERALIZED_TIME, "00010101000000Z", X509_TIME_MIN_S},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t when_s = 1;
        assert_true(read_text(cases[i].tag, cases[i].text, &when_s));
        assert_true(when_s == cases[i].when_s);
    }
}

static void test_what_is_no_date_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "260101000000",  "2601010000Z",   "260101000000+0000", "260001000000Z", "261301000000Z",
        "260100000000Z", "260132000000Z", "260230000000Z",     "260229000000Z", "260101240000Z",
        "260101006000Z", "260101000060Z", "26010100000-Z",     " 60101000000Z", ""};
    int64_t when_s;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(read_text(DER_UTC_TIME, bad[i], &when_s));
    assert_false(read_text(DER_GENERALIZED_TIME, "260101000000Z", &when_s));
    assert_false(read_text(DER_GENERALIZED_TIME, "20260101000000.5Z", &when_s));
    assert_false(read_text(DER_UTF8_STRING, "260101000000Z", &when_s));
}

/* Against the C library, over 400 years in odd steps; the form changes at 1950 and 2050. */
static void test_written_dates_agree_with_the_c_library(void **state)
{
    (void)state;
    for (int64_t t = -INT64_C(6000000000); t < INT64_C(7000000000); t += 9876543) {
        uint8_t storage[32];
        char want[32];
        struct der_writer w;
        struct span in, body;
        struct tm tm;
        size_t len;
        int64_t back;
        time_t when = (time_t)t;
        der_init(&w, storage, sizeof(storage));
        assert_int_equal(x509_time_put(&w, t), ERR_OK);
        assert_int_equal(der_finish(&w, &len), ERR_OK);
        assert_non_null(gmtime_r(&when, &tm));
        bool utc = tm.tm_year >= 50 && tm.tm_year < 150;
        assert_int_not_equal(strftime(want, sizeof(want), "%Y%m%d%H%M%SZ", &tm), 0);
        in = span_of(storage, len);
        assert_true(der_take(&in, utc ? DER_UTC_TIME : DER_GENERALIZED_TIME, &body));
        assert_true(span_eq_str(body, utc ? want + 2 : want));
        in = span_of(storage, len);
        assert_true(x509_time_take(&in, &back));
        assert_true(back == t);
    }
}

static void test_dates_that_cannot_be_written_are_refused(void **state)
{
    (void)state;
    uint8_t storage[32];
    struct der_writer w;
    uint32_t days, seconds;
    der_init(&w, storage, sizeof(storage));
    assert_int_equal(x509_time_put(&w, X509_TIME_MAX_S + 1), ERR_RANGE);
    assert_int_equal(x509_time_put(&w, X509_TIME_MIN_S - 1), ERR_RANGE);
    assert_int_equal(x509_time_put(&w, INT64_MIN), ERR_RANGE);
    assert_int_equal(x509_time_days(INT64_MAX, &days, &seconds), ERR_RANGE);
    assert_int_equal(x509_time_days(INT64_MIN, &days, &seconds), ERR_RANGE);
}

static void test_days_are_counted_from_year_zero(void **state)
{
    (void)state;
    uint32_t days, seconds;
    assert_int_equal(x509_time_days(0, &days, &seconds), ERR_OK);
    assert_int_equal(days, 719528);
    assert_int_equal(seconds, 0);
    assert_int_equal(x509_time_days(-1, &days, &seconds), ERR_OK);
    assert_int_equal(days, 719527);
    assert_int_equal(seconds, 86399);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_dates_are_read),
        cmocka_unit_test(test_what_is_no_date_is_refused),
        cmocka_unit_test(test_written_dates_agree_with_the_c_library),
        cmocka_unit_test(test_dates_that_cannot_be_written_are_refused),
        cmocka_unit_test(test_days_are_counted_from_year_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
