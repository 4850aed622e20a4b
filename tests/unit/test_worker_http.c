#include "tests/unit/support_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static unsigned count_of(const char *text, const char *what)
{
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        count++;
    return count;
}

static void test_get_crosses_two_hosts(void **state)
{
    struct support_rig *r = *state;
    support_rig_get(r, "/hello?x=1", "X-One: 1\r\n");
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(r->buf, "GET /hello?x=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(r->buf, "x-one: 1\r\n"));
    assert_non_null(strstr(r->buf, "host: api\r\n"));
    assert_non_null(strstr(r->buf, "parley-peer: spiffe://shop/service/web\r\n"));
    assert_non_null(strstr(r->buf, "connection: close\r\n"));
    assert_null(strstr(r->buf, "parley-reason"));
}

static void test_both_sides_log_the_same_id(void **state)
{
    struct support_rig *r = *state;
    char id[64];
    support_rig_settle(r);
    support_rig_get(r, "/hello?secret", "");
    const char *at = strstr(r->buf, "parley-request-id: ");
    assert_non_null(at);
    snprintf(id, sizeof id, "\"id\":\"%.26s\"", at + 19);
    support_node_line(&r->web, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, id));
    assert_non_null(strstr(r->line, "\"dir\":\"outbound\",\"service\":\"web\",\"peer\":\"api\""));
    assert_non_null(strstr(r->line, "\"endpoint\":\"h2\",\"tries\":1"));
    assert_null(strstr(r->line, "secret"));
    support_node_line(&r->api, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, id));
    assert_non_null(strstr(r->line, "\"dir\":\"inbound\",\"service\":\"api\",\"peer\":\"web\""));
    assert_non_null(strstr(r->line, "\"verdict\":\"allow\",\"rule\":\"allow\""));
}

static void test_keep_alive_and_pipelined_requests_are_answered_in_order(void **state)
{
    struct support_rig *r = *state;
    int fd = support_dial(r->api_addr);
    char text[4096] = "", part[100];
    for (unsigned i = 0; i < 20; i++) {
        snprintf(part, sizeof part, "GET /n%02u HTTP/1.1\r\nHost: a\r\n\r\n", i);
        strncat(text, part, sizeof text - strlen(text) - 1);
    }
    support_send(fd, text);
    support_send(fd, "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    support_read(fd, r->buf, sizeof r->buf, NULL, NULL);
    assert_int_equal(count_of(r->buf, "HTTP/1.1 200 OK\r\n"), 21);
    const char *at = r->buf;
    for (unsigned i = 0; i < 20; i++) {
        snprintf(part, sizeof part, "GET /n%02u HTTP/1.1", i);
        at = strstr(at, part);
        assert_non_null(at);
    }
    assert_non_null(strstr(at, "GET /last HTTP/1.1"));
    close(fd);
}

static void test_request_in_single_bytes_is_read(void **state)
{
    struct support_rig *r = *state;
    static const char text[] = "\r\nPOST /length HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                               "Content-Length: 3\r\n\r\nabc";
    int fd = support_dial(r->api_addr);
    for (size_t i = 0; i < sizeof text - 1; i++)
        assert_int_equal(send(fd, text + i, 1, MSG_NOSIGNAL), 1);
    support_read(fd, r->buf, sizeof r->buf, NULL, NULL);
    assert_non_null(strstr(r->buf, "\r\n\r\n0000000003"));
    close(fd);
}

static void test_head_has_the_length_and_no_body(void **state)
{
    struct support_rig *r = *state;
    int fd = support_dial(r->api_addr);
    support_send(fd, "HEAD /big?1234 HTTP/1.1\r\nHost: a\r\n\r\n"
                     "GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    support_read(fd, r->buf, sizeof r->buf, NULL, NULL);
    assert_non_null(strstr(r->buf, "content-length: 1234\r\n"));
    assert_int_equal(count_of(r->buf, "HTTP/1.1 200 OK\r\n"), 2);
    assert_null(strchr(strstr(r->buf, "content-length: 1234\r\n"), 'z'));
    assert_non_null(strstr(r->buf, "\r\n\r\nHTTP/1.1 200 OK\r\n"));
    close(fd);
}

static void test_chunked_response_and_its_trailers_pass(void **state)
{
    struct support_rig *r = *state;
    support_rig_get(r, "/chunks", "");
    assert_non_null(strstr(r->buf, "transfer-encoding: chunked\r\n"));
    assert_non_null(strstr(r->buf, "abc"));
    assert_non_null(strstr(r->buf, "0\r\nx-sum: 5\r\n\r\n"));
    assert_null(strstr(r->buf, "content-length"));
    assert_null(strstr(r->buf, "no_route"));
}

static void test_chunked_request_and_its_trailers_pass(void **state)
{
    struct support_rig *r = *state;
    support_exchange(
        r->api_addr,
        "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Sum: 5\r\n"
        "Host: evil\r\nparley-peer: evil\r\n\r\n",
        r->buf, sizeof r->buf);
    assert_non_null(strstr(r->buf, "POST /echo HTTP/1.1\r\n"));
    assert_non_null(strstr(r->buf, "transfer-encoding: chunked\r\n"));
    assert_non_null(strstr(r->buf, "x-sum: 5\r\n"));
    assert_null(strstr(r->buf, "evil"));
}

static void test_response_until_close_is_delimited_again(void **state)
{
    struct support_rig *r = *state;
    support_rig_get(r, "/until-close", "");
    assert_non_null(strstr(r->buf, "9\r\nall of it\r\n0\r\n\r\n"));
    support_rig_get(r, "/1.0", "");
    assert_non_null(strstr(r->buf, "3\r\nold\r\n0\r\n\r\n"));
}

static void test_http10_client_gets_plain_bytes_and_a_close(void **state)
{
    struct support_rig *r = *state;
    support_exchange(r->api_addr, "GET /chunks HTTP/1.0\r\n\r\n", r->buf, sizeof r->buf);
    assert_non_null(strstr(r->buf, "\r\n\r\nabcde"));
    assert_null(strstr(r->buf, "chunked"));
    support_exchange(r->api_addr, "GET /interim HTTP/1.0\r\n\r\n", r->buf, sizeof r->buf);
    assert_int_equal(count_of(r->buf, "HTTP/1.1 "), 1);
    assert_non_null(strstr(r->buf, "connection: close\r\n"));
}

static void test_interim_responses_pass_and_are_bounded(void **state)
{
    struct support_rig *r = *state;
    support_rig_get(r, "/interim", "");
    assert_non_null(strstr(r->buf, "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK"));
    support_rig_get(r, "/many-interim", "");
    assert_non_null(strstr(r->buf, "HTTP/1.1 502 Bad Gateway\r\n"));
    assert_non_null(strstr(r->buf, "parley-reason: protocol_error\r\n"));
    assert_int_equal(count_of(r->buf, "HTTP/1.1 103"), 16);
    support_rig_marker(r);
}

static void test_expect_continue_is_answered_by_the_application(void **state)
{
    struct support_rig *r = *state;
    int fd = support_dial(r->api_addr);
    support_send(fd, "POST /length HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                     "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    support_read(fd, r->buf, sizeof r->buf, "\r\n\r\n", NULL);
    assert_string_equal(r->buf, "HTTP/1.1 100 Continue\r\n\r\n");
    support_send(fd, "hello");
    support_read(fd, r->buf, sizeof r->buf, NULL, NULL);
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(r->buf, "0000000005"));
    close(fd);
}

static void test_large_bodies_stream_both_ways(void **state)
{
    struct support_rig *r = *state;
    enum { BYTES = 3000000 };
    char head[200];
    char *body = malloc(BYTES + 1);
    int fd = support_dial(r->api_addr);
    memset(body, 'y', BYTES);
    body[BYTES] = '\0';
    snprintf(head, sizeof head, "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n",
             BYTES);
    support_send(fd, head);
    support_send(fd, body);
    support_read(fd, r->buf, sizeof r->buf, "0003000000", NULL);
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 OK\r\n"));
    support_send(fd, "GET /big?20000000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    support_read(fd, r->buf, sizeof r->buf, "\r\n\r\n", NULL);
    size_t total = 0;
    for (bool ended = false; !ended;)
        total += support_read(fd, r->buf, sizeof r->buf, NULL, &ended);
    assert_int_equal(total, 20000000);
    free(body);
    close(fd);
}

static void test_slow_reader_holds_the_application_back(void **state)
{
    struct support_rig *r = *state;
    int fd = support_dial(r->api_addr);
    support_send(fd, "GET /big?60000000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    support_read(fd, r->buf, sizeof r->buf, "\r\n\r\n", NULL);
    /* Others go on meanwhile, on the same link. */
    for (unsigned i = 0; i < 20; i++)
        support_rig_marker(r);
    size_t total = 0;
    for (bool ended = false; !ended;)
        total += support_read(fd, r->buf, sizeof r->buf, NULL, &ended);
    assert_int_equal(total, 60000000);
    close(fd);
}

static void test_early_answer_ends_the_connection_and_hides_nothing(void **state)
{
    struct support_rig *r = *state;
    unsigned before = atomic_load(&r->requests);
    int fd = support_dial(r->api_addr);
    support_send(fd, "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    support_read(fd, r->buf, sizeof r->buf, "big", NULL);
    assert_non_null(strstr(r->buf, "HTTP/1.1 413 "));
    assert_non_null(strstr(r->buf, "connection: close\r\n"));
    support_send(fd, "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n");
    support_read(fd, r->buf, sizeof r->buf, NULL, NULL);
    assert_string_equal(r->buf, "");
    close(fd);
    assert_int_equal(atomic_load(&r->requests), before);
    support_rig_marker(r);
}

static void test_client_that_leaves_cancels_the_application(void **state)
{
    struct support_rig *r = *state;
    support_rig_settle(r);
    unsigned before = atomic_load(&r->requests);
    int fd = support_dial(r->api_addr);
    support_send(fd, "GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
    support_rig_await(r, before + 1);
    close(fd);
    support_node_line(&r->web, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, "\"reason\":\"client_gone\""));
    support_node_line(&r->api, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, "\"reason\":\"client_gone\""));
    support_node_quiet(&r->web);
    support_node_quiet(&r->api);
}

static void test_half_closed_client_gets_its_answer(void **state)
{
    struct support_rig *r = *state;
    bool ended;
    unsigned before = atomic_load(&r->requests);
    int fd = support_dial(r->api_addr);
    support_send(fd, "GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    shutdown(fd, SHUT_WR);
    support_rig_await(r, before + 1);
    /* Its end has been noticed, and it is asked whether it is still there. */
    support_read(fd, r->buf, sizeof r->buf, "\r\n\r\n", NULL);
    assert_string_equal(r->buf, "HTTP/1.1 100 Continue\r\n\r\n");
    int other = support_dial(r->api_addr);
    support_send(other, "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n");
    support_read(fd, r->buf, sizeof r->buf, NULL, &ended);
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(r->buf, "connection: close\r\n"));
    assert_non_null(strstr(r->buf, "GET /held HTTP/1.1\r\n"));
    assert_true(ended);
    close(other);
    close(fd);
}

static void test_half_closed_client_gets_all_of_a_pipeline(void **state)
{
    struct support_rig *r = *state;
    bool ended;
    int fd = support_dial(r->api_addr);
    support_send(fd, "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                     "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n"
                     "GET /big?100000 HTTP/1.1\r\nHost: a\r\n\r\n");
    shutdown(fd, SHUT_WR);
    support_read(fd, r->buf, sizeof r->buf, NULL, &ended);
    assert_true(ended);
    assert_non_null(strstr(r->buf, "0000000003"));
    assert_int_equal(count_of(r->buf, "HTTP/1.1 200 OK\r\n"), 3);
    assert_int_equal(strlen(strstr(r->buf, "xxx")), 100000);
    close(fd);
}

static void test_upload_that_ends_early_is_cancelled(void **state)
{
    struct support_rig *r = *state;
    support_rig_settle(r);
    int fd = support_dial(r->api_addr);
    support_send(fd, "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    shutdown(fd, SHUT_WR);
    support_read(fd, r->buf, sizeof r->buf, NULL, NULL);
    assert_string_equal(r->buf, "");
    support_node_line(&r->web, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, "\"reason\":\"client_gone\""));
    close(fd);
    support_rig_marker(r);
}

static void test_websocket_is_tunnelled_end_to_end(void **state)
{
    struct support_rig *r = *state;
    int fd = support_dial(r->api_addr);
    support_send(fd, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     "Sec-WebSocket-Key: k\r\n\r\nfirst");
    support_read(fd, r->buf, sizeof r->buf, "\r\n\r\n", NULL);
    assert_non_null(strstr(r->buf, "HTTP/1.1 101 Switching Protocols\r\n"));
    assert_non_null(strstr(r->buf, "sec-websocket-accept: x\r\n"));
    assert_non_null(strstr(r->buf, "upgrade: websocket\r\n"));
    assert_null(strstr(r->buf, "parley-upgrade"));
    support_read(fd, r->buf, sizeof r->buf, "first", NULL);
    assert_string_equal(r->buf, "first");
    support_send(fd, "second");
    support_read(fd, r->buf, sizeof r->buf, "second", NULL);
    assert_string_equal(r->buf, "second");
    shutdown(fd, SHUT_WR);
    bool ended;
    support_read(fd, r->buf, sizeof r->buf, NULL, &ended);
    assert_true(ended);
    close(fd);
    support_node_quiet(&r->web);
    support_node_quiet(&r->api);
    support_rig_marker(r);
}

static void test_declined_upgrade_is_an_ordinary_answer(void **state)
{
    struct support_rig *r = *state;
    int fd = support_dial(r->api_addr);
    support_send(fd, "GET /ws-no HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                     "Upgrade: websocket\r\n\r\n");
    support_read(fd, r->buf, sizeof r->buf, "no\r\n0\r\n\r\n", NULL);
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 OK\r\n"));
    assert_null(strstr(r->buf, "upgrade: "));
    close(fd);
    support_node_quiet(&r->api);
    support_rig_marker(r);
}

static void test_h2c_upgrade_is_never_offered(void **state)
{
    struct support_rig *r = *state;
    support_exchange(
        r->api_addr,
        "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\n"
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        r->buf, sizeof r->buf);
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 OK\r\n"));
    assert_null(strstr(r->buf, "h2c"));
    assert_null(strstr(r->buf, "http2-settings"));
}

static void test_unwanted_switch_of_protocol_is_an_error(void **state)
{
    struct support_rig *r = *state;
    support_rig_get(r, "/101", "");
    assert_non_null(strstr(r->buf, "HTTP/1.1 502 "));
    support_rig_marker(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_crosses_two_hosts),
        cmocka_unit_test(test_both_sides_log_the_same_id),
        cmocka_unit_test(test_keep_alive_and_pipelined_requests_are_answered_in_order),
        cmocka_unit_test(test_request_in_single_bytes_is_read),
        cmocka_unit_test(test_head_has_the_length_and_no_body),
        cmocka_unit_test(test_chunked_response_and_its_trailers_pass),
        cmocka_unit_test(test_chunked_request_and_its_trailers_pass),
        cmocka_unit_test(test_response_until_close_is_delimited_again),
        cmocka_unit_test(test_http10_client_gets_plain_bytes_and_a_close),
        cmocka_unit_test(test_interim_responses_pass_and_are_bounded),
        cmocka_unit_test(test_expect_continue_is_answered_by_the_application),
        cmocka_unit_test(test_large_bodies_stream_both_ways),
        cmocka_unit_test(test_slow_reader_holds_the_application_back),
        cmocka_unit_test(test_early_answer_ends_the_connection_and_hides_nothing),
        cmocka_unit_test(test_half_closed_client_gets_its_answer),
        cmocka_unit_test(test_half_closed_client_gets_all_of_a_pipeline),
        cmocka_unit_test(test_upload_that_ends_early_is_cancelled),
        cmocka_unit_test(test_websocket_is_tunnelled_end_to_end),
        cmocka_unit_test(test_declined_upgrade_is_an_ordinary_answer),
        cmocka_unit_test(test_h2c_upgrade_is_never_offered),
        cmocka_unit_test(test_unwanted_switch_of_protocol_is_an_error),
        cmocka_unit_test(test_client_that_leaves_cancels_the_application),
    };
    return cmocka_run_group_tests(tests, support_rig_setup, support_rig_teardown);
}
