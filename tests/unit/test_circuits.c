/* Circuits as the control thread knows them. */
#include "cmd/daemon/circuits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static int setup(void **state)
{
    static const struct hash_key key = {{1}};
    struct circuits *c;
    if (circuits_new(&key, &c) != ERR_OK) return -1;
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    circuits_free(*state);
    return 0;
}

static struct name named(const char *text)
{
    struct name n;
    assert_int_equal(name_set(&n, span_str(text)), ERR_OK);
    return n;
}

static void opens(struct circuits *c, const char *service, uint64_t endpoint, unsigned worker)
{
    const struct worker_message m = {.kind = WORKER_CIRCUIT,
                                     .service = named(service),
                                     .endpoint = endpoint,
                                     .open = true,
                                     .cause = CIRCUIT_RATE};
    circuits_note(c, worker, &m);
}

static void test_workers_are_counted_and_totals_stay(void **state)
{
    struct circuits *c = *state;
    opens(c, "api", 1, 0);
    opens(c, "api", 1, 3);
    assert_int_equal(circuits_get(c, 1).open_workers, 2);
    assert_int_equal(circuits_get(c, 1).cause, CIRCUIT_RATE);
    const struct worker_message closes = {
        .kind = WORKER_CIRCUIT, .service = named("api"), .endpoint = 1};
    circuits_note(c, 3, &closes);
    circuits_note(c, 0, &closes);
    assert_int_equal(circuits_get(c, 1).open_workers, 0);
    assert_int_equal(circuits_get(c, 1).cause, CIRCUIT_NONE);
    assert_int_equal(circuits_get(c, 1).opened_total, 2);
}

static void test_a_reset_closes_all_of_a_service_and_is_numbered(void **state)
{
    struct circuits *c = *state;
    struct name api = named("api");
    size_t count;
    opens(c, "api", 1, 0);
    opens(c, "api", 2, 0);
    opens(c, "db", 3, 0);
    assert_int_equal(circuits_reset(c, &api), ERR_OK);
    assert_int_equal(circuits_reset(c, &api), ERR_OK);
    assert_int_equal(circuits_of_service(c, &api).open_workers, 0);
    assert_int_equal(circuits_of_service(c, &api).opened_total, 2);
    assert_int_equal(circuits_get(c, 3).open_workers, 1);
    const struct build_reset *r = circuits_resets(c, &count);
    assert_int_equal(count, 1);
    assert_int_equal(r[0].count, 2);
}

/* Upstreams that come and go for ever: the slots of the gone are used again. */
static void test_what_is_of_a_removed_upstream_is_forgotten(void **state)
{
    struct circuits *c = *state;
    struct config_upstream kept = {.name = named("kept")};
    const struct config config = {.upstream = &kept, .upstream_count = 1};
    size_t count;
    opens(c, "kept", 1, 0);
    assert_int_equal(circuits_reset(c, &kept.name), ERR_OK);
    for (unsigned i = 0; i < 3 * CONFIG_UPSTREAMS_MAX; i++) {
        char text[NAME_BYTES_MAX + 1];
        (void)snprintf(text, sizeof text, "u%u", i);
        struct name gone = named(text);
        opens(c, text, 100 + i, 0);
        assert_int_equal(circuits_reset(c, &gone), ERR_OK);
        opens(c, text, 100 + i, 0);
        if (i % 100 == 99) circuits_keep(c, &config);
    }
    circuits_keep(c, &config);
    const struct build_reset *r = circuits_resets(c, &count);
    assert_int_equal(count, 1);
    assert_true(name_eq(&r[0].service, &kept.name));
    assert_int_equal(r[0].count, 1);
    assert_int_equal(circuits_get(c, 100).opened_total, 0);
    assert_int_equal(circuits_get(c, 1).opened_total, 1);
    /* A name that comes back begins anew. */
    struct name again = named("u1");
    assert_int_equal(circuits_reset(c, &again), ERR_OK);
    r = circuits_resets(c, &count);
    assert_int_equal(r[1].count, 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_workers_are_counted_and_totals_stay),
        CASE(test_a_reset_closes_all_of_a_service_and_is_numbered),
        CASE(test_what_is_of_a_removed_upstream_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
