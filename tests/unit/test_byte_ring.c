#include "core/base/byte_ring.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define RECORDS 50000u

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
    for (uint32_t i = 0; i < RECORDS;) {
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
    for (uint32_t i = 0; i < RECORDS;) {
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

static void test_who_sleeps_is_woken_once_by_what_comes_after(void **state)
{
    (void)state;
    struct byte_ring r;
    char text[8];
    assert_int_equal(byte_ring_init(&r, 64), ERR_OK);
    assert_true(byte_ring_put(&r, SPAN_LIT("early")));
    assert_false(byte_ring_wakes(&r));
    assert_false(byte_ring_sleep(&r)); /* there is something to do */
    assert_false(byte_ring_wakes(&r));
    assert_int_equal(byte_ring_get(&r, text, sizeof(text)), 5);
    assert_true(byte_ring_sleep(&r));
    assert_true(byte_ring_put(&r, SPAN_LIT("late")));
    assert_true(byte_ring_wakes(&r));
    assert_false(byte_ring_wakes(&r));
    byte_ring_fini(&r);
}

struct sleepers {
    struct byte_ring ring;
    sem_t wake;
};

static void *produce_and_wake(void *arg)
{
    struct sleepers *s = arg;
    for (uint32_t i = 0; i < RECORDS;) {
        bool put = byte_ring_put(&s->ring, SPAN_LIT("x"));
        if (byte_ring_wakes(&s->ring)) (void)sem_post(&s->wake);
        if (put)
            i++;
        else
            sched_yield();
    }
    return NULL;
}

/* A wake-up that is lost lets the reader wait for ever. */
static void test_no_wake_up_is_lost_between_two_threads(void **state)
{
    (void)state;
    struct sleepers s;
    pthread_t producer;
    char text[4];
    assert_int_equal(byte_ring_init(&s.ring, 64), ERR_OK);
    assert_int_equal(sem_init(&s.wake, 0, 0), 0);
    assert_int_equal(pthread_create(&producer, NULL, produce_and_wake, &s), 0);
    for (uint32_t i = 0; i < RECORDS;) {
        if (byte_ring_get(&s.ring, text, sizeof(text)) > 0)
            i++;
        else if (byte_ring_sleep(&s.ring))
            assert_int_equal(sem_wait(&s.wake), 0);
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
    assert_int_equal(sem_destroy(&s.wake), 0);
    byte_ring_fini(&s.ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_is_kept_whole_or_dropped_and_counted),
        cmocka_unit_test(test_record_too_long_for_the_reader_is_dropped),
        cmocka_unit_test(test_two_threads_keep_every_record_whole),
        cmocka_unit_test(test_who_sleeps_is_woken_once_by_what_comes_after),
        cmocka_unit_test(test_no_wake_up_is_lost_between_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
