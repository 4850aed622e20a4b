#include "core/base/iobuf.h"
#include "core/base/rng.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void test_bytes_come_out_as_they_went_in(void **state)
{
    (void)state;
    struct iobuf_pool pool;
    struct iobuf b;
    struct rng rng;
    uint8_t written = 0, read = 0;
    iobuf_pool_init(&pool, 7, 100);
    iobuf_init(&b, &pool);
    rng_seed(&rng, 1);
    for (int round = 0; round < 2000; round++) {
        uint8_t chunk[40];
        size_t len = (size_t)rng_below(&rng, sizeof(chunk));
        for (size_t i = 0; i < len; i++)
            chunk[i] = (uint8_t)(written + i);
        if (iobuf_append(&b, chunk, len) == ERR_OK) written = (uint8_t)(written + len);
        size_t drop = (size_t)rng_below(&rng, b.len + 1);
        uint8_t seen[1024];
        assert_int_equal(iobuf_peek(&b, seen, drop), drop);
        for (size_t i = 0; i < drop; i++)
            assert_int_equal(seen[i], (uint8_t)(read + i));
        iobuf_consume(&b, drop);
        read = (uint8_t)(read + drop);
    }
    iobuf_clear(&b);
    assert_int_equal(pool.blocks_live, 0);
    iobuf_pool_fini(&pool);
}

static void test_append_is_all_or_nothing_at_the_bound(void **state)
{
    (void)state;
    struct iobuf_pool pool;
    struct iobuf a, b;
    char bytes[64] = {0};
    iobuf_pool_init(&pool, 16, 4);
    iobuf_init(&a, &pool);
    iobuf_init(&b, &pool);
    assert_int_equal(iobuf_append(&a, bytes, 40), ERR_OK);
    assert_int_equal(iobuf_append(&b, bytes, 17), ERR_FULL);
    assert_int_equal(b.len, 0);
    assert_int_equal(pool.blocks_live, 3);
    assert_int_equal(iobuf_append(&b, bytes, 16), ERR_OK);
    assert_int_equal(iobuf_append(&a, bytes, 9), ERR_FULL);
    assert_int_equal(a.len, 40);
    assert_int_equal(iobuf_append(&a, bytes, 8), ERR_OK);
    assert_int_equal(a.len, 48);
    assert_int_equal(iobuf_append(&a, bytes, SIZE_MAX), ERR_FULL);
    iobuf_clear(&a);
    iobuf_clear(&b);
    iobuf_pool_fini(&pool);
}

static void test_read_blocks_go_back_to_the_pool(void **state)
{
    (void)state;
    struct iobuf_pool pool;
    struct iobuf b;
    char bytes[100] = {0};
    iobuf_pool_init(&pool, 10, 10);
    iobuf_init(&b, &pool);
    assert_int_equal(iobuf_append(&b, bytes, 100), ERR_OK);
    assert_int_equal(pool.blocks_live, 10);
    iobuf_consume(&b, 55);
    assert_int_equal(pool.blocks_live, 5);
    assert_int_equal(iobuf_front(&b).len, 5);
    iobuf_consume(&b, 45);
    assert_int_equal(pool.blocks_live, 0);
    assert_int_equal(pool.blocks_free, 10);
    assert_null(iobuf_front(&b).p);
    assert_int_equal(iobuf_append(&b, bytes, 100), ERR_OK);
    assert_int_equal(pool.blocks_free, 0);
    iobuf_clear(&b);
    iobuf_pool_fini(&pool);
}

static void hold(struct iobuf_pool *pool, size_t blocks)
{
    static const char bytes[100];
    struct iobuf b;
    iobuf_init(&b, pool);
    assert_int_equal(iobuf_append(&b, bytes, blocks * pool->block_bytes), ERR_OK);
    iobuf_clear(&b);
}

static void test_trim_frees_what_nobody_needed_since_the_last(void **state)
{
    (void)state;
    struct iobuf_pool pool;
    struct iobuf b;
    iobuf_pool_init(&pool, 10, 10);
    assert_int_equal(iobuf_pool_trim(&pool, 0), 0);
    hold(&pool, 10);
    /* All were needed. */
    assert_int_equal(iobuf_pool_trim(&pool, 2), 0);
    assert_int_equal(pool.blocks_free, 10);
    hold(&pool, 3);
    hold(&pool, 4);
    assert_int_equal(iobuf_pool_trim(&pool, 2), 4 * 10);
    assert_int_equal(pool.blocks_free, 6);
    /* What is in use is not free, and was needed. */
    iobuf_init(&b, &pool);
    assert_int_equal(iobuf_append(&b, "x", 1), ERR_OK);
    assert_int_equal(iobuf_pool_trim(&pool, 2), 3 * 10);
    assert_int_equal(pool.blocks_free, 2);
    assert_int_equal(pool.blocks_live, 1);
    iobuf_clear(&b);
    /* Fewer than are kept. */
    assert_int_equal(iobuf_pool_trim(&pool, 3), 0);
    assert_int_equal(pool.blocks_free, 3);
    assert_int_equal(iobuf_pool_trim(&pool, 0), 3 * 10);
    hold(&pool, 10);
    assert_int_equal(pool.blocks_free, 10);
    iobuf_pool_fini(&pool);
}

static void test_move_joins_chains_without_copying(void **state)
{
    (void)state;
    struct iobuf_pool pool;
    struct iobuf a, b;
    char text[16];
    iobuf_pool_init(&pool, 4, 10);
    iobuf_init(&a, &pool);
    iobuf_init(&b, &pool);
    assert_int_equal(iobuf_append_span(&a, SPAN_LIT("hello ")), ERR_OK);
    assert_int_equal(iobuf_append_span(&b, SPAN_LIT("world")), ERR_OK);
    const char *front = iobuf_front(&b).p;
    size_t live = pool.blocks_live;
    iobuf_move(&a, &b);
    assert_int_equal(pool.blocks_live, live);
    assert_int_equal(b.len, 0);
    assert_int_equal(iobuf_peek(&a, text, sizeof(text)), 11);
    assert_memory_equal(text, "hello world", 11);
    iobuf_consume(&a, 6);
    assert_ptr_equal(iobuf_front(&a).p, front);
    iobuf_move(&b, &a);
    iobuf_move(&b, &a);
    assert_int_equal(b.len, 5);
    assert_int_equal(iobuf_append_span(&b, SPAN_LIT("!")), ERR_OK);
    iobuf_clear(&b);
    iobuf_pool_fini(&pool);
}

static void test_room_is_filled_in_order_and_the_rest_goes_back(void **state)
{
    (void)state;
    struct iobuf_pool pool;
    struct iobuf b;
    struct span run[3];
    char text[12];
    iobuf_pool_init(&pool, 4, 3);
    iobuf_init(&b, &pool);
    for (size_t len = 0; len <= 12; len++) {
        assert_int_equal(iobuf_room(&b, 3, run), ERR_OK);
        for (size_t i = 0; i < 12; i++)
            ((char *)(uintptr_t)run[i / 4].p)[i % 4] = (char)('a' + i);
        iobuf_filled(&b, len);
        assert_int_equal(b.len, len);
        assert_int_equal(pool.blocks_live, (len + 3) / 4);
        assert_int_equal(iobuf_peek(&b, text, sizeof(text)), len);
        assert_memory_equal(text, "abcdefghijkl", len);
        if (len % 4 != 0) assert_int_equal(iobuf_append_span(&b, SPAN_LIT("!")), ERR_OK);
        iobuf_clear(&b);
    }
    pool.blocks_max = 2;
    assert_int_equal(iobuf_room(&b, 3, run), ERR_FULL);
    assert_int_equal(pool.blocks_live, 0);
    assert_null(iobuf_front(&b).p);
    iobuf_pool_fini(&pool);
}

static void test_first_block_moves_alone_and_runs_show_the_rest(void **state)
{
    (void)state;
    struct iobuf_pool pool;
    struct iobuf a, b;
    struct span run[3];
    iobuf_pool_init(&pool, 4, 10);
    iobuf_init(&a, &pool);
    iobuf_init(&b, &pool);
    assert_int_equal(iobuf_runs(&a, run, 3), 0);
    assert_int_equal(iobuf_append_span(&a, SPAN_LIT("x")), ERR_OK);
    assert_int_equal(iobuf_append_span(&b, SPAN_LIT("abcdefghijklmn")), ERR_OK);
    iobuf_consume(&b, 1);
    const char *front = iobuf_front(&b).p;
    iobuf_move_front(&a, &b);
    assert_int_equal(a.len, 4);
    assert_int_equal(b.len, 10);
    assert_int_equal(iobuf_runs(&a, run, 3), 2);
    assert_ptr_equal(run[1].p, front);
    assert_true(span_eq(run[0], SPAN_LIT("x")) && span_eq(run[1], SPAN_LIT("bcd")));
    assert_int_equal(iobuf_runs(&b, run, 2), 2);
    assert_true(span_eq(run[1], SPAN_LIT("ijkl")));
    iobuf_move_front(&a, &b);
    iobuf_move_front(&a, &b);
    iobuf_move_front(&a, &b);
    assert_int_equal(b.len, 0);
    assert_int_equal(iobuf_append_span(&b, SPAN_LIT("z")), ERR_OK);
    assert_int_equal(iobuf_append_span(&a, SPAN_LIT("o")), ERR_OK);
    char text[15];
    assert_int_equal(iobuf_peek(&a, text, sizeof(text)), 15);
    assert_memory_equal(text, "xbcdefghijklmno", 15);
    iobuf_clear(&a);
    iobuf_clear(&b);
    iobuf_pool_fini(&pool);
}

static void test_peek_is_bounded_by_both_sides(void **state)
{
    (void)state;
    struct iobuf_pool pool;
    struct iobuf b;
    char text[4] = "zzz";
    iobuf_pool_init(&pool, 2, 10);
    iobuf_init(&b, &pool);
    assert_int_equal(iobuf_peek(&b, text, 3), 0);
    assert_int_equal(iobuf_append_span(&b, SPAN_LIT("abcde")), ERR_OK);
    assert_int_equal(iobuf_peek(&b, text, 3), 3);
    assert_string_equal(text, "abc");
    assert_int_equal(b.len, 5);
    iobuf_clear(&b);
    iobuf_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_come_out_as_they_went_in),
        cmocka_unit_test(test_append_is_all_or_nothing_at_the_bound),
        cmocka_unit_test(test_read_blocks_go_back_to_the_pool),
        cmocka_unit_test(test_trim_frees_what_nobody_needed_since_the_last),
        cmocka_unit_test(test_move_joins_chains_without_copying),
        cmocka_unit_test(test_room_is_filled_in_order_and_the_rest_goes_back),
        cmocka_unit_test(test_first_block_moves_alone_and_runs_show_the_rest),
        cmocka_unit_test(test_peek_is_bounded_by_both_sides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
