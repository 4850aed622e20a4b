#include "tests/sim/network.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#define NODES   10u
#define PACKETS 2000u

static int setup(void **state)
{
    static struct network n;
    assert_true(network_init(&n, NODES, 1, 0));
    n.profile.duplicate = n.profile.reorder = 0;
    *state = &n;
    return 0;
}

static int teardown(void **state)
{
    network_fini(*state);
    return 0;
}

static unsigned arrive(struct network *n, uint32_t from, uint32_t to, size_t bytes)
{
    unsigned arrived = 0;
    uint64_t delay[2];
    for (unsigned i = 0; i < PACKETS; i++) {
        struct network_packet p = {
            .now_us = i * UINT64_C(1000), .from = from, .to = to, .bytes = bytes};
        arrived += network_datagram(n, &p, delay);
    }
    return arrived;
}

static void test_a_good_network_delivers_all(void **state)
{
    assert_int_equal(arrive(*state, 0, 1, 100), PACKETS);
}

static void test_losses_of_both_ends_and_the_middle_add_up(void **state)
{
    struct network *n = *state;
    n->profile.loss = 0.1;
    n->node[0].loss_out = 0.5;
    n->node[1].loss_in = 0.5;
    n->unsteady = 2;
    unsigned got = arrive(n, 0, 1, 100);
    assert_in_range(got, PACKETS * 20 / 100, PACKETS * 25 / 100);
    got = arrive(n, 1, 0, 100);
    assert_in_range(got, PACKETS * 87 / 100, PACKETS * 93 / 100);
}

static void test_doubles_arrive_twice(void **state)
{
    struct network *n = *state;
    n->profile.duplicate = 0.25;
    assert_in_range(arrive(n, 0, 1, 100), PACKETS * 120 / 100, PACKETS * 130 / 100);
}

static void test_longer_than_the_mtu_is_dropped(void **state)
{
    struct network *n = *state;
    n->profile.mtu = 1200;
    assert_int_equal(arrive(n, 0, 1, 1200), PACKETS);
    assert_int_equal(arrive(n, 0, 1, 1201), 0);
    assert_int_equal(n->dropped_mtu, PACKETS);
}

static void test_a_slow_line_delays_and_then_drops(void **state)
{
    struct network *n = *state;
    uint64_t delay[2];
    n->node[0].rate = 10000; /* ten packets of 1 000 bytes a second */
    struct network_packet p = {.from = 0, .to = 1, .bytes = 1000};
    assert_int_equal(network_datagram(n, &p, delay), 1);
    assert_in_range(delay[0], 100000, 103000);
    assert_int_equal(network_datagram(n, &p, delay), 1);
    assert_in_range(delay[0], 200000, 203000);
    assert_int_equal(network_datagram(n, &p, delay), 1);
    assert_int_equal(network_datagram(n, &p, delay), 0);
    assert_int_equal(n->dropped_queue, 1);
}

static void test_a_split_cuts_both_ways_and_only_between_parts(void **state)
{
    struct network *n = *state;
    n->node[3].group = n->node[4].group = 1;
    n->node[5].group = 2;
    n->splits = 2;
    assert_true(network_blocked(n, 0, 0, 3));
    assert_true(network_blocked(n, 0, 3, 0));
    assert_true(network_blocked(n, 0, 3, 5));
    assert_false(network_blocked(n, 0, 3, 4));
    assert_false(network_blocked(n, 0, 0, 1));
}

static void test_deaf_and_mute_and_blocked_are_of_one_direction(void **state)
{
    struct network *n = *state;
    n->unsteady = 2;
    n->node[1].deaf = true;
    n->node[2].mute = true;
    network_block(n, 3, 4);
    assert_true(network_blocked(n, 0, 0, 1));
    assert_false(network_blocked(n, 0, 1, 0));
    assert_true(network_blocked(n, 0, 2, 0));
    assert_false(network_blocked(n, 0, 0, 2));
    assert_true(network_blocked(n, 0, 3, 4));
    assert_false(network_blocked(n, 0, 4, 3));
    network_unblock(n, 3, 4);
    assert_false(network_blocked(n, 0, 3, 4));
}

static void test_a_flip_flop_is_deaf_half_of_the_time(void **state)
{
    struct network *n = *state;
    n->unsteady = 1;
    n->node[1].flip_us = 20;
    n->node[1].flip_from_us = 100;
    assert_true(network_blocked(n, 100, 0, 1));
    assert_true(network_blocked(n, 119, 0, 1));
    assert_false(network_blocked(n, 120, 0, 1));
    assert_true(network_blocked(n, 140, 0, 1));
    assert_false(network_blocked(n, 100, 1, 0));
}

static void test_a_detached_node_sees_the_next_few_alone(void **state)
{
    struct network *n = *state;
    n->unsteady = 1;
    n->node[8].sees = 3; /* 9, 0 and 1 */
    assert_false(network_blocked(n, 0, 8, 9));
    assert_false(network_blocked(n, 0, 1, 8));
    assert_true(network_blocked(n, 0, 8, 2));
    assert_true(network_blocked(n, 0, 7, 8));
    assert_false(network_blocked(n, 0, 2, 3));
}

static void test_tcp_outlasts_some_loss_and_gives_up_on_much(void **state)
{
    struct network *n = *state;
    struct network_packet p = {.from = 0, .to = 1, .bytes = 1000};
    uint64_t takes;
    unsigned arrived = 0;
    n->profile.loss = 0.3;
    for (unsigned i = 0; i < PACKETS; i++)
        arrived += network_segment(n, &p, 200000, &takes);
    assert_in_range(arrived, PACKETS - 10, PACKETS);
    n->profile.loss = 1;
    assert_false(network_segment(n, &p, 200000, &takes));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_good_network_delivers_all),
        CASE(test_losses_of_both_ends_and_the_middle_add_up),
        CASE(test_doubles_arrive_twice),
        CASE(test_longer_than_the_mtu_is_dropped),
        CASE(test_a_slow_line_delays_and_then_drops),
        CASE(test_a_split_cuts_both_ways_and_only_between_parts),
        CASE(test_deaf_and_mute_and_blocked_are_of_one_direction),
        CASE(test_a_flip_flop_is_deaf_half_of_the_time),
        CASE(test_a_detached_node_sees_the_next_few_alone),
        CASE(test_tcp_outlasts_some_loss_and_gives_up_on_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
