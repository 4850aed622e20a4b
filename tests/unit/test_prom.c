#include "core/wire/prom.h"

#include "core/base/check.h"
#include "tests/unit/support_prom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_counters_and_gauges_are_written_whole(void **state)
{
    (void)state;
    char text[1024];
    struct strbuf out;
    struct prom p;
    struct prom_label label[] = {{"service", SPAN_LIT("web")}, {"peer", SPAN_LIT("api")}};
    strbuf_init_fixed(&out, text, sizeof(text));
    prom_init(&p, &out);
    prom_family(&p, "a_total", PROM_COUNTER, "All of a.");
    prom_u64(&p, label, 2, 18446744073709551615u);
    prom_family(&p, "b", PROM_GAUGE, "Some b.");
    prom_i64(&p, label, 1, -7);
    prom_i64(&p, NULL, 0, INT64_MIN);
    assert_string_equal(text, "# HELP a_total All of a.\n# TYPE a_total counter\n"
                              "a_total{service=\"web\",peer=\"api\"} 18446744073709551615\n"
                              "# HELP b Some b.\n# TYPE b gauge\n"
                              "b{service=\"web\"} -7\nb -9223372036854775808\n");
    assert_int_equal(support_prom_check(strbuf_view(&out)), 3);
}

static void test_label_values_are_escaped(void **state)
{
    (void)state;
    char text[256];
    struct strbuf out;
    struct prom p;
    struct prom_label label[] = {{"rule", SPAN_LIT("a\"b\\c\nd")}, {"empty", {NULL, 0}}};
    strbuf_init_fixed(&out, text, sizeof(text));
    prom_init(&p, &out);
    prom_family(&p, "g", PROM_GAUGE, "G.");
    prom_u64(&p, label, 2, 1);
    assert_string_equal(text,
                        "# HELP g G.\n# TYPE g gauge\ng{rule=\"a\\\"b\\\\c\\nd\",empty=\"\"} 1\n");
    assert_int_equal(support_prom_check(strbuf_view(&out)), 1);
}

static void test_histograms_are_cumulative_and_in_seconds(void **state)
{
    (void)state;
    static const uint64_t bound[] = {500, 1000000, 10000000}, bucket[] = {1, 2, 0, 4};
    char text[1024];
    struct strbuf out;
    struct prom p;
    struct prom_hist h = {bound, bucket, 3, 61500001};
    strbuf_init_fixed(&out, text, sizeof(text));
    prom_init(&p, &out);
    prom_family(&p, "h", PROM_HISTOGRAM, "H.");
    prom_histogram(&p, NULL, 0, &h);
    assert_string_equal(text, "# HELP h H.\n# TYPE h histogram\n"
                              "h_bucket{le=\"0.0005\"} 1\nh_bucket{le=\"1\"} 3\n"
                              "h_bucket{le=\"10\"} 3\nh_bucket{le=\"+Inf\"} 7\n"
                              "h_sum 61.500001\nh_count 7\n");
    assert_int_equal(support_prom_check(strbuf_view(&out)), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_and_gauges_are_written_whole),
        cmocka_unit_test(test_label_values_are_escaped),
        cmocka_unit_test(test_histograms_are_cumulative_and_in_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
