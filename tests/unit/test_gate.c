#include "proxy/traffic/gate.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_no_more_than_the_limit_is_inside(void **state)
{
    (void)state;
    struct gate g = {.inside = 0};
    for (unsigned i = 0; i < 3; i++)
        assert_true(gate_enter(&g, 3));
    assert_false(gate_enter(&g, 3));
    gate_leave(&g);
    assert_true(gate_enter(&g, 3));
    /* A lower limit holds from the next one on. */
    assert_false(gate_enter(&g, 1));
    gate_leave(&g);
    gate_leave(&g);
    assert_false(gate_enter(&g, 1));
    gate_leave(&g);
    assert_true(gate_enter(&g, 1));
    assert_true(gate_enter(&g, 0));
}

static void test_no_queue_is_full_at_once(void **state)
{
    (void)state;
    struct gate g = {.inside = 0};
    assert_false(gate_queue(&g, 0));
    assert_true(gate_queue(&g, 1));
    assert_false(gate_queue(&g, 1));
    gate_unqueue(&g);
    assert_true(gate_queue(&g, 1));
}

/* How many of `asked` requests, evenly over ten seconds, are let through. */
static unsigned passed(uint32_t rate, unsigned asked)
{
    struct gate g = {.inside = 0};
    unsigned n = 0;
    for (unsigned i = 0; i < asked; i++)
        n += gate_rate(&g, rate, 5000000 + (uint64_t)i * 10000000 / asked);
    return n;
}

static void test_the_rate_is_kept(void **state)
{
    (void)state;
    assert_int_equal(passed(100, 500), 500);
    assert_in_range(passed(100, 1000), 1000, 1000);
    assert_in_range(passed(100, 100000), 1000, 1010);
    assert_in_range(passed(1, 1000), 10, 11);
    assert_in_range(passed(2000, 100000), 20000, 20200);
    assert_int_equal(passed(0, 5000), 5000);
}

static void test_a_burst_is_a_tenth_of_a_second(void **state)
{
    (void)state;
    struct gate g = {.inside = 0};
    unsigned n = 0;
    for (unsigned i = 0; i < 1000; i++)
        n += gate_rate(&g, 500, 5000000);
    assert_int_equal(n, 50);
}

#define WORKERS 3u
#define ROUNDS  20000u

/* What several workers share. */
struct shared {
    struct gate gate;
    _Atomic uint32_t inside, most, let;
};

static void *work(void *arg)
{
    struct shared *s = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (gate_rate(&s->gate, 1000, 1)) atomic_fetch_add(&s->let, 1);
        if (!gate_enter(&s->gate, WORKERS - 1)) continue;
        uint32_t now = atomic_fetch_add(&s->inside, 1) + 1, most = atomic_load(&s->most);
        while (now > most && !atomic_compare_exchange_weak(&s->most, &most, now)) {
        }
        atomic_fetch_sub(&s->inside, 1);
        gate_leave(&s->gate);
    }
    return NULL;
}

static void test_it_is_exact_for_several_workers(void **state)
{
    (void)state;
    struct shared s = {.inside = 0};
    pthread_t thread[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, work, &s), 0);
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    assert_in_range(atomic_load(&s.most), 1, WORKERS - 1);
    assert_int_equal(atomic_load(&s.gate.inside), 0);
    /* A tenth of a second's burst, once for all of them. */
    assert_int_equal(atomic_load(&s.let), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_more_than_the_limit_is_inside),
        cmocka_unit_test(test_no_queue_is_full_at_once),
        cmocka_unit_test(test_the_rate_is_kept),
        cmocka_unit_test(test_a_burst_is_a_tenth_of_a_second),
        cmocka_unit_test(test_it_is_exact_for_several_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
