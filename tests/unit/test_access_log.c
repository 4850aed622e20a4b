#include "proxy/observe/access_log.h"

#include "core/base/check.h"
#include "core/base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct access_record request(struct addr *client)
{
    assert_int_equal(addr_parse(SPAN_LIT("10.0.0.1:51034"), 0, client), ERR_OK);
    return (struct access_record){
        .wall_us = UINT64_C(1795344242118201), /* 2026-11-22 10:44:02.118201 */
        .id = SPAN_LIT("01JD9C"),
        .direction = DIRECTION_INBOUND,
        .service = SPAN_LIT("api"),
        .peer = SPAN_LIT("web"),
        .peer_id = SPAN_LIT("spiffe://shop/service/web"),
        .node = SPAN_LIT("api-1"),
        .client = client,
        .proto = "h2",
        .method = SPAN_LIT("GET"),
        .host = SPAN_LIT("api"),
        .path = SPAN_LIT("/orders/17"),
        .query = SPAN_LIT("?token=secret"),
        .status = 200,
        .origin_app = true,
        .verdict = "allow",
        .rule = "orders",
        .layer = "mesh",
        .endpoint = SPAN_LIT("api-1"),
        .tries = 2,
        .duration_us = 1250,
        .app_us = 1001,
        .connect_us = 7,
        .rx = 0,
        .tx = 512,
        .tls = true,
        .generation = 4,
        .user_agent = SPAN_LIT("curl/7.88.1"),
    };
}

static void expect(const struct access_record *r, bool with_query, const char *want)
{
    char text[ACCESS_LOG_LINE_BYTES_MAX];
    struct strbuf out;
    strbuf_init_fixed(&out, text, sizeof(text));
    access_log_line(r, with_query, &out);
    assert_true(strbuf_ok(&out));
    assert_string_equal(text, want);
}

static void test_a_request_has_every_key_in_order(void **state)
{
    (void)state;
    struct addr client;
    struct access_record r = request(&client);
    expect(&r, false,
           "{\"ts\":\"2026-11-22T10:44:02.118201Z\",\"id\":\"01JD9C\",\"dir\":\"inbound\","
           "\"service\":\"api\",\"peer\":\"web\",\"peer_id\":\"spiffe://shop/service/web\","
           "\"node\":\"api-1\",\"client\":\"10.0.0.1:51034\",\"proto\":\"h2\",\"method\":\"GET\","
           "\"host\":\"api\",\"path\":\"/orders/17\",\"code\":200,\"origin\":\"app\","
           "\"verdict\":\"allow\",\"rule\":\"orders\",\"layer\":\"mesh\","
           "\"endpoint\":\"api-1\",\"tries\":2,"
           "\"dur_ms\":1.250,\"app_ms\":1.001,\"conn_ms\":0.007,\"rx\":0,\"tx\":512,\"tls\":true,"
           "\"gen\":4,\"ua\":\"curl/7.88.1\"}");
}

static void test_a_grpc_call_has_its_status(void **state)
{
    (void)state;
    struct access_record r = {.proto = "grpc", .status = 200, .grpc = true};
    expect(&r, false,
           "{\"ts\":\"1970-01-01T00:00:00.000000Z\",\"dir\":\"outbound\",\"proto\":\"grpc\","
           "\"code\":200,\"grpc_status\":0,\"origin\":\"mesh\",\"dur_ms\":0.000,\"rx\":0,"
           "\"tx\":0,\"tls\":false,\"gen\":0}");
}

static void test_absent_values_leave_their_keys_out(void **state)
{
    (void)state;
    struct access_record r = {.direction = DIRECTION_OUTBOUND, .reason = REASON_CLIENT_GONE};
    expect(
        &r, true,
        "{\"ts\":\"1970-01-01T00:00:00.000000Z\",\"dir\":\"outbound\","
        "\"reason\":\"client_gone\",\"dur_ms\":0.000,\"rx\":0,\"tx\":0,\"tls\":false,\"gen\":0}");
}

static void test_a_session_says_how_it_closed(void **state)
{
    (void)state;
    struct access_record r = {.wall_us = UINT64_C(951827696000001), /* 2000-02-29 12:34:56 */
                              .direction = DIRECTION_INBOUND,
                              .proto = "tcp",
                              .rx = UINT64_MAX,
                              .duration_us = 3600000000,
                              .close = "end"};
    expect(&r, false,
           "{\"ts\":\"2000-02-29T12:34:56.000001Z\",\"dir\":\"inbound\",\"proto\":\"tcp\","
           "\"dur_ms\":3600000.000,\"rx\":18446744073709551615,\"tx\":0,\"tls\":false,\"gen\":0,"
           "\"close\":\"end\"}");
}

static void test_the_query_is_written_only_when_asked_for(void **state)
{
    (void)state;
    struct access_record r = {.path = SPAN_LIT("/a\"b"), .query = SPAN_LIT("?c=\"d")};
    expect(&r, true,
           "{\"ts\":\"1970-01-01T00:00:00.000000Z\",\"dir\":\"outbound\","
           "\"path\":\"/a\\\"b?c=\\\"d\",\"dur_ms\":0.000,\"rx\":0,\"tx\":0,\"tls\":false,"
           "\"gen\":0}");
    expect(&r, false,
           "{\"ts\":\"1970-01-01T00:00:00.000000Z\",\"dir\":\"outbound\",\"path\":\"/a\\\"b\","
           "\"dur_ms\":0.000,\"rx\":0,\"tx\":0,\"tls\":false,\"gen\":0}");
}

static void test_control_bytes_and_bad_utf8_never_stand_raw(void **state)
{
    (void)state;
    struct access_record r = {.user_agent = SPAN_LIT("a\x01\n\x1b[31m\x7f\"\\\xff\xc3\xa9")};
    expect(&r, false,
           "{\"ts\":\"1970-01-01T00:00:00.000000Z\",\"dir\":\"outbound\",\"dur_ms\":0.000,\"rx\":0,"
           "\"tx\":0,\"tls\":false,\"gen\":0,"
           "\"ua\":\"a\\u0001\\n\\u001b[31m\\u007f\\\"\\\\\xef\xbf\xbd\xc3\xa9\"}");
}

/* Every text far too long, of each kind of byte: the line is whole, in bounds and without raw
 * control bytes. */
static void test_lines_are_bounded_whatever_comes(void **state)
{
    (void)state;
    static char raw[65536];
    static const char fill[] = {'a', '"', '\\', '\n', '\x01', '\x7f', '\xff', '\xc3', '%'};
    for (size_t i = 0; i < ARRAY_LEN(fill); i++) {
        memset(raw, fill[i], sizeof(raw) - 1);
        struct span s = span_of(raw, sizeof(raw) - 1);
        struct addr client;
        struct access_record r = request(&client);
        r.id = r.service = r.peer = r.peer_id = r.node = r.method = r.host = s;
        r.path = r.query = r.endpoint = r.user_agent = s;
        r.proto = r.verdict = r.rule = r.layer = r.close = raw;
        r.wall_us = r.duration_us = r.app_us = r.connect_us = r.rx = r.tx = UINT64_MAX / 4;
        r.generation = UINT64_MAX;
        r.reason = REASON_PEER_IDENTITY_MISMATCH;
        for (unsigned with_query = 0; with_query < 2; with_query++) {
            char text[ACCESS_LOG_LINE_BYTES_MAX];
            struct strbuf out;
            strbuf_init_fixed(&out, text, sizeof(text));
            access_log_line(&r, with_query, &out);
            assert_true(strbuf_ok(&out));
            assert_int_equal(text[0], '{');
            assert_int_equal(text[out.len - 1], '}');
            unsigned quotes = 0;
            for (size_t k = 0; k < out.len; k++) {
                assert_true((unsigned char)text[k] >= 0x20 && text[k] != 0x7f);
                if (text[k] == '\\')
                    k++;
                else
                    quotes += text[k] == '"';
            }
            assert_int_equal(quotes % 2, 0);
        }
    }
}

static void test_only_errors_or_nothing_reaches_the_ring(void **state)
{
    (void)state;
    static const struct {
        enum config_access_only only;
        unsigned status;
        enum reason reason;
        bool kept;
    } row[] = {
        {ACCESS_ALL, 200, REASON_NONE, true},
        {ACCESS_ERRORS, 200, REASON_NONE, false},
        {ACCESS_ERRORS, 404, REASON_NONE, false},
        {ACCESS_ERRORS, 500, REASON_APP, true},
        {ACCESS_ERRORS, 403, REASON_DENIED_DEFAULT, true},
        {ACCESS_ERRORS, 0, REASON_CLIENT_GONE, true},
        {ACCESS_NONE, 500, REASON_INTERNAL, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct byte_ring ring;
        char line[ACCESS_LOG_LINE_BYTES_MAX];
        struct access_record r = {.status = row[i].status, .reason = row[i].reason};
        assert_int_equal(byte_ring_init(&ring, 16384), ERR_OK);
        assert_true(access_log_put(&ring, &r, row[i].only, false));
        size_t len = byte_ring_get(&ring, line, sizeof(line));
        assert_int_equal(len > 0, row[i].kept);
        byte_ring_fini(&ring);
    }
}

static void test_a_full_ring_drops_and_counts(void **state)
{
    (void)state;
    struct byte_ring ring;
    struct access_record r = {.status = 200};
    unsigned kept = 0;
    assert_int_equal(byte_ring_init(&ring, 1024), ERR_OK);
    while (access_log_put(&ring, &r, ACCESS_ALL, false))
        kept++;
    assert_in_range(kept, 4, 10);
    assert_int_equal(atomic_load(&ring.dropped), 1);
    byte_ring_fini(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_has_every_key_in_order),
        cmocka_unit_test(test_a_grpc_call_has_its_status),
        cmocka_unit_test(test_absent_values_leave_their_keys_out),
        cmocka_unit_test(test_a_session_says_how_it_closed),
        cmocka_unit_test(test_the_query_is_written_only_when_asked_for),
        cmocka_unit_test(test_control_bytes_and_bad_utf8_never_stand_raw),
        cmocka_unit_test(test_lines_are_bounded_whatever_comes),
        cmocka_unit_test(test_only_errors_or_nothing_reaches_the_ring),
        cmocka_unit_test(test_a_full_ring_drops_and_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
