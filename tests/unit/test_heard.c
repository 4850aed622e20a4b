#include "proxy/net/heard.h"

#include <stdlib.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static const struct hash_key key = {"heard"};

static struct addr addr_of(uint8_t last)
{
    return (struct addr){.ip = {10, 0, 0, last}, .port = 7400, .family = ADDR_IP4};
}

static struct heard *heard_new(void)
{
    struct heard *h = calloc(1, sizeof(*h));
    assert_non_null(h);
    heard_init(h, &key);
    return h;
}

static void test_an_answer_counts_from_the_time_it_came(void **state)
{
    (void)state;
    struct heard *h = heard_new();
    struct addr a = addr_of(1), b = addr_of(2);
    struct heard_place p = heard_place(h, &a);
    assert_false(heard_since(h, &a, 0, 5000));
    heard_note(&p, 5000);
    assert_true(heard_since(h, &a, 4000, 5100));
    assert_true(heard_since(h, &a, 5000, 5100));
    assert_false(heard_since(h, &a, 5001, 5100));
    assert_true(heard_since(h, &a, 4990, 4995)); /* the reader's clock is behind */
    assert_false(heard_since(h, &b, 4000, 5100));
    free(h);
}

static void test_times_beyond_32_bits_compare_right(void **state)
{
    (void)state;
    struct heard *h = heard_new();
    struct addr a = addr_of(1);
    struct heard_place p = heard_place(h, &a);
    uint64_t late = (UINT64_C(1) << 32) + 5;
    heard_note(&p, late - 10);
    assert_true(heard_since(h, &a, late - 20, late));
    assert_false(heard_since(h, &a, late - 5, late));
    free(h);
}

static void test_what_shares_a_place_is_not_mistaken_for_another(void **state)
{
    (void)state;
    struct heard *h = heard_new();
    struct addr first = addr_of(0);
    struct heard_place p = heard_place(h, &first);
    unsigned sharing = 0;
    for (uint32_t i = 0; i < 8 * HEARD_SLOTS; i++) {
        struct addr a = first;
        a.ip[1] = (uint8_t)(1 + i / 65536u);
        a.ip[2] = (uint8_t)(i >> 8);
        a.ip[3] = (uint8_t)i;
        heard_note(&p, 1000);
        assert_false(heard_since(h, &a, 0, 1000));
        if (heard_place(h, &a).slot != p.slot) continue;
        sharing++;
        struct heard_place other = heard_place(h, &a);
        heard_note(&other, 1000);
        assert_false(heard_since(h, &first, 0, 1000));
    }
    assert_true(sharing > 0);
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_counts_from_the_time_it_came),
        cmocka_unit_test(test_times_beyond_32_bits_compare_right),
        cmocka_unit_test(test_what_shares_a_place_is_not_mistaken_for_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
