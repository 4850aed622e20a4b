#include "core/crypto/seal_pair.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void secret_of(uint32_t i, uint8_t out[SEAL_SHARED_BYTES])
{
    memset(out, 0xa5, SEAL_SHARED_BYTES);
    memcpy(out, &i, sizeof(i));
}

static void check_secret(const struct seal_pair_table *t, uint32_t slot, uint32_t i)
{
    uint8_t want[SEAL_SHARED_BYTES];
    secret_of(i, want);
    assert_memory_equal(seal_pair_get(t, slot), want, sizeof(want));
}

static void test_each_peer_keeps_its_secret_over_many_chunks(void **state)
{
    (void)state;
    struct seal_pair_table *t;
    static uint32_t slot[3 * SEAL_PAIR_CHUNK + 1];
    uint8_t secret[SEAL_SHARED_BYTES];
    assert_int_equal(seal_pair_table_new(&t), ERR_OK);
    for (uint32_t i = 0; i < 3 * SEAL_PAIR_CHUNK + 1; i++) {
        secret_of(i, secret);
        assert_int_equal(seal_pair_put(t, secret, &slot[i]), ERR_OK);
        assert_int_not_equal(slot[i], SEAL_PAIR_NONE);
    }
    for (uint32_t i = 0; i < 3 * SEAL_PAIR_CHUNK + 1; i++)
        check_secret(t, slot[i], i);
    seal_pair_table_free(t);
}

static void test_a_dropped_secret_is_wiped_and_its_slot_used_again(void **state)
{
    (void)state;
    struct seal_pair_table *t;
    uint32_t a, b, c, d;
    uint8_t secret[SEAL_SHARED_BYTES];
    static const uint8_t wiped[SEAL_SHARED_BYTES - 4];
    assert_int_equal(seal_pair_table_new(&t), ERR_OK);
    secret_of(1, secret);
    assert_int_equal(seal_pair_put(t, secret, &a), ERR_OK);
    assert_int_equal(seal_pair_put(t, secret, &b), ERR_OK);
    const uint8_t *where = seal_pair_get(t, a);
    seal_pair_drop(t, a);
    assert_memory_equal(where + 4, wiped, sizeof(wiped)); /* behind the free list's link */
    seal_pair_drop(t, b);
    secret_of(3, secret);
    assert_int_equal(seal_pair_put(t, secret, &c), ERR_OK);
    secret_of(4, secret);
    assert_int_equal(seal_pair_put(t, secret, &d), ERR_OK);
    assert_int_equal(c, b);
    assert_int_equal(d, a);
    check_secret(t, c, 3);
    check_secret(t, d, 4);
    seal_pair_drop(t, SEAL_PAIR_NONE);
    seal_pair_table_free(t);
}

static void test_a_table_is_full_with_as_many_peers_as_there_may_be(void **state)
{
    (void)state;
    struct seal_pair_table *t;
    uint8_t secret[SEAL_SHARED_BYTES] = {0};
    uint32_t slot = 0, given = 0;
    enum err err;
    assert_int_equal(seal_pair_table_new(&t), ERR_OK);
    while ((err = seal_pair_put(t, secret, &slot)) == ERR_OK)
        given++;
    assert_int_equal(err, ERR_FULL);
    assert_in_range(given, MEMBERS_MAX, MEMBERS_MAX + SEAL_PAIR_CHUNK);
    seal_pair_drop(t, slot);
    assert_int_equal(seal_pair_put(t, secret, &slot), ERR_OK);
    seal_pair_table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_peer_keeps_its_secret_over_many_chunks),
        cmocka_unit_test(test_a_dropped_secret_is_wiped_and_its_slot_used_again),
        cmocka_unit_test(test_a_table_is_full_with_as_many_peers_as_there_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
