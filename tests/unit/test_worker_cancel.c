/* Clients that go away: what they asked for ends, and what others asked for on the same link does
 * not. */
#include "tests/unit/support_peer.h"
#include "tests/unit/support_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
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
    struct support_rig *r = *state;
    struct worker_message *m;
    struct timespec ms = {.tv_nsec = 20000000};
    struct addr mute;
    char text[ADDR_TEXT_MAX];
    bool told = false;
    support_expand("@26:17400", text, sizeof text);
    assert_int_equal(addr_parse(span_str(text), 0, &mute), ERR_OK);
    struct support_app *app = support_app_start(text, support_peer_settings_only, &r->mesh);
    r->web.endpoint[0].addr = mute;
    support_rig_web(r, "request_timeout = \"200ms\"\n");
    support_rig_get(r, "/plain", "");
    assert_non_null(strstr(r->buf, "parley-reason: upstream_timeout\r\n"));
    for (unsigned i = 0; i < 3000 && !told; i++) {
        nanosleep(&ms, NULL);
        while ((m = worker_receive(r->web.worker)) != NULL) {
            told |= m->kind == WORKER_DEAD_LINK && addr_eq(&m->peer, &mute);
            free(m);
        }
    }
    assert_true(told);
    r->web.endpoint[0].addr = r->api.config->node.addr;
    support_rig_web(r, "");
    support_rig_marker(r);
    support_app_stop(app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_silent_host_is_given_up_though_its_callers_are_gone),
        cmocka_unit_test(test_who_goes_away_takes_nobody_along),
    };
    return cmocka_run_group_tests(tests, support_rig_setup, support_rig_teardown);
}
