#include "cmd/daemon/endpoints.h"

#include "tests/unit/support_daemon.h"

#include "cmd/daemon/compile.h"
#include "cmd/daemon/store_state.h"
#include "core/base/check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define SOON_MS 30000u

static void test_status_follows_member_drain_and_health(void **state)
{
    static const struct {
        enum member_state member;
        bool node_draining, draining;
        enum service_health health;
        enum endpoint_status want;
    } row[] = {
        {MEMBER_ALIVE, false, false, HEALTH_UP, ENDPOINT_UP},
        {MEMBER_ALIVE, false, false, HEALTH_UNKNOWN, ENDPOINT_UP},
        {MEMBER_SUSPECT, false, false, HEALTH_UP, ENDPOINT_UP},
        {MEMBER_ALIVE, false, false, HEALTH_DOWN, ENDPOINT_DOWN},
        {MEMBER_ALIVE, true, false, HEALTH_UP, ENDPOINT_DRAINING},
        {MEMBER_ALIVE, false, true, HEALTH_DOWN, ENDPOINT_DRAINING},
        {MEMBER_UNREACHABLE, false, false, HEALTH_UP, ENDPOINT_UNREACHABLE},
        {MEMBER_DEAD, true, true, HEALTH_DOWN, ENDPOINT_UNREACHABLE},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct service_instance s = {.health = row[i].health, .draining = row[i].draining};
        assert_int_equal(endpoints_status(row[i].member, row[i].node_draining, &s), row[i].want);
    }
}

static const struct build_endpoint *peer_row(struct daemon *d)
{
    size_t count = 0;
    const struct build_endpoint *row = compile_endpoints(d->compile, &count);
    for (size_t i = 0; i < count; i++)
        if (!row[i].self) return &row[i];
    return NULL;
}

static bool peer_up(struct daemon *d)
{
    const struct build_endpoint *row = peer_row(d);
    return row != NULL && row->status == ENDPOINT_UP;
}

static bool peer_unreachable(struct daemon *d)
{
    const struct build_endpoint *row = peer_row(d);
    return row != NULL && row->status == ENDPOINT_UNREACHABLE;
}

static bool peer_draining(struct daemon *d)
{
    const struct build_endpoint *row = peer_row(d);
    return row != NULL && row->status == ENDPOINT_DRAINING;
}

static bool peer_gone(struct daemon *d)
{
    return peer_row(d) == NULL;
}

struct world {
    struct support_daemon mesh;
    struct support_node *b;
    struct daemon *d;
};

static int setup(void **state)
{
    static const char *const service[] = {"api", NULL};
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    *state = w;
    support_daemon_open(&w->mesh);
    struct support_node *a = support_daemon_node(&w->mesh, NULL, "");
    w->b = support_daemon_node(
        &w->mesh, service, "[service.api]\nlocal = \"@:8080\"\nhealth = \"none\"\nweight = 9\n");
    support_daemon_up(w->b, false); /* forked before this process has a loop with signals */
    w->d = support_daemon_here(a);
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    daemon_free(w->d);
    support_daemon_close(&w->mesh);
    free(w);
    return 0;
}

/* A peer's whole life as rows: announced, paused, back, drained, left. */
static void test_rows_follow_a_peer_from_join_to_leave(void **state)
{
    struct world *w = *state;
    assert_true(support_daemon_until(w->d, peer_up, SOON_MS));
    const struct build_endpoint *row = peer_row(w->d);
    assert_string_equal(row->service.text, "api");
    assert_string_equal(row->node.text, "h2");
    assert_int_equal(row->weight, 9);
    assert_int_equal(row->addr.port, 7400);

    assert_int_equal(kill(w->b->pid, SIGSTOP), 0);
    assert_true(support_daemon_until(w->d, peer_unreachable, SOON_MS));
    assert_int_equal(kill(w->b->pid, SIGCONT), 0);
    assert_true(support_daemon_until(w->d, peer_up, SOON_MS));

    assert_int_equal(kill(w->b->pid, SIGTERM), 0);
    assert_true(support_daemon_until(w->d, peer_draining, SOON_MS));
    assert_true(support_daemon_until(w->d, peer_gone, SOON_MS));
}

static void allow_only(struct world *w, const char *service)
{
    uint8_t cert[ADMISSION_BYTES_MAX];
    size_t len = 0;
    struct sign_admission a;
    struct store s;
    assert_int_equal(store_open(w->b->root, NULL, &s), ERR_OK);
    assert_int_equal(store_state_admission(&s, NULL, cert, &len), ERR_OK);
    assert_int_equal(sign_admission_read(span_of(cert, len), &a), ERR_OK);
    a.service_count = 1;
    assert_int_equal(name_set(&a.service[0], span_str(service)), ERR_OK);
    assert_int_equal(sign_admission_make(w->mesh.issuer, &a, cert, &len), ERR_OK);
    assert_int_equal(store_state_admission_save(&s, span_of(cert, len), NULL), ERR_OK);
}

static int setup_bound(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    *state = w;
    support_daemon_open(&w->mesh);
    struct support_node *a = support_daemon_node(&w->mesh, NULL, "");
    w->b = support_daemon_node(&w->mesh, NULL,
                               "[service.api]\nlocal = \"@:8080\"\nhealth = \"none\"\n"
                               "[service.web]\nlocal = \"@:8081\"\nhealth = \"none\"\n");
    allow_only(w, "web");
    support_daemon_up(w->b, false);
    w->d = support_daemon_here(a);
    return 0;
}

/* security.md section 4: a node may announce only the services its admission grants. */
static void test_services_that_a_peer_was_not_admitted_for_have_no_rows(void **state)
{
    struct world *w = *state;
    size_t count = 0;
    assert_true(support_daemon_until(w->d, peer_up, SOON_MS));
    const struct build_endpoint *row = compile_endpoints(w->d->compile, &count);
    assert_int_equal(count, 1);
    assert_string_equal(row[0].service.text, "web");
    assert_string_equal(row[0].node.text, "h2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_follows_member_drain_and_health),
        cmocka_unit_test_setup_teardown(test_rows_follow_a_peer_from_join_to_leave, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_services_that_a_peer_was_not_admitted_for_have_no_rows,
                                        setup_bound, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
