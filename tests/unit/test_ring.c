#include "core/base/ring.h"

#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define ITEMS 200000u

static void test_items_leave_in_order_until_full(void **state)
{
    (void)state;
    struct ring r;
    int item[5];
    assert_int_equal(ring_init(&r, 4), ERR_OK);
    assert_null(ring_pop(&r));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++)
            assert_int_equal(ring_push(&r, &item[i]), ERR_OK);
        assert_int_equal(ring_push(&r, &item[4]), ERR_FULL);
        for (int i = 0; i < 4; i++)
            assert_ptr_equal(ring_pop(&r), &item[i]);
        assert_null(ring_pop(&r));
    }
    ring_fini(&r);
}

static void test_counts_survive_their_wrap(void **state)
{
    (void)state;
    struct ring r;
    int item[4];
    assert_int_equal(ring_init(&r, 2), ERR_OK);
    atomic_store(&r.head, SIZE_MAX);
    atomic_store(&r.tail, SIZE_MAX);
    assert_int_equal(ring_push(&r, &item[0]), ERR_OK);
    assert_int_equal(ring_push(&r, &item[1]), ERR_OK);
    assert_int_equal(ring_push(&r, &item[2]), ERR_FULL);
    assert_ptr_equal(ring_pop(&r), &item[0]);
    assert_ptr_equal(ring_pop(&r), &item[1]);
    assert_null(ring_pop(&r));
    ring_fini(&r);
}

static void *produce(void *arg)
{
    static uint32_t value[ITEMS];
    struct ring *r = arg;
    for (uint32_t i = 0; i < ITEMS; i++) {
        value[i] = i;
        while (ring_push(r, &value[i]) != ERR_OK)
            sched_yield();
    }
    return NULL;
}

static void test_two_threads_lose_and_reorder_nothing(void **state)
{
    (void)state;
    struct ring r;
    pthread_t producer;
    assert_int_equal(ring_init(&r, 64), ERR_OK);
    assert_int_equal(pthread_create(&producer, NULL, produce, &r), 0);
    for (uint32_t i = 0; i < ITEMS;) {
        const uint32_t *v = ring_pop(&r);
        if (v == NULL) {
            sched_yield();
            continue;
        }
        assert_int_equal(*v, i);
        i++;
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
    assert_null(ring_pop(&r));
    ring_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_leave_in_order_until_full),
        cmocka_unit_test(test_counts_survive_their_wrap),
        cmocka_unit_test(test_two_threads_lose_and_reorder_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
