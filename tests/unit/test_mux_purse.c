#include "core/base/check.h"
#include "core/wire/mux_purse.h"
#include "tests/unit/support_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB ((size_t)1024 * 1024)

static size_t fill(struct mux_purse *p, void **block, size_t most, size_t len)
{
    size_t n = 0;
    while (n < most && (block[n] = mux_purse_get(p, len)) != NULL)
        n++;
    return n;
}

static void empty(struct mux_purse *p, void **block, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mux_purse_put(p, block[i]);
}

static void test_one_connection_has_a_quarter_at_most(void **state)
{
    static void *mine[1024], *yours[1024];
    struct mux_alloc a;
    struct mux_purse rude, other;
    (void)state;
    mux_alloc_init(&a, 8 * MIB);
    mux_purse_init(&rude, &a, NULL);
    mux_purse_init(&other, &a, NULL);
    size_t n = fill(&rude, mine, ARRAY_LEN(mine), 16384);
    assert_int_equal(n, 2 * MIB / 16384);
    assert_true(rude.refused);
    assert_int_equal(rude.bytes, a.bytes_held);
    assert_null(mux_purse_resize(&rude, mine[0], 65536));
    void *p = mux_purse_get(&other, MIB);
    assert_non_null(p);
    assert_false(other.refused);
    mux_purse_put(&other, p);
    empty(&rude, mine, n);
    /* In the smallest of allocators one has what it needs to begin. */
    a.bytes_max = MIB / 2;
    n = fill(&other, yours, ARRAY_LEN(yours), 1000);
    assert_int_equal(n, MUX_PURSE_BYTES_MIN / 1024);
    empty(&other, yours, n);
    mux_purse_fini(&rude);
    mux_purse_fini(&other);
    mux_alloc_fini(&a);
}

static void test_all_of_a_peer_have_half_at_most(void **state)
{
    enum { LINKS = 8 };
    static void *block[LINKS][1024];
    struct mux_alloc a;
    struct mux_purse link[LINKS], other;
    _Atomic uint32_t steps = 0, of_other = 0;
    size_t n[LINKS], total = 0;
    (void)state;
    mux_alloc_init(&a, 8 * MIB);
    for (size_t i = 0; i < LINKS; i++) {
        mux_purse_init(&link[i], &a, &steps);
        n[i] = fill(&link[i], block[i], ARRAY_LEN(block[i]), 10000);
        total += n[i];
    }
    assert_int_equal(total, 4 * MIB / 16384);
    assert_int_equal(steps, 4 * MIB / MUX_PURSE_STEP_BYTES);
    assert_true(link[LINKS - 1].refused);
    mux_purse_init(&other, &a, &of_other);
    void *p = mux_purse_get(&other, MIB);
    assert_non_null(p);
    mux_purse_put(&other, p);
    mux_purse_fini(&other);
    for (size_t i = 0; i < LINKS; i++) {
        empty(&link[i], block[i], n[i]);
        mux_purse_fini(&link[i]);
    }
    assert_int_equal(steps, 0);
    assert_int_equal(of_other, 0);
    mux_alloc_fini(&a);
}

static void test_what_comes_and_goes_leaves_the_peers_word_alone(void **state)
{
    struct mux_alloc a;
    struct mux_purse p;
    _Atomic uint32_t steps = 0;
    (void)state;
    mux_alloc_init(&a, 8 * MIB);
    mux_purse_init(&p, &a, &steps);
    void *base = mux_purse_get(&p, 16384);
    void *more = mux_purse_get(&p, 64);
    assert_int_equal(steps, 2);
    mux_purse_put(&p, more);
    assert_int_equal(steps, 2);
    more = mux_purse_get(&p, 100000);
    assert_int_equal(steps, 8);
    mux_purse_put(&p, more);
    assert_int_equal(steps, 2);
    mux_purse_put(&p, base);
    assert_int_equal(steps, 0);
    mux_purse_put(&p, NULL);
    mux_purse_fini(&p);
    mux_alloc_fini(&a);
}

/* Half a head on each of many links. */
static void test_half_heads_of_one_peer_leave_room_for_others(void **state)
{
    enum { LINKS = 400 };
    static const char half[] = "\0\xf0\0\x01\0\0\x01\0 and no more"; /* of 61,440 bytes */
    static struct support_link *e[LINKS];
    _Atomic uint32_t steps = 0;
    struct mux_alloc a;
    struct mux *m;
    unsigned ended = 0;
    (void)state;
    mux_alloc_init(&a, 8 * MIB);
    for (size_t i = 0; i < LINKS; i++) {
        e[i] = support_link_of(true, &a, &steps);
        if (e[i] == NULL) {
            ended++;
            continue;
        }
        enum err err = support_link_feed(e[i], SPAN_LIT(HELLO), 1000);
        if (err == ERR_OK) err = support_link_feed(e[i], span_of(half, sizeof half - 1), 1000);
        if (err == ERR_OK) continue;
        assert_true(mux_starved(e[i]->mux));
        support_link_free(e[i]);
        e[i] = NULL;
        ended++;
    }
    assert_true(ended > 0 && ended < LINKS);
    assert_true(a.bytes_held <= 5 * MIB);
    struct support_link *other = support_link_of(true, &a, NULL);
    assert_non_null(other);
    m = other->mux;
    assert_int_equal(support_link_feed(other, SPAN_LIT(HELLO), 1000), ERR_OK);
    assert_int_equal(support_link_feed(other, span_of(half, sizeof half - 1), 1000), ERR_OK);
    assert_false(mux_starved(m));
    support_link_free(other);
    for (size_t i = 0; i < LINKS; i++)
        if (e[i] != NULL) support_link_free(e[i]);
    assert_int_equal(steps, 0);
    mux_alloc_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_connection_has_a_quarter_at_most),
        cmocka_unit_test(test_all_of_a_peer_have_half_at_most),
        cmocka_unit_test(test_what_comes_and_goes_leaves_the_peers_word_alone),
        cmocka_unit_test(test_half_heads_of_one_peer_leave_room_for_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
