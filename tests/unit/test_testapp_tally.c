#include "cmd/verbs/testapp_tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct testapp_tally tally_of_four(void)
{
    static const struct testapp_client_result results[] = {
        {.end = TESTAPP_CLIENT_ANSWERED, .status = 200},
        {.end = TESTAPP_CLIENT_ANSWERED, .status = 204},
        {.end = TESTAPP_CLIENT_ANSWERED,
         .status = 403,
         .reason = {"denied_default", sizeof "denied_default" - 1}},
        {.end = TESTAPP_CLIENT_RESET},
    };
    struct testapp_tally t = {.requests = 0};
    for (size_t i = 0; i < 4; i++)
        testapp_tally_add(&t, &results[i], 1000 * (i + 1));
    return t;
}

static void test_only_2xx_has_not_failed(void **state)
{
    struct testapp_tally t = tally_of_four();
    (void)state;
    assert_int_equal(t.requests, 4);
    assert_int_equal(t.failed, 2);
    assert_int_equal(t.status[403], 1);
    assert_int_equal(t.end[TESTAPP_CLIENT_RESET], 1);
    assert_int_equal(t.reason[REASON_DENIED_DEFAULT], 1);
}

static void test_word_of_a_later_version_is_counted_as_other(void **state)
{
    struct testapp_tally t = {.requests = 0};
    struct testapp_client_result result = {
        .end = TESTAPP_CLIENT_ANSWERED, .status = 503, .reason = SPAN_LIT("moon_phase")};
    (void)state;
    testapp_tally_add(&t, &result, 1);
    assert_int_equal(t.reason[REASON_COUNT], 1);
}

static void test_document_holds_what_was_counted(void **state)
{
    struct testapp_tally t = tally_of_four();
    char storage[2048];
    struct strbuf text;
    struct json j;
    (void)state;
    strbuf_init_fixed(&text, storage, sizeof storage);
    json_init(&j, &text);
    json_object(&j);
    testapp_tally_json(&t, &j);
    json_object_end(&j);
    assert_true(strbuf_ok(&text));
    assert_non_null(strstr(storage, "\"requests\":4,\"ok\":2,\"failed\":2"));
    assert_non_null(strstr(storage, "\"status\":{\"200\":1,\"204\":1,\"403\":1}"));
    assert_non_null(strstr(storage, "\"reset\":1"));
    assert_non_null(strstr(storage, "\"mesh_errors\":{\"denied_default\":1}"));
    assert_non_null(strstr(storage, "\"max_ms\":4.000"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_2xx_has_not_failed),
        cmocka_unit_test(test_word_of_a_later_version_is_counted_as_other),
        cmocka_unit_test(test_document_holds_what_was_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
