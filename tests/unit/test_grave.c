#include "gossip/grave.h"

#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define DAY_MS  INT64_C(86400000)
#define WALL_MS INT64_C(1767225600000)

static struct node_id id_of(uint32_t i)
{
    struct node_id id = {{0}};
    for (size_t at = 0; at < 4; at++)
        id.byte[at] = (uint8_t)((i * 2654435761u) >> (8 * at));
    return id;
}

static void test_only_what_is_older_is_barred(void **state)
{
    (void)state;
    struct graveyard y = {0};
    struct node_id a = id_of(1), b = id_of(2);
    grave_dig(&y, &a, 1000, WALL_MS);
    assert_true(grave_bars(&y, &a, 999));
    assert_false(grave_bars(&y, &a, 1000));
    assert_false(grave_bars(&y, &b, 1));
    grave_dig(&y, &a, 500, WALL_MS);
    assert_true(grave_bars(&y, &a, 999));
    assert_int_equal(y.count, 1);
    grave_fini(&y);
}

static void test_a_grave_lasts_thirty_days(void **state)
{
    (void)state;
    struct graveyard y = {0};
    struct node_id a = id_of(1), b = id_of(2);
    grave_dig(&y, &a, 1000, WALL_MS);
    grave_dig(&y, &b, 1000, WALL_MS + 5 * DAY_MS);
    grave_expire(&y, WALL_MS + GRAVE_DAYS * DAY_MS);
    assert_true(grave_bars(&y, &a, 1));
    grave_expire(&y, WALL_MS + (GRAVE_DAYS + 1) * DAY_MS);
    assert_false(grave_bars(&y, &a, 1));
    assert_true(grave_bars(&y, &b, 1));
    grave_fini(&y);
}

static void test_they_are_stored_in_24_bytes_and_come_back(void **state)
{
    (void)state;
    struct graveyard y = {0}, again = {0};
    uint8_t bytes[50 * GRAVE_BYTES + 3];
    for (uint32_t i = 0; i < 50; i++) {
        struct node_id id = id_of(i);
        grave_dig(&y, &id, (uint64_t)WALL_MS + i, WALL_MS);
    }
    grave_encode(&y, bytes);
    grave_restore(&again, span_of(bytes, sizeof(bytes)));
    assert_int_equal(again.count, 50);
    for (uint32_t i = 0; i < 50; i++) {
        struct node_id id = id_of(i);
        assert_true(grave_bars(&again, &id, (uint64_t)WALL_MS + i - 1));
        assert_false(grave_bars(&again, &id, (uint64_t)WALL_MS + i));
    }
    grave_fini(&y);
    grave_fini(&again);
}

static void test_the_oldest_makes_room(void **state)
{
    (void)state;
    struct graveyard y = {0};
    struct node_id first = id_of(GRAVES_MAX), last = id_of(GRAVES_MAX + 1);
    grave_dig(&y, &first, 7, WALL_MS - DAY_MS);
    for (uint32_t i = 0; i + 1 < GRAVES_MAX; i++) {
        struct node_id id = id_of(i);
        grave_dig(&y, &id, 7, WALL_MS);
    }
    assert_true(grave_bars(&y, &first, 6));
    grave_dig(&y, &last, 7, WALL_MS);
    assert_int_equal(y.count, GRAVES_MAX);
    assert_false(grave_bars(&y, &first, 6));
    assert_true(grave_bars(&y, &last, 6));
    grave_fini(&y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_is_older_is_barred),
        cmocka_unit_test(test_a_grave_lasts_thirty_days),
        cmocka_unit_test(test_they_are_stored_in_24_bytes_and_come_back),
        cmocka_unit_test(test_the_oldest_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
