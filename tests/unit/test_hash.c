#include "core/base/hash.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

/* Appendix A of the SipHash paper: key 00..0f, input 00..0e. */
static void test_matches_the_published_vector(void **state)
{
    (void)state;
    struct hash_key key;
    uint8_t input[15];
    for (uint8_t i = 0; i < 16; i++)
        key.byte[i] = i;
    for (uint8_t i = 0; i < 15; i++)
        input[i] = i;
    assert_true(hash_bytes(&key, input, sizeof(input)) == UINT64_C(0xa129ca6149be45e5));
}

static void test_empty_input_has_a_value(void **state)
{
    (void)state;
    struct hash_key key;
    for (uint8_t i = 0; i < 16; i++)
        key.byte[i] = i;
    assert_true(hash_bytes(&key, NULL, 0) == UINT64_C(0x726fdb47dd0e0e31));
}

static void test_key_changes_the_value(void **state)
{
    (void)state;
    struct hash_key a = {{1}}, b = {{2}};
    assert_true(hash_bytes(&a, "x", 1) != hash_bytes(&b, "x", 1));
    assert_true(hash_bytes(&a, "x", 1) != hash_bytes(&a, "y", 1));
    assert_true(hash_bytes(&a, "x", 1) == hash_bytes(&a, "x", 1));
}

/* First outputs of splitmix64 seeded with 1234567, as its author's C prints them. */
static void test_mix_is_the_splitmix_finaliser(void **state)
{
    (void)state;
    uint64_t seed = 1234567;
    assert_true(hash_mix(seed += UINT64_C(0x9e3779b97f4a7c15)) == UINT64_C(6457827717110365317));
    assert_true(hash_mix(seed += UINT64_C(0x9e3779b97f4a7c15)) == UINT64_C(3203168211198807973));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches_the_published_vector),
        cmocka_unit_test(test_empty_input_has_a_value),
        cmocka_unit_test(test_key_changes_the_value),
        cmocka_unit_test(test_mix_is_the_splitmix_finaliser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
