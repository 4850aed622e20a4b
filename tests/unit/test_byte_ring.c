#include "core/base/byte_ring.h"

#include <pthread.h>
#include <sched.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_is_kept_whole_or_dropped_and_counted),
        cmocka_unit_test(test_record_too_long_for_the_reader_is_dropped),
        cmocka_unit_test(test_two_threads_keep_every_record_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
