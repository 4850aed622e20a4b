#include "core/wire/headers.h"

#include "core/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct headers table(const char *const (*fields)[2], size_t count)
{
    struct headers h;
    h.count = h.bytes = 0;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(headers_add(&h, span_str(fields[i][0]), span_str(fields[i][1])), ERR_OK);
    return h;
}

static void assert_names(const struct headers *h, const char *const *names, size_t count)
{
    size_t bytes = 0;
    assert_int_equal(h->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(span_eq_str(h->field[i].name, names[i]));
        bytes += h->field[i].name.len + h->field[i].value.len;
    }
    assert_int_equal(h->bytes, bytes);
}

static void test_fields_are_found_and_removed(void **state)
{
    static const char *const fields[][2] = {{"a", "1"}, {"b", "2"}, {"a", "3"}};
    (void)state;
    struct headers h = table(fields, ARRAY_LEN(fields));
    assert_true(span_eq_str(headers_find(&h, "a")->value, "1"));
    assert_null(headers_find(&h, "c"));
    assert_int_equal(headers_remove(&h, "a"), 2);
    static const char *const left[] = {"b"};
    assert_names(&h, left, 1);
}

static void test_table_is_bounded_by_count_and_bytes(void **state)
{
    static char big[HEADER_BYTES_MAX];
    struct headers h;
    (void)state;
    h.count = h.bytes = 0;
    for (size_t i = 0; i < HEADER_FIELDS_MAX; i++)
        assert_int_equal(headers_add(&h, SPAN_LIT("n"), SPAN_LIT("v")), ERR_OK);
    assert_int_equal(headers_add(&h, SPAN_LIT("n"), SPAN_LIT("v")), ERR_FULL);
    assert_int_equal(h.count, HEADER_FIELDS_MAX);
    h.count = h.bytes = 0;
    assert_int_equal(headers_add(&h, SPAN_LIT("n"), span_of(big, sizeof big)), ERR_FULL);
    assert_int_equal(headers_add(&h, SPAN_LIT("n"), span_of(big, sizeof big - 1)), ERR_OK);
    assert_int_equal(headers_add(&h, SPAN_LIT(""), SPAN_LIT("v")), ERR_FULL);
}

static void test_underscore_reads_as_hyphen(void **state)
{
    static const char *const fields[][2] = {{"parley_peer", "1"}, {"parley-peer", "2"},
                                            {"parleyx", "3"},     {"x-parley-", "4"},
                                            {"parley-", "5"},     {"host_", "6"}};
    static const char *const left[] = {"parleyx", "x-parley-", "host_"};
    (void)state;
    struct headers h = table(fields, ARRAY_LEN(fields));
    assert_int_equal(headers_remove_prefix(&h, "parley-"), 3);
    assert_names(&h, left, ARRAY_LEN(left));
    assert_true(headers_alias(SPAN_LIT("Content_Length"), "content-length"));
    assert_false(headers_alias(SPAN_LIT("content-lengt"), "content-length"));
}

static void test_hop_fields_and_what_connection_names_go(void **state)
{
    static const char *const fields[][2] = {{"connection", "close, X-Auth ,"},
                                            {"x-auth", "1"},
                                            {"x-other", "1"},
                                            {"keep-alive", "5"},
                                            {"proxy-connection", "x"},
                                            {"te", "trailers, deflate"},
                                            {"transfer-encoding", "chunked"},
                                            {"upgrade", "h2c"},
                                            {"http2-settings", "AAMAAABk"},
                                            {"proxy-authenticate", "x"},
                                            {"proxy-authorization", "x"},
                                            {"connection", "x-third"},
                                            {"x-third", "1"},
                                            {"trailer", "x-sum"}};
    static const char *const left[] = {"x-other", "trailer"};
    (void)state;
    struct headers h = table(fields, ARRAY_LEN(fields));
    headers_strip_hop(&h);
    assert_names(&h, left, ARRAY_LEN(left));
    static const char *const asked[] = {"x-other", "proxy-authenticate", "proxy-authorization",
                                        "trailer"};
    h = table(fields, ARRAY_LEN(fields));
    headers_strip_tunnel(&h);
    assert_names(&h, asked, ARRAY_LEN(asked));
    static const char *const te[][2] = {{"te", "Trailers"}};
    h = table(te, 1);
    headers_strip_hop(&h);
    assert_int_equal(h.count, 1);
}

static void test_trailers_that_frame_route_or_identify_are_refused(void **state)
{
    static const char *const refused[] = {
        "content-length", "transfer-encoding", "host",        "authorization", "connection",
        "cookie",         "set-cookie",        "parley-peer", "parley_peer",   "x-forwarded-for",
        "content_length", "trailer",           "te",          "content-type",  "expect"};
    static const char *const fine[] = {"x-sum", "grpc-status", "etag", "server-timing"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        assert_false(headers_trailer_allowed(span_str(refused[i])));
    for (size_t i = 0; i < ARRAY_LEN(fine); i++)
        assert_true(headers_trailer_allowed(span_str(fine[i])));
}

static void test_token_characters_are_those_of_the_rfc(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        char byte = (char)c;
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool token = alnum || (c != 0 && c < 128 && strchr("!#$%&'*+-.^_`|~", (int)c) != NULL);
        assert_int_equal(headers_token_valid(span_of(&byte, 1)), token);
        bool value = c == '\t' || (c >= 0x20 && c != 0x7f);
        assert_int_equal(headers_value_valid(span_of(&byte, 1)), value);
    }
    assert_false(headers_token_valid(SPAN_LIT("")));
    assert_true(headers_value_valid(SPAN_LIT("")));
}

static void test_lists_are_searched_by_whole_items(void **state)
{
    (void)state;
    assert_true(headers_list_has(SPAN_LIT("a, Close ,b"), "close"));
    assert_true(headers_list_has(SPAN_LIT("close"), "close"));
    assert_false(headers_list_has(SPAN_LIT("closed"), "close"));
    assert_false(headers_list_has(SPAN_LIT("not close"), "close"));
    assert_false(headers_list_has(SPAN_LIT(""), "close"));
}

static void test_names_are_found_whatever_their_length_and_spelling(void **state)
{
    (void)state;
    struct headers h;
    char name[80];
    memset(&h, 0xff, sizeof h);
    h.count = h.bytes = 0;
    assert_null(headers_find(&h, "a"));
    assert_int_equal(headers_remove(&h, "a"), 0);
    assert_int_equal(headers_remove_prefix(&h, "a"), 0);
    for (size_t len = 1; len < sizeof name; len++) {
        memset(name, 'q', len);
        name[len] = '\0';
        assert_null(headers_find(&h, name));
        assert_int_equal(headers_add(&h, span_str(name), SPAN_LIT("1")), ERR_OK);
        assert_non_null(headers_find(&h, name));
        assert_int_equal(headers_remove(&h, name), 1);
        assert_null(headers_find(&h, name));
    }
    assert_int_equal(headers_add(&h, SPAN_LIT("PARLEY_Id"), SPAN_LIT("1")), ERR_OK);
    assert_int_equal(headers_add(&h, SPAN_LIT("x_real_ip"), SPAN_LIT("1")), ERR_OK);
    struct headers copy = h;
    assert_int_equal(headers_remove_prefix(&copy, "parley-"), 1);
    assert_int_equal(headers_remove(&copy, "x-real-ip"), 1);
    h.count = h.bytes = 0;
    assert_null(headers_find(&h, "x_real_ip"));
    assert_int_equal(headers_add(&h, SPAN_LIT("te"), SPAN_LIT("1")), ERR_OK);
    assert_null(headers_find(&h, "x_real_ip"));
    assert_non_null(headers_find(&h, "te"));
}

static void test_a_name_is_lowered_as_far_as_it_is_a_token(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        char name[3] = {'X', (char)c, 'Y'};
        bool token = headers_token_valid(span_of(name, sizeof name));
        assert_int_equal(headers_name_lower(name, sizeof name), token);
        char low = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        assert_int_equal(name[0], 'x');
        assert_int_equal(name[1], low);
        assert_int_equal(name[2], token ? 'y' : 'Y');
    }
    assert_false(headers_name_lower(NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_are_found_and_removed),
        cmocka_unit_test(test_table_is_bounded_by_count_and_bytes),
        cmocka_unit_test(test_underscore_reads_as_hyphen),
        cmocka_unit_test(test_hop_fields_and_what_connection_names_go),
        cmocka_unit_test(test_trailers_that_frame_route_or_identify_are_refused),
        cmocka_unit_test(test_token_characters_are_those_of_the_rfc),
        cmocka_unit_test(test_lists_are_searched_by_whole_items),
        cmocka_unit_test(test_names_are_found_whatever_their_length_and_spelling),
        cmocka_unit_test(test_a_name_is_lowered_as_far_as_it_is_a_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
