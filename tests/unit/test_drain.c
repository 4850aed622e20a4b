#include "cmd/daemon/drain.h"

#include "tests/unit/support_daemon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define SOON_MS 30000u

struct world {
    struct support_daemon mesh;
    struct daemon *d;
};

static bool ready(struct daemon *d)
{
    return d->ready;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    support_daemon_open(&w->mesh);
    w->d = support_daemon_here(support_daemon_node(&w->mesh, NULL, ""));
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

static struct drain_status status_of(struct daemon *d)
{
    struct drain_status st;
    drain_status(d->drain, &st);
    return st;
}

static bool drained(struct daemon *d)
{
    return status_of(d).state == DRAIN_DRAINED;
}

static bool never(struct daemon *d)
{
    (void)d;
    return false;
}

static void test_idle_host_drains_at_once(void **state)
{
    struct world *w = *state;
    assert_false(drain_active(w->d->drain));
    drain_start(w->d->drain, 60000);
    assert_true(drain_active(w->d->drain));
    assert_int_equal(status_of(w->d).state, DRAIN_DRAINING);
    assert_true(support_daemon_until(w->d, drained, SOON_MS));
    assert_false(status_of(w->d).timed_out);
    assert_true(drain_closing(w->d->drain));
    assert_string_equal(drain_word(status_of(w->d).state), "drained");
}

static void test_drained_host_stays_so_until_undone(void **state)
{
    struct world *w = *state;
    drain_start(w->d->drain, 60000);
    assert_true(support_daemon_until(w->d, drained, SOON_MS));
    drain_start(w->d->drain, 60000); /* once more is nothing */
    assert_int_equal(status_of(w->d).state, DRAIN_DRAINED);
    assert_int_equal(drain_undo(w->d->drain), ERR_OK);
    assert_int_equal(status_of(w->d).state, DRAIN_SERVING);
    assert_false(drain_active(w->d->drain));
    assert_false(drain_closing(w->d->drain));
}

static void test_undo_of_a_serving_host_is_nothing(void **state)
{
    struct world *w = *state;
    assert_int_equal(drain_undo(w->d->drain), ERR_OK);
    assert_int_equal(status_of(w->d).state, DRAIN_SERVING);
}

static void test_leaving_ends_the_loop_with_zero_and_cannot_be_undone(void **state)
{
    struct world *w = *state;
    w->d->exit_code = 9;
    drain_leave(w->d->drain, 60000);
    assert_int_equal(drain_undo(w->d->drain), ERR_BUSY);
    assert_false(support_daemon_until(w->d, never, SOON_MS)); /* ended by drain, not by the limit */
    assert_int_equal(w->d->exit_code, 0);
    assert_int_equal(status_of(w->d).state, DRAIN_LEAVING);
}

static void test_leave_after_a_drain_does_not_drain_again(void **state)
{
    struct world *w = *state;
    drain_start(w->d->drain, 60000);
    assert_true(support_daemon_until(w->d, drained, SOON_MS));
    drain_leave(w->d->drain, 60000);
    assert_int_equal(status_of(w->d).state, DRAIN_LEAVING);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_idle_host_drains_at_once),
        CASE(test_drained_host_stays_so_until_undone),
        CASE(test_undo_of_a_serving_host_is_nothing),
        CASE(test_leaving_ends_the_loop_with_zero_and_cannot_be_undone),
        CASE(test_leave_after_a_drain_does_not_drain_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
