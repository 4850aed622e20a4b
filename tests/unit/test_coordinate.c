#include "gossip/coordinate.h"

#include "core/base/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define NODES  60u
#define ROUNDS 300u

/* A made-up internet: places on a plane, and an access line each. */
struct place {
    float x, y, line;
};

static float true_ms(const struct place *a, const struct place *b)
{
    return hypotf(a->x - b->x, a->y - b->y) + a->line + b->line;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* What others hear is what the wire carries. */
static struct coordinate heard(const struct coordinate_space *s)
{
    uint8_t wire[COORDINATE_BYTES];
    struct coordinate c;
    coordinate_encode(&s->own, wire);
    coordinate_decode(wire, &c);
    return c;
}

static void settle(struct coordinate_space space[NODES], struct place place[NODES], struct rng *rng)
{
    for (uint32_t i = 0; i < NODES; i++) {
        place[i] = (struct place){(float)rng_unit(rng) * 150, (float)rng_unit(rng) * 100,
                                  0.2f + (float)rng_unit(rng) * 8};
        coordinate_init(&space[i]);
    }
    for (uint32_t r = 0; r < ROUNDS; r++)
        for (uint32_t i = 0; i < NODES; i++) {
            uint32_t j = (uint32_t)rng_below(rng, NODES);
            struct coordinate c = heard(&space[j]);
            float ms = true_ms(&place[i], &place[j]) * (1 + 0.1f * (float)rng_unit(rng));
            if (i != j) (void)coordinate_sample(&space[i], rng, &c, (uint32_t)(ms * 1000));
        }
}

static float median_error(struct coordinate_space space[NODES], const struct place place[NODES])
{
    static float wrong[NODES * NODES];
    size_t n = 0;
    for (uint32_t i = 0; i < NODES; i++)
        for (uint32_t j = 0; j < NODES; j++) {
            struct coordinate c = heard(&space[j]);
            uint32_t us = coordinate_estimate_us(&space[i], &c);
            if (i == j) continue;
            assert_true(us > 0);
            float ms = true_ms(&place[i], &place[j]);
            wrong[n++] = fabsf((float)us / 1000 - ms) / ms;
        }
    qsort(wrong, n, sizeof(wrong[0]), by_value);
    return wrong[n / 2];
}

static void test_half_of_all_predictions_are_within_fifteen_percent(void **state)
{
    (void)state;
    static struct coordinate_space space[NODES];
    static struct place place[NODES];
    struct rng rng;
    rng_seed(&rng, 7);
    settle(space, place, &rng);
    float error = median_error(space, place);
    if (error > 0.15f) fail_msg("%.3f", (double)error);
}

static void test_nothing_is_predicted_before_we_know_where_we_are(void **state)
{
    (void)state;
    struct coordinate_space s;
    coordinate_init(&s);
    assert_int_equal(coordinate_estimate_us(&s, &s.own), 0);
}

static void test_nonsense_moves_nobody(void **state)
{
    (void)state;
    struct coordinate_space s;
    struct coordinate_space before;
    struct rng rng;
    struct coordinate peer = {.axis = {10, 0, 0, 0}, .height_ms = 1, .error = 0.2f};
    rng_seed(&rng, 1);
    coordinate_init(&s);
    before = s;
    assert_false(coordinate_sample(&s, &rng, &peer, 0));
    assert_false(coordinate_sample(&s, &rng, &peer, COORDINATE_RTT_MAX_US + 1));
    peer.axis[2] = NAN;
    assert_false(coordinate_sample(&s, &rng, &peer, 20000));
    peer.axis[2] = INFINITY;
    assert_false(coordinate_sample(&s, &rng, &peer, 20000));
    peer.axis[2] = 0;
    peer.error = -1;
    assert_false(coordinate_sample(&s, &rng, &peer, 20000));
    assert_memory_equal(&s, &before, sizeof(s));
}

static void
test_a_sample_far_off_the_usual_is_refused_but_a_lasting_change_is_believed(void **state)
{
    (void)state;
    static struct coordinate_space space[NODES];
    static struct place place[NODES];
    struct rng rng;
    rng_seed(&rng, 9);
    settle(space, place, &rng);
    struct coordinate peer = heard(&space[1]);
    struct coordinate where = space[0].own;
    assert_false(coordinate_sample(&space[0], &rng, &peer, 9000000));
    assert_memory_equal(&space[0].own, &where, sizeof(where));
    int tries = 0;
    while (!coordinate_sample(&space[0], &rng, &peer, 2000000) && tries < 100)
        tries++;
    assert_in_range(tries, 1, 20);
}

static void test_what_the_wire_cannot_say_is_cut(void **state)
{
    (void)state;
    uint8_t wire[COORDINATE_BYTES];
    struct coordinate c = {.axis = {1e9f, -1e9f, NAN, 1.03125f}, .height_ms = -5, .error = 99};
    coordinate_encode(&c, wire);
    coordinate_decode(wire, &c);
    assert_true(c.axis[0] > 1000 && c.axis[0] < 1100);
    assert_true(c.axis[1] < -1000 && c.axis[1] > -1100);
    assert_true(isfinite(c.axis[2]));
    assert_true(c.axis[3] == 1.03125f);
    assert_true(c.height_ms == 0);
    assert_true(c.error > 1.5f && c.error < 1.6f);
}

static void test_others_hear_of_a_move_only_when_it_matters(void **state)
{
    (void)state;
    struct coordinate then = {.axis = {100, 0, 0, 0}, .height_ms = 1, .error = 0.2f}, now = then;
    now.axis[0] = 105;
    assert_false(coordinate_moved(&now, &then));
    now.axis[0] = 120;
    assert_true(coordinate_moved(&now, &then));
    now.error = 1.5f; /* it does not know yet where it is */
    assert_false(coordinate_moved(&now, &then));
    then.axis[0] = 0.3f;
    now = then;
    now.axis[0] = 0.6f; /* twice as far, and nobody cares */
    assert_false(coordinate_moved(&now, &then));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_of_all_predictions_are_within_fifteen_percent),
        cmocka_unit_test(test_nothing_is_predicted_before_we_know_where_we_are),
        cmocka_unit_test(test_nonsense_moves_nobody),
        cmocka_unit_test(
            test_a_sample_far_off_the_usual_is_refused_but_a_lasting_change_is_believed),
        cmocka_unit_test(test_what_the_wire_cannot_say_is_cut),
        cmocka_unit_test(test_others_hear_of_a_move_only_when_it_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
