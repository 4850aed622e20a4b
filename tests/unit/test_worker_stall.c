#include "tests/unit/support_peer.h"
#include "tests/unit/support_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MESH       "@21:17400"
#define HANDSHAKES 3u
#define OPENINGS   1024u

/* Says ClientHello and then nothing, for which nobody needs a certificate. */
static int stall(struct support_rig *r)
{
    uint8_t hello[4096];
    size_t len = support_peer_hello(&r->mesh, "web.shop", "h2", hello, sizeof hello);
    int fd = support_dial(MESH);
    assert_int_equal(send(fd, hello, len, MSG_NOSIGNAL), (ssize_t)len);
    /* The server's flight: it has taken a place. */
    assert_int_equal(recv(fd, hello, 1, 0), 1);
    return fd;
}

static void test_stalled_handshakes_of_others_keep_us_from_no_peer(void **state)
{
    struct support_rig *r = *state;
    int fd[HANDSHAKES];
    support_rig_web(r, "[limits]\nhandshakes = 3");
    for (size_t i = 0; i < HANDSHAKES; i++)
        fd[i] = stall(r);
    assert_int_equal(metrics_count_get(r->web.metrics, METRICS_LINKS_OPENED), 0);
    support_rig_get(r, "/plain", "");
    assert_non_null(strstr(r->buf, "HTTP/1.1 200 "));
    for (size_t i = 0; i < HANDSHAKES; i++)
        close(fd[i]);
    support_rig_marker(r);
}

/* And the limit holds for those that come in. */
static void test_stalled_handshakes_are_bounded(void **state)
{
    struct support_rig *r = *state;
    int fd[HANDSHAKES];
    uint8_t hello[4096];
    size_t len = support_peer_hello(&r->mesh, "web.shop", "h2", hello, sizeof hello);
    for (size_t i = 0; i < HANDSHAKES; i++)
        fd[i] = stall(r);
    int more = support_dial(MESH);
    assert_int_equal(send(more, hello, len, MSG_NOSIGNAL), (ssize_t)len);
    assert_true(recv(more, hello, 1, 0) <= 0);
    close(more);
    for (size_t i = 0; i < HANDSHAKES; i++)
        close(fd[i]);
}

/* A connection of which nothing is known yet has a place too: those of clients are not the peers'.
 */
static void test_silent_clients_keep_no_peer_from_us(void **state)
{
    struct support_rig *r = *state;
    static int fd[OPENINGS];
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    support_rig_web(r, "proxy_protocol = true");
    for (size_t i = 0; i < OPENINGS; i++)
        fd[i] = support_dial(r->api_addr);
    for (unsigned i = 0; i < 30000 && worker_sessions(r->web.worker) < OPENINGS; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    int peer = stall(r);
    close(peer);
    for (size_t i = 0; i < OPENINGS; i++)
        close(fd[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stalled_handshakes_of_others_keep_us_from_no_peer),
        cmocka_unit_test(test_stalled_handshakes_are_bounded),
        cmocka_unit_test(test_silent_clients_keep_no_peer_from_us),
    };
    return cmocka_run_group_tests(tests, support_rig_setup, support_rig_teardown);
}
