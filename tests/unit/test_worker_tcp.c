#include "tests/unit/support_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void test_server_speaks_first_and_ends_are_halves(void **state)
{
    struct support_rig *r = *state;
    bool ended;
    support_rig_settle(r);
    int fd = support_dial(r->db_addr);
    support_read(fd, r->buf, sizeof r->buf, "hello\n", NULL);
    assert_string_equal(r->buf, "hello\n");
    support_send(fd, "select 1");
    support_read(fd, r->buf, sizeof r->buf, "select 1", NULL);
    assert_string_equal(r->buf, "select 1");
    shutdown(fd, SHUT_WR);
    support_read(fd, r->buf, sizeof r->buf, NULL, &ended);
    assert_string_equal(r->buf, "bye\n");
    assert_true(ended);
    close(fd);
    support_node_line(&r->web, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, "\"proto\":\"tcp\""));
    assert_non_null(strstr(r->line, "\"close\":\"end\""));
    assert_non_null(strstr(r->line, "\"rx\":8,\"tx\":18"));
    support_node_line(&r->api, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, "\"peer_id\":\"spiffe://shop/service/web\""));
    assert_non_null(strstr(r->line, "\"verdict\":\"allow\""));
}

static void test_much_goes_both_ways_at_once(void **state)
{
    struct support_rig *r = *state;
    enum { BYTES = 8000000, BLOCK = 64000 };
    char *block = malloc(BLOCK + 1);
    int fd = support_dial(r->db_addr);
    support_read(fd, r->buf, sizeof r->buf, "hello\n", NULL);
    memset(block, 'q', BLOCK);
    block[BLOCK] = '\0';
    for (size_t sent = 0, got = 0; got < BYTES;) {
        if (sent < BYTES) support_send(fd, block);
        sent += sent < BYTES ? BLOCK : 0;
        if (sent - got < 1000000 && sent < BYTES) continue;
        ssize_t n = recv(fd, r->buf, sizeof r->buf, 0);
        assert_true(n > 0);
        got += (size_t)n;
    }
    free(block);
    close(fd);
    support_node_quiet(&r->web);
    support_node_quiet(&r->api);
}

static void test_reset_of_the_client_reaches_the_application(void **state)
{
    struct support_rig *r = *state;
    struct linger now = {.l_onoff = 1};
    support_rig_settle(r);
    int fd = support_dial(r->db_addr);
    support_read(fd, r->buf, sizeof r->buf, "hello\n", NULL);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
    support_node_line(&r->api, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, "\"close\":\"client_gone\""));
    support_node_quiet(&r->web);
}

static void test_denied_session_is_reset(void **state)
{
    struct support_rig *r = *state;
    char text[1024];
    support_rig_settle(r);
    snprintf(text, sizeof text,
             "[node]\nname = \"h2\"\nmesh = \"shop\"\naddr = \"@22\"\nport = %u\n"
             "[service.db]\nlocal = \"%s\"\nprotocol = \"tcp\"\nallow = [\"other\"]\n",
             SUPPORT_RIG_PORT, r->db_local);
    support_node_config(&r->api, text);
    support_node_publish(&r->api);
    int fd = support_dial(r->db_addr);
    assert_true(recv(fd, r->buf, 1, 0) <= 0);
    close(fd);
    support_node_line(&r->web, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, "\"reason\":\"denied_default\""));
    support_node_line(&r->api, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, "\"reason\":\"denied_default\""));
    support_rig_rules(r, SUPPORT_RIG_PORT, NULL);
}

static void test_session_ends_when_the_policy_no_longer_allows_it(void **state)
{
    struct support_rig *r = *state;
    char text[1024];
    support_rig_settle(r);
    int fd = support_dial(r->db_addr);
    support_read(fd, r->buf, sizeof r->buf, "hello\n", NULL);
    /* A snapshot that still allows it does nothing. */
    support_node_publish(&r->api);
    support_send(fd, "still here");
    support_read(fd, r->buf, sizeof r->buf, "still here", NULL);
    assert_string_equal(r->buf, "still here");
    snprintf(text, sizeof text,
             "[node]\nname = \"h2\"\nmesh = \"shop\"\naddr = \"@22\"\nport = %u\n"
             "[service.db]\nlocal = \"%s\"\nprotocol = \"tcp\"\nallow = [\"other\"]\n",
             SUPPORT_RIG_PORT, r->db_local);
    support_node_config(&r->api, text);
    support_node_publish(&r->api);
    assert_true(recv(fd, r->buf, 1, 0) <= 0);
    close(fd);
    support_node_line(&r->api, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, "\"close\":\"policy_changed\""));
    support_rig_rules(r, SUPPORT_RIG_PORT, NULL);
}

static void test_no_application_is_a_reset_with_its_reason(void **state)
{
    struct support_rig *r = *state;
    support_rig_settle(r);
    support_app_stop(r->db_app);
    r->db_app = NULL;
    int fd = support_dial(r->db_addr);
    assert_true(recv(fd, r->buf, 1, 0) <= 0);
    close(fd);
    support_node_line(&r->web, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, "\"reason\":\"conn_refused\""));
    r->db_app = support_app_start(r->db_local, support_rig_tcp, r);
    fd = support_dial(r->db_addr);
    support_read(fd, r->buf, sizeof r->buf, "hello\n", NULL);
    assert_string_equal(r->buf, "hello\n");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_speaks_first_and_ends_are_halves),
        cmocka_unit_test(test_much_goes_both_ways_at_once),
        cmocka_unit_test(test_reset_of_the_client_reaches_the_application),
        cmocka_unit_test(test_denied_session_is_reset),
        cmocka_unit_test(test_session_ends_when_the_policy_no_longer_allows_it),
        cmocka_unit_test(test_no_application_is_a_reset_with_its_reason),
    };
    return cmocka_run_group_tests(tests, support_rig_setup, support_rig_teardown);
}
