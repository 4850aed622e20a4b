#include "tests/unit/support_rig.h"

#include "core/base/check.h"
#include "core/io/clock.h"
#include "core/io/sock.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define P           "POST /length HTTP/1.1\r\nHost: a\r\n"
#define G           "GET /echo HTTP/1.1\r\nHost: a\r\n"
#define BYTES(text) (text), sizeof(text) - 1

/* Rows of security.md that show only with a whole worker; the rest is in test_h1. */
static const struct row {
    const char *id;
    const char *bytes;
    size_t len;
    const char *status; /* of the answer; "" none: closed without a word */
    unsigned reached;   /* requests the application gets */
} rows[] = {
    {"A01", BYTES(P "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"), "400", 0},
    {"A10", BYTES(P "Content-Length: 18446744073709551617\r\n\r\n"), "400", 0},
    {"A19", BYTES("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "400", 0},
    {"A25", BYTES(P "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n"), "400", 0},
    {"A28", BYTES(P "Transfer-Encoding: chunked\r\n\r\n1\r\nZZ\r\n0\r\n\r\n"), "400", 0},
    {"A31", BYTES(G "Content-Length: 28\r\n\r\nGET /hidden HTTP/1.1\r\nHost: b"), "200", 1},
    {"A33", BYTES(P "Expect: foo\r\nContent-Length: 1\r\n\r\na"), "417", 0},
    {"B06", BYTES(G "X: a\0b\r\n\r\n"), "400", 0},
    {"B13", BYTES("GET / HTTP/1.1\r\n\r\n"), "400", 0},
    {"B14 list", BYTES("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"), "400", 0},
    {"B14 slash", BYTES("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), "400", 0},
    {"B14 user", BYTES("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), "400", 0},
    {"B14 space", BYTES("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), "400", 0},
    {"B14 port", BYTES("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n"), "400", 0},
    {"B14 empty", BYTES("GET / HTTP/1.1\r\nHost:\r\n\r\n"), "400", 0},
    {"B14 absolute", BYTES("GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n"), "400", 0},
    {"B16 *", BYTES("GET * HTTP/1.1\r\nHost: a\r\n\r\n"), "400", 0},
    {"B16 admin", BYTES("GET admin HTTP/1.1\r\nHost: a\r\n\r\n"), "400", 0},
    {"B16 a:80", BYTES("GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n"), "400", 0},
    {"B16 CONNECT /", BYTES("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n"), "400", 0},
    {"B16 */x", BYTES("OPTIONS */x HTTP/1.1\r\nHost: a\r\n\r\n"), "400", 0},
    {"B16 other scheme", BYTES("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), "400", 0},
    {"B17", BYTES("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"), "400", 0},
    {"B18 high", BYTES("GET /a\x80 HTTP/1.1\r\nHost: a\r\n\r\n"), "400", 0},
    {"B19", BYTES("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), "505", 0},
    {"B20", BYTES("GET /\r\n"), "400", 0},
    {"B22", BYTES("get / HTTP/1.1\r\nHost: a\r\n\r\n"), "400", 0},
    {"B25", BYTES("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), "400", 0},
    {"B26", BYTES("PRI * HTTP/2.0\r\nHost: a\r\n\r\n"), "400", 0},
    {"F05", BYTES("CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: a\r\n\r\n"), "405", 0},
    {"G17", BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "", 0},
    {"options", BYTES("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), "200", 1},
    {"absolute", BYTES("GET http://b.example/x?y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
     "200", 1},
};

static void test_requests_are_refused_and_nothing_is_poisoned(void **state)
{
    struct support_rig *r = *state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char want[32];
        unsigned before = atomic_load(&r->requests);
        int fd = support_dial(r->api_addr);
        assert_int_equal(send(fd, rows[i].bytes, rows[i].len, MSG_NOSIGNAL), rows[i].len);
        shutdown(fd, SHUT_WR);
        /* An answer that is due comes although our side has ended, unless it needs the application.
         */
        bool app = rows[i].reached > 0;
        if (app) {
            close(fd);
            fd = support_dial(r->api_addr);
            assert_int_equal(send(fd, rows[i].bytes, rows[i].len, MSG_NOSIGNAL), rows[i].len);
            support_read(fd, r->buf, sizeof r->buf, "\r\n\r\n", NULL);
        } else {
            support_read(fd, r->buf, sizeof r->buf, NULL, NULL);
        }
        close(fd);
        support_node_quiet(&r->web);
        /* Whose client went away is told to the far side a little later. */
        support_node_quiet(&r->api);
        snprintf(want, sizeof want, "HTTP/1.1 %s ", rows[i].status);
        bool right = rows[i].status[0] != '\0' ? strncmp(r->buf, want, strlen(want)) == 0
                                               : r->buf[0] == '\0';
        if (!right) print_error("%s: got %.60s\n", rows[i].id, r->buf);
        assert_true(right);
        if (!app) assert_int_equal(atomic_load(&r->requests), before);
        support_rig_marker(r);
    }
}

static const struct {
    const char *id, *path, *want;
    bool cut; /* the client must see an abort, no clean end */
} responses[] = {
    {"C01", "/both", "HTTP/1.1 502 ", false},
    {"C03", "/ws-no", "HTTP/1.1 200 ", false},
    {"C05", "/twice", "HTTP/1.1 200 ", false},
    {"C06", "/many-interim", "HTTP/1.1 103 ", false},
    {"C07", "/204-body", "HTTP/1.1 204 ", false},
    {"C08", "/garbage", "HTTP/1.1 502 ", false},
    {"C09 length", "/short", "HTTP/1.1 200 ", true},
    {"C09 chunk", "/short-chunk", "HTTP/1.1 200 ", true},
    {"died", "/die", "HTTP/1.1 502 ", false},
};

static void test_broken_applications_poison_nothing(void **state)
{
    struct support_rig *r = *state;
    for (size_t i = 0; i < ARRAY_LEN(responses); i++) {
        for (unsigned times = 0; times < 3; times++) {
            support_rig_get(r, responses[i].path, "");
            bool right = strncmp(r->buf, responses[i].want, strlen(responses[i].want)) == 0 &&
                         strstr(r->buf, "evil") == NULL;
            /* The reset may overtake what had been sent. */
            right |= responses[i].cut && r->buf[0] == '\0';
            if (!right) print_error("%s: got %s\n", responses[i].id, r->buf);
            assert_true(right);
            if (responses[i].cut) assert_null(strstr(r->buf, "\r\n0\r\n\r\n"));
            support_rig_marker(r);
        }
    }
}

static void test_huge_head_is_refused_in_bounded_memory(void **state)
{
    struct support_rig *r = *state;
    enum { BYTES = 1 << 20 };
    char *text = malloc(BYTES + 1);
    size_t len = (size_t)snprintf(text, BYTES, "%s", G "X: ");
    memset(text + len, 'a', BYTES - len);
    text[BYTES] = '\0';
    support_exchange(r->api_addr, text, r->buf, sizeof r->buf);
    assert_non_null(strstr(r->buf, "HTTP/1.1 431 "));
    memcpy(text, "GET /", 5);
    memset(text + 5, 'a', BYTES - 5);
    support_exchange(r->api_addr, text, r->buf, sizeof r->buf);
    assert_non_null(strstr(r->buf, "HTTP/1.1 414 "));
    free(text);
    support_rig_marker(r);
}

static void test_plaintext_on_the_mesh_port_is_closed_without_a_word(void **state)
{
    struct support_rig *r = *state;
    char addr[32];
    uint64_t count = metrics_count_get(r->api.metrics, METRICS_PLAINTEXT_ON_MESH);
    snprintf(addr, sizeof addr, "@22:%u", SUPPORT_RIG_PORT);
    support_exchange(addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", r->buf, sizeof r->buf);
    assert_string_equal(r->buf, "");
    assert_int_equal(metrics_count_get(r->api.metrics, METRICS_PLAINTEXT_ON_MESH), count + 1);
    /* One that says nothing is closed too. */
    support_exchange(addr, "", r->buf, sizeof r->buf);
    assert_string_equal(r->buf, "");
    support_rig_marker(r);
}

static void test_tls_at_a_plain_listener_is_closed_and_counted(void **state)
{
    struct support_rig *r = *state;
    uint64_t count = metrics_count_get(r->web.metrics, METRICS_BAD_PREFACE);
    support_exchange(r->api_addr, "\x16\x03\x01\x02", r->buf, sizeof r->buf);
    assert_string_equal(r->buf, "");
    assert_int_equal(metrics_count_get(r->web.metrics, METRICS_BAD_PREFACE), count + 1);
    support_exchange(r->api_addr, G "\r\n\x16", r->buf, sizeof r->buf);
    assert_int_equal(metrics_count_get(r->web.metrics, METRICS_BAD_PREFACE), count + 1);
    support_rig_marker(r);
}

static void test_ten_thousand_pipelined_requests_are_answered_in_order(void **state)
{
    struct support_rig *r = *state;
    enum { COUNT = 10000 };
    static const char one[] = "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";
    char *text = malloc(COUNT * (sizeof one - 1));
    int fd = support_dial(r->api_addr);
    for (size_t i = 0; i < COUNT; i++)
        memcpy(text + i * (sizeof one - 1), one, sizeof one - 1);
    unsigned answers = 0;
    size_t sent = 0, len = COUNT * (sizeof one - 1), kept = 0;
    while (answers < COUNT) {
        if (sent < len) {
            ssize_t n = send(fd, text + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n > 0) sent += (size_t)n;
        }
        ssize_t n = recv(fd, r->buf + kept, sizeof r->buf - kept - 1, 0);
        assert_true(n > 0);
        r->buf[kept + (size_t)n] = '\0';
        const char *at = r->buf, *next;
        while ((next = strstr(at, "\r\n\r\nok")) != NULL) {
            answers++;
            at = next + 6;
        }
        kept = strlen(at);
        memmove(r->buf, at, kept + 1);
    }
    assert_int_equal(answers, COUNT);
    free(text);
    close(fd);
}

static void test_want_of_descriptors_pauses_accepting_without_spinning(void **state)
{
    struct support_rig *r = *state;
    enum { CLIENTS = 8000 };
    struct rlimit before, tight;
    struct timespec pause = {.tv_nsec = 350000000};
    static int fd[CLIENTS];
    unsigned count = 0;
    char text[ADDR_TEXT_MAX];
    struct addr addr;
    struct sockaddr_storage sys;
    support_rig_marker(r);
    uint64_t begin_ms = clock_mono_ms();
    assert_int_equal(addr_parse(span_str(support_expand(r->api_addr, text, sizeof text)), 0, &addr),
                     ERR_OK);
    socklen_t len = sock_to_sys(&addr, &sys);
    int highest = 0;
    for (int i = 0; i < 8192; i++)
        if (fcntl(i, F_GETFD) >= 0) highest = i;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = before;
    tight.rlim_cur = (rlim_t)highest + 50;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    while (count < CLIENTS && (fd[count] = socket(AF_INET, SOCK_STREAM, 0)) >= 0) {
        if (connect(fd[count], (struct sockaddr *)&sys, len) != 0) break;
        count++;
    }
    assert_true(count > 10 && count < CLIENTS);
    uint64_t errors;
    do {
        nanosleep(&pause, NULL);
        errors = metrics_count_get(r->web.metrics, METRICS_ACCEPT_ERRORS);
    } while (errors == 0);
    /* Ten a second; spinning makes thousands. */
    assert_true(errors < 20 + (clock_mono_ms() - begin_ms) / 50);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    while (count > 0)
        close(fd[--count]);
    support_rig_marker(r);
}

/* One frame of HTTP/2. */
static size_t put_frame(char *out, unsigned type, unsigned flags, const char *payload, size_t len)
{
    const char head[9] = {
        (char)(len >> 16), (char)(len >> 8), (char)len, (char)type, (char)flags, 0, 0, 0,
        type == 4 ? 0 : 1};
    memcpy(out, head, sizeof head);
    if (len > 0) memcpy(out + sizeof head, payload, len);
    return sizeof head + len;
}

/* 62 KB of fields and a path of 8 KB, each allowed, are more than a frame of a link: the far end
 * would end the link, and with it what others have on it. */
static void test_head_that_no_link_takes_ends_no_link(void **state)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    static char head[80000], bytes[90000];
    struct support_rig *r = *state;
    size_t len = 0, at = 0, sent;
    memcpy(head,
           "\x82\x86\x01\x03"
           "api\x04\x7f\xc1\x3d/",
           12);
    memset(head + 12, 'p', 7999);
    len = 12 + 7999;
    for (unsigned i = 0; i < 4; i++) {
        memcpy(head + len, "\0\x03x-a\x7f\x8a\x78", 8);
        head[len + 4] = (char)('a' + i);
        memset(head + len + 8, 'v', 15497);
        len += 8 + 15497;
    }
    memcpy(bytes, preface, sizeof preface - 1);
    sent = sizeof preface - 1;
    sent += put_frame(bytes + sent, 4, 0, NULL, 0);
    for (; at < len; at += 16384) {
        size_t part = len - at < 16384 ? len - at : 16384;
        unsigned flags = (at == 0 ? 1u : 0) | (at + part == len ? 4u : 0);
        sent += put_frame(bytes + sent, at == 0 ? 1 : 9, flags, head + at, part);
    }
    support_rig_settle(r);
    int fd = support_dial(r->api_addr);
    assert_int_equal(send(fd, bytes, sent, MSG_NOSIGNAL), sent);
    support_node_line(&r->web, r->line, sizeof r->line);
    assert_non_null(strstr(r->line, "\"code\":431"));
    assert_non_null(strstr(r->line, "\"headers_too_large\""));
    close(fd);
    support_rig_marker(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_are_refused_and_nothing_is_poisoned),
        cmocka_unit_test(test_broken_applications_poison_nothing),
        cmocka_unit_test(test_huge_head_is_refused_in_bounded_memory),
        cmocka_unit_test(test_plaintext_on_the_mesh_port_is_closed_without_a_word),
        cmocka_unit_test(test_tls_at_a_plain_listener_is_closed_and_counted),
        cmocka_unit_test(test_want_of_descriptors_pauses_accepting_without_spinning),
        cmocka_unit_test(test_ten_thousand_pipelined_requests_are_answered_in_order),
        cmocka_unit_test(test_head_that_no_link_takes_ends_no_link),
    };
    return cmocka_run_group_tests(tests, support_rig_setup, support_rig_teardown);
}
