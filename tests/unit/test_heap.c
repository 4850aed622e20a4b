#include "core/base/heap.h"
#include "core/base/rng.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define NODES 500u

static void test_leaves_in_key_order(void **state)
{
    (void)state;
    static struct heap_node node[NODES];
    struct heap h;
    struct rng rng;
    rng_seed(&rng, 2);
    heap_init(&h, NODES);
    for (size_t i = 0; i < NODES; i++)
        assert_int_equal(heap_set(&h, &node[i], rng_below(&rng, 1000)), ERR_OK);
    uint64_t last = 0;
    for (size_t i = 0; i < NODES; i++) {
        struct heap_node *n = heap_pop(&h);
        assert_true(n->key >= last);
        assert_int_equal(n->pos, 0);
        last = n->key;
    }
    assert_null(heap_pop(&h));
    assert_null(heap_min(&h));
    heap_fini(&h);
}

static void test_equal_keys_leave_in_the_order_they_came(void **state)
{
    (void)state;
    struct heap_node node[100] = {{.key = 0}};
    struct heap h;
    heap_init(&h, 100);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(heap_set(&h, &node[i], 7), ERR_OK);
    for (size_t i = 0; i < 100; i++)
        assert_ptr_equal(heap_pop(&h), &node[i]);
    heap_fini(&h);
}

static void test_random_moves_and_removals_keep_the_order(void **state)
{
    (void)state;
    static struct heap_node node[NODES];
    struct heap h;
    struct rng rng;
    rng_seed(&rng, 3);
    heap_init(&h, NODES);
    for (int round = 0; round < 20000; round++) {
        struct heap_node *n = &node[rng_below(&rng, NODES)];
        if (rng_below(&rng, 3) == 0)
            heap_remove(&h, n);
        else
            assert_int_equal(heap_set(&h, n, rng_below(&rng, 100)), ERR_OK);
        for (size_t i = 1; round % 500 == 0 && i < h.count; i++) {
            const struct heap_slot *parent = &h.slot[(i - 1) / 4], *s = &h.slot[i];
            assert_true(parent->key < s->key || (parent->key == s->key && parent->seq < s->seq));
            assert_int_equal(s->key, s->node->key);
            assert_int_equal(s->node->pos, i + 1);
        }
    }
    uint64_t last = 0;
    while (heap_min(&h) != NULL) {
        assert_true(heap_min(&h)->key >= last);
        last = heap_pop(&h)->key;
    }
    heap_fini(&h);
}

static void test_bound_refuses_one_more_but_moves_those_in_it(void **state)
{
    (void)state;
    struct heap_node node[3] = {{.key = 0}};
    struct heap h;
    heap_init(&h, 2);
    assert_int_equal(heap_set(&h, &node[0], 5), ERR_OK);
    assert_int_equal(heap_set(&h, &node[1], 6), ERR_OK);
    assert_int_equal(heap_set(&h, &node[2], 1), ERR_FULL);
    assert_int_equal(node[2].pos, 0);
    assert_int_equal(heap_set(&h, &node[1], 1), ERR_OK);
    assert_ptr_equal(heap_min(&h), &node[1]);
    heap_remove(&h, &node[1]);
    assert_int_equal(heap_set(&h, &node[2], 1), ERR_OK);
    heap_fini(&h);
    assert_int_equal(node[0].pos, 0);
}

static void test_removing_an_absent_node_does_nothing(void **state)
{
    (void)state;
    struct heap_node a = {.key = 0}, b = {.key = 0};
    struct heap h;
    heap_init(&h, 2);
    assert_int_equal(heap_set(&h, &a, 5), ERR_OK);
    heap_remove(&h, &b);
    assert_int_equal(h.count, 1);
    heap_remove(&h, &a);
    heap_remove(&h, &a);
    assert_int_equal(h.count, 0);
    heap_fini(&h);
}

static void test_reserved_room_needs_no_memory(void **state)
{
    (void)state;
    static struct heap_node node[NODES];
    struct heap h;
    heap_init(&h, NODES);
    assert_int_equal(heap_reserve(&h, NODES + 1), ERR_FULL);
    assert_int_equal(heap_reserve(&h, NODES), ERR_OK);
    struct heap_slot *before = h.slot;
    for (size_t i = 0; i < NODES; i++)
        assert_int_equal(heap_set(&h, &node[i], i), ERR_OK);
    assert_ptr_equal(h.slot, before);
    heap_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaves_in_key_order),
        cmocka_unit_test(test_equal_keys_leave_in_the_order_they_came),
        cmocka_unit_test(test_random_moves_and_removals_keep_the_order),
        cmocka_unit_test(test_bound_refuses_one_more_but_moves_those_in_it),
        cmocka_unit_test(test_removing_an_absent_node_does_nothing),
        cmocka_unit_test(test_reserved_room_needs_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
