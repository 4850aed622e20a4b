#include "proxy/net/clients.h"

#include "core/wire/mux_flood.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static int setup(void **state)
{
    static const struct hash_key key = {{7}};
    struct clients *c = calloc(1, sizeof *c);
    if (c == NULL) return -1;
    clients_init(c, &key);
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static struct addr addr_of(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(span_str(text), 1, &a), ERR_OK);
    return a;
}

static void test_one_client_cannot_have_what_is_for_all(void **state)
{
    struct clients *c = *state;
    struct addr rude = addr_of("10.0.0.9"), other = addr_of("10.0.0.8");
    struct clients_cell *held[3];
    for (size_t i = 0; i < 3; i++) {
        held[i] = clients_enter(c, &rude, 5, 3);
        assert_non_null(held[i]);
    }
    rude.port = 77;
    assert_null(clients_enter(c, &rude, 5, 3));
    assert_int_equal(clients_room(c, 5), 2);
    assert_non_null(clients_enter(c, &other, 5, 3));
    clients_leave(c, held[0]);
    assert_non_null(clients_enter(c, &rude, 5, 3));
    assert_null(clients_enter(c, &rude, 5, 3));
}

static void test_all_together_have_a_limit_too(void **state)
{
    struct clients *c = *state;
    struct addr a = addr_of("127.0.0.1"), b = addr_of("10.0.0.8");
    struct clients_cell *first = clients_enter(c, &a, 2, 1);
    assert_non_null(first);
    assert_non_null(clients_enter(c, &b, 2, 1));
    assert_int_equal(clients_room(c, 2), 0);
    assert_null(clients_enter(c, &a, 2, 1));
    assert_int_equal(clients_room(c, 1), 0);
    clients_leave(c, first);
    assert_int_equal(clients_room(c, 2), 1);
    assert_non_null(clients_enter(c, &a, 2, 1));
}

static void test_this_host_has_no_limit_of_its_own(void **state)
{
    static const char *const own[] = {"127.0.0.1", "127.3.2.1", "[::1]"};
    struct clients *c = *state;
    struct addr unix_socket = {.family = ADDR_NONE};
    for (size_t i = 0; i < 3; i++) {
        struct addr a = addr_of(own[i]);
        assert_non_null(clients_enter(c, &a, 100, 1));
        assert_non_null(clients_enter(c, &a, 100, 1));
    }
    assert_non_null(clients_enter(c, &unix_socket, 100, 1));
    assert_non_null(clients_enter(c, &unix_socket, 100, 1));
}

/* One of them may flood; the others, who have its address, are not told to be calm for that. */
static void test_what_a_client_floods_is_not_held_against_its_host(void **state)
{
    struct clients *c = *state;
    struct addr own = addr_of("127.0.0.1"), other = addr_of("10.0.0.9");
    struct addr unix_socket = {.family = ADDR_NONE};
    assert_null(clients_floods(c, clients_enter(c, &own, 100, 1)));
    assert_null(clients_floods(c, clients_enter(c, &unix_socket, 100, 1)));
    assert_null(clients_floods(c, NULL));
    assert_null(clients_floods(NULL, NULL));
    assert_non_null(clients_floods(c, clients_enter(c, &other, 100, 1)));
}

/* RFC 4291 2.5.4: whoever has one address of a /64 has them all. */
static void test_what_a_peer_holds_counts_whoever_connected(void **state)
{
    struct clients *c = *state;
    struct addr a = addr_of("10.0.0.9"), other = addr_of("10.0.0.8"), own = addr_of("127.0.0.1");
    struct clients_cell *cell = clients_enter(c, &a, 5, 3);
    a.port = 7946;
    assert_non_null(clients_steps(c, cell));
    assert_ptr_equal(clients_peer_steps(c, &a), clients_steps(c, cell));
    assert_ptr_not_equal(clients_peer_steps(c, &other), clients_steps(c, cell));
    assert_null(clients_peer_steps(c, &own));
    assert_null(clients_peer_steps(NULL, &a));
}

static void test_an_ip6_network_is_one_client(void **state)
{
    struct clients *c = *state;
    struct addr a = addr_of("[fd00:1::1]"), b = addr_of("[fd00:1::2:3]"), d = addr_of("[fd01::1]");
    assert_non_null(clients_enter(c, &a, 9, 1));
    assert_null(clients_enter(c, &b, 9, 1));
    assert_non_null(clients_enter(c, &d, 9, 1));
}

/* However many there are: each begins with SETTINGS, and may ping now and then. */
static void test_what_every_connection_does_is_no_flood(void **state)
{
    struct clients *c = *state;
    struct addr a = addr_of("10.0.0.9");
    struct clients_cell *cell = clients_enter(c, &a, 9, 9);
    struct mux_flood f;
    for (unsigned i = 0; i < 10 * MUX_FLOOD_PEER_BURST; i++) {
        mux_flood_init(&f, &cell->floods_ms, 1000);
        for (unsigned j = 0; j < MUX_FLOOD_USUAL; j++)
            assert_true(mux_flood_spend(&f, 1000));
    }
    unsigned more = 0;
    for (bool left = true; left;) {
        mux_flood_init(&f, &cell->floods_ms, 1000);
        unsigned taken = 0;
        while (mux_flood_spend(&f, 1000))
            taken++;
        left = taken > MUX_FLOOD_USUAL;
        more += taken - MUX_FLOOD_USUAL;
    }
    assert_int_equal(more, MUX_FLOOD_PEER_BURST);
}

static void test_the_flood_budget_outlives_the_connection(void **state)
{
    struct clients *c = *state;
    struct addr a = addr_of("10.0.0.9");
    uint64_t now_ms = 1000;
    unsigned taken = 0, more = 0;
    struct clients_cell *cell = clients_enter(c, &a, 9, 9);
    while (mux_flood_peer_spend(&cell->floods_ms, now_ms))
        taken++;
    assert_int_equal(taken, MUX_FLOOD_PEER_BURST);
    clients_leave(c, cell);
    cell = clients_enter(c, &a, 9, 9);
    assert_false(mux_flood_peer_spend(&cell->floods_ms, now_ms));
    now_ms += 10 * MUX_FLOOD_PEER_REFILL_MS;
    while (mux_flood_peer_spend(&cell->floods_ms, now_ms))
        more++;
    assert_int_equal(more, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_client_cannot_have_what_is_for_all, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_all_together_have_a_limit_too, setup, teardown),
        cmocka_unit_test_setup_teardown(test_this_host_has_no_limit_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_a_client_floods_is_not_held_against_its_host,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_a_peer_holds_counts_whoever_connected, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_an_ip6_network_is_one_client, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_every_connection_does_is_no_flood, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_flood_budget_outlives_the_connection, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
