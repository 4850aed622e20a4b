#include "cmd/daemon/compile.h"

#include "tests/unit/support_daemon.h"

#include "cmd/daemon/drain.h"
#include "core/base/check.h"
#include "core/io/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define SOON_MS  30000u
#define SERVICES "[service.web]\nlocal = \"@:8080\"\nhealth = \"none\"\nweight = 7\n"

struct world {
    struct support_daemon mesh;
    struct daemon *d;
};

static bool ready(struct daemon *d)
{
    return d->ready && compile_settled(d->compile);
}

static int setup(void **state)
{
    static const char *const service[] = {"web", NULL};
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    support_daemon_open(&w->mesh);
    w->d = support_daemon_here(support_daemon_node(&w->mesh, service, SERVICES));
    assert_true(support_daemon_until(w->d, ready, SOON_MS));
    *state = w;
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

static bool built_second(struct daemon *d)
{
    return compile_generation(d->compile) >= 2;
}

static bool built_third(struct daemon *d)
{
    return compile_generation(d->compile) >= 3;
}

static bool never(struct daemon *d)
{
    (void)d;
    return false;
}

static void test_first_snapshot_is_in_every_worker_before_ready(void **state)
{
    struct world *w = *state;
    assert_int_equal(compile_generation(w->d->compile), 1);
    assert_true(compile_settled(w->d->compile));
}

static void test_burst_of_changes_is_one_snapshot_after_a_pause(void **state)
{
    struct world *w = *state;
    uint64_t begin_ms = clock_mono_ms();
    for (unsigned i = 0; i < 50; i++)
        compile_request(w->d->compile);
    assert_true(support_daemon_until(w->d, built_second, SOON_MS));
    assert_true(clock_mono_ms() - begin_ms >= COMPILE_QUIET_MS - 1);
    (void)support_daemon_until(w->d, never, 2 * COMPILE_LATEST_MS);
    assert_int_equal(compile_generation(w->d->compile), 2);
    assert_true(compile_settled(w->d->compile));
}

static bool built_while_asking(struct daemon *d)
{
    compile_request(d->compile); /* at every look, so that quiet never comes */
    return compile_generation(d->compile) >= 2;
}

static void test_changes_that_never_pause_are_built_all_the_same(void **state)
{
    struct world *w = *state;
    (void)support_daemon_until(w->d, never, 1); /* the loop's time is that of its last turn */
    uint64_t begin_ms = clock_mono_ms();
    assert_true(support_daemon_until(w->d, built_while_asking, SOON_MS));
    assert_true(clock_mono_ms() - begin_ms >= COMPILE_LATEST_MS - 1);
}

static const struct build_endpoint *own(struct world *w)
{
    size_t count = 0;
    const struct build_endpoint *row = compile_endpoints(w->d->compile, &count);
    assert_int_equal(count, 1);
    return row;
}

static void test_own_service_is_an_endpoint_of_this_host(void **state)
{
    struct world *w = *state;
    const struct build_endpoint *row = own(w);
    assert_string_equal(row->service.text, "web");
    assert_string_equal(row->node.text, "h1");
    assert_true(row->self);
    assert_int_equal(row->weight, 7);
    assert_int_equal(row->status, ENDPOINT_UP);
    assert_true(addr_eq(&row->addr, &w->d->config->node.addr));
}

static void test_drain_shows_in_the_next_snapshot_and_goes_with_undrain(void **state)
{
    struct world *w = *state;
    drain_start(w->d->drain, 1000);
    assert_true(support_daemon_until(w->d, built_second, SOON_MS));
    assert_int_equal(own(w)->status, ENDPOINT_DRAINING);
    assert_int_equal(drain_undo(w->d->drain), ERR_OK);
    assert_true(support_daemon_until(w->d, built_third, SOON_MS));
    assert_int_equal(own(w)->status, ENDPOINT_UP);
}

/* N47: snapshots come back and are freed; a leak check of the whole run sees the rest. */
static void test_hundred_snapshots_come_back(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(compile_now(w->d->compile, w->d->config, NULL), ERR_OK);
    assert_true(support_daemon_until(w->d, ready, SOON_MS));
    compile_reclaim(w->d->compile);
    assert_int_equal(compile_generation(w->d->compile), 101);
    assert_int_equal(compile_published(w->d->compile), 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_first_snapshot_is_in_every_worker_before_ready),
        CASE(test_burst_of_changes_is_one_snapshot_after_a_pause),
        CASE(test_changes_that_never_pause_are_built_all_the_same),
        CASE(test_own_service_is_an_endpoint_of_this_host),
        CASE(test_drain_shows_in_the_next_snapshot_and_goes_with_undrain),
        CASE(test_hundred_snapshots_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
