/* Clients that go away: what they asked for ends, and what others asked for on the same link does
 * not. */
#include "tests/unit/support_peer.h"
#include "tests/unit/support_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* More than twice as many resets as a peer takes at once (mux_flood.h). */
#define GONE 600u

static uint64_t links(const struct support_rig *r)
{
    return metrics_count_get(r->web.metrics, METRICS_LINKS_OPENED);
}

static void test_who_goes_away_takes_nobody_along(void **state)
{
    struct support_rig *r = *state;
    static const struct linger now = {.l_onoff = 1};
    unsigned before = atomic_load(&r->requests);
    /* The first one waits for as long as all others take, sanitizers or not. */
    support_rig_web(r, "request_timeout = \"1h\"\n");
    int held = support_dial(r->api_addr);
    support_send(held, "POST /hang HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    support_rig_await(r, before + 1);
    uint64_t opened = links(r);
    for (unsigned i = 0; i < GONE; i++) {
        int fd = support_dial(r->api_addr);
        support_send(fd, "GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
        support_rig_await(r, before + 2 + i);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(fd);
    }
    support_rig_marker(r);
    char byte;
    assert_int_equal(recv(held, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(links(r), opened);
    close(held);
    /* The far side has heard of all. */
    support_node_quiet(&r->api);
}

/* Streams that were given up wait for its answer too, though nobody else does. */
static void test_a_silent_host_is_given_up_though_its_callers_are_gone(void **state)
{
    support_rig_given_up(*state, "@26:17400", support_peer_settings_only,
                         "request_timeout = \"200ms\"\n", "upstream_timeout");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_silent_host_is_given_up_though_its_callers_are_gone),
        cmocka_unit_test(test_who_goes_away_takes_nobody_along),
    };
    return cmocka_run_group_tests(tests, support_rig_setup, support_rig_teardown);
}
