#include "core/base/ring.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
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

static void test_record_is_kept_whole_or_dropped_and_counted(void **state)
{
    (void)state;
    struct byte_ring r;
    char text[32];
    assert_int_equal(byte_ring_init(&r, 16), ERR_OK);
    assert_true(byte_ring_put(&r, SPAN_LIT("abcde")));
    assert_false(byte_ring_put(&r, SPAN_LIT("fourtee")));
    assert_int_equal(atomic_load(&r.dropped), 1);
    assert_true(byte_ring_put(&r, SPAN_LIT("xyz")));
    assert_false(byte_ring_put(&r, SPAN_LIT("z")));
    assert_int_equal(byte_ring_get(&r, text, sizeof(text)), 5);
    assert_memory_equal(text, "abcde", 5);
    assert_int_equal(byte_ring_get(&r, text, sizeof(text)), 3);
    assert_memory_equal(text, "xyz", 3);
    assert_int_equal(byte_ring_get(&r, text, sizeof(text)), 0);
    assert_false(byte_ring_put(&r, SPAN_LIT("thirteen byte")));
    assert_true(byte_ring_put(&r, SPAN_LIT("twelve bytes")));
    assert_int_equal(byte_ring_get(&r, text, sizeof(text)), 12);
    assert_memory_equal(text, "twelve bytes", 12);
    assert_int_equal(atomic_load(&r.dropped), 3);
    byte_ring_fini(&r);
}

static void test_record_too_long_for_the_reader_is_dropped(void **state)
{
    (void)state;
    struct byte_ring r;
    char text[4];
    assert_int_equal(byte_ring_init(&r, 64), ERR_OK);
    assert_true(byte_ring_put(&r, SPAN_LIT("too long")));
    assert_true(byte_ring_put(&r, SPAN_LIT("")));
    assert_true(byte_ring_put(&r, SPAN_LIT("ok")));
    assert_int_equal(byte_ring_get(&r, text, sizeof(text)), 2);
    assert_memory_equal(text, "ok", 2);
    assert_int_equal(atomic_load(&r.dropped), 1);
    byte_ring_fini(&r);
}

/* Record i: a length from 1 to 40 and as many bytes, all told by i. */
static void *produce_records(void *arg)
{
    struct byte_ring *r = arg;
    char text[40];
    for (uint32_t i = 0; i < ITEMS / 4;) {
        memset(text, (int)(i % 251), sizeof(text));
        if (byte_ring_put(r, span_of(text, i % 40 + 1)))
            i++;
        else
            sched_yield();
    }
    return NULL;
}

static void test_two_threads_keep_every_record_whole(void **state)
{
    (void)state;
    struct byte_ring r;
    pthread_t producer;
    assert_int_equal(byte_ring_init(&r, 256), ERR_OK);
    assert_int_equal(pthread_create(&producer, NULL, produce_records, &r), 0);
    for (uint32_t i = 0; i < ITEMS / 4;) {
        unsigned char text[40];
        size_t len = byte_ring_get(&r, text, sizeof(text));
        if (len == 0) {
            sched_yield();
            continue;
        }
        assert_int_equal(len, i % 40 + 1);
        for (size_t j = 0; j < len; j++)
            assert_int_equal(text[j], i % 251);
        i++;
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
    byte_ring_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_leave_in_order_until_full),
        cmocka_unit_test(test_counts_survive_their_wrap),
        cmocka_unit_test(test_two_threads_lose_and_reorder_nothing),
        cmocka_unit_test(test_record_is_kept_whole_or_dropped_and_counted),
        cmocka_unit_test(test_record_too_long_for_the_reader_is_dropped),
        cmocka_unit_test(test_two_threads_keep_every_record_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
