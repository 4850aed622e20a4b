#include "proxy/traffic/lb_table.h"

#include "core/base/check.h"
#include "core/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ENDPOINTS_MAX 200u
#define KEYS          100000u

/* A table and who each of KEYS keys belongs to, by endpoint id. */
struct rig {
    struct arena arena;
    struct lb_table_entry entry[ENDPOINTS_MAX];
    size_t count;
    struct lb_table table;
    uint64_t owner[KEYS];
};

static struct rig rig, other;

static void rig_up(struct rig *r, size_t count, uint64_t seed)
{
    arena_init(&r->arena, 65536, 16u << 20);
    r->count = count;
    for (size_t i = 0; i < count; i++)
        r->entry[i] = (struct lb_table_entry){.id = hash_mix(seed + i), .weight = 100};
}

static void leave(struct rig *r, size_t gone)
{
    r->count--;
    memmove(&r->entry[gone], &r->entry[gone + 1], (r->count - gone) * sizeof r->entry[0]);
}

static void build(struct rig *r, bool ring)
{
    enum err err = ring ? lb_table_ring(r->entry, r->count, &r->arena, &r->table)
                        : lb_table_maglev(r->entry, r->count, &r->arena, &r->table);
    assert_int_equal(err, ERR_OK);
    for (uint64_t k = 0; k < KEYS; k++) {
        uint32_t place = lb_table_place(&r->table, hash_mix(k));
        size_t at = lb_table_at(&r->table, place, 0);
        assert_true(at < r->count);
        r->owner[k] = r->entry[at].id;
    }
}

static double share_of(const struct rig *r, uint64_t id)
{
    double n = 0;
    for (size_t k = 0; k < KEYS; k++)
        n += r->owner[k] == id;
    return n / KEYS;
}

static void expect_near(double got, double want, double within)
{
    if (got < want * (1 - within) || got > want * (1 + within))
        fail_msg("%.5f is not within %.0f %% of %.5f", got, within * 100, want);
}

/* What moves when one of N goes: its own keys, 1/N +- 10 %, and on a ring nothing else. */
static void test_one_of_n_moves_one_nth(void **state)
{
    (void)state;
    static const size_t counts[] = {5, 10, 50};
    for (size_t c = 0; c < ARRAY_LEN(counts); c++) {
        for (unsigned ring = 0; ring <= 1; ring++) {
            size_t moved = 0, strangers = 0, gone = counts[c] / 2;
            rig_up(&rig, counts[c], 77);
            rig_up(&other, counts[c], 77);
            uint64_t id = rig.entry[gone].id;
            build(&rig, ring);
            leave(&other, gone);
            build(&other, ring);
            for (size_t k = 0; k < KEYS; k++) {
                moved += rig.owner[k] != other.owner[k];
                strangers += rig.owner[k] != other.owner[k] && rig.owner[k] != id;
            }
            if (ring) assert_int_equal(strangers, 0);
            double nth = 1.0 / (double)counts[c];
            expect_near((double)(moved - strangers) / KEYS, nth, 0.1);
            assert_true((double)strangers / KEYS < nth);
            arena_fini(&rig.arena);
            arena_fini(&other.arena);
        }
    }
}

static void test_shares_follow_weights(void **state)
{
    (void)state;
    for (unsigned ring = 0; ring <= 1; ring++) {
        rig_up(&rig, 10, 3);
        rig.entry[0].weight = 300;
        rig.entry[1].weight = 50;
        build(&rig, ring);
        double within = ring ? 0.15 : 0.05;
        expect_near(share_of(&rig, rig.entry[0].id), 300 / 1150.0, within);
        expect_near(share_of(&rig, rig.entry[1].id), 50 / 1150.0, within);
        expect_near(share_of(&rig, rig.entry[9].id), 100 / 1150.0, within);
        arena_fini(&rig.arena);
    }
}

/* Hosts learn of endpoints in orders of their own; ids sort them. */
static void test_the_order_of_rows_does_not_matter_to_a_ring(void **state)
{
    (void)state;
    rig_up(&rig, 7, 5);
    rig_up(&other, 7, 5);
    for (size_t i = 0; i < 7; i++)
        other.entry[i] = rig.entry[6 - i];
    build(&rig, true);
    build(&other, true);
    assert_memory_equal(rig.owner, other.owner, sizeof rig.owner);
    arena_fini(&rig.arena);
    arena_fini(&other.arena);
}

static void test_the_places_behind_reach_every_endpoint(void **state)
{
    (void)state;
    for (unsigned ring = 0; ring <= 1; ring++) {
        bool seen[ENDPOINTS_MAX] = {false};
        size_t count = 0;
        rig_up(&rig, ENDPOINTS_MAX, 9);
        build(&rig, ring);
        uint32_t place = lb_table_place(&rig.table, UINT64_MAX);
        for (uint32_t step = 0; step < rig.table.count; step++) {
            size_t at = lb_table_at(&rig.table, place, step);
            count += !seen[at];
            seen[at] = true;
        }
        assert_int_equal(count, ENDPOINTS_MAX);
        arena_fini(&rig.arena);
    }
}

static void test_none_and_too_many_bytes(void **state)
{
    (void)state;
    rig_up(&rig, 0, 1);
    assert_int_equal(lb_table_maglev(rig.entry, 0, &rig.arena, &rig.table), ERR_OK);
    assert_int_equal(rig.table.count, 0);
    assert_int_equal(lb_table_ring(rig.entry, 0, &rig.arena, &rig.table), ERR_OK);
    assert_int_equal(rig.table.count, 0);
    arena_fini(&rig.arena);
    rig_up(&rig, 3, 1);
    arena_fini(&rig.arena);
    arena_init(&rig.arena, 64, 128);
    assert_int_equal(lb_table_maglev(rig.entry, 3, &rig.arena, &rig.table), ERR_NOMEM);
    assert_int_equal(lb_table_ring(rig.entry, 3, &rig.arena, &rig.table), ERR_NOMEM);
    arena_fini(&rig.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_of_n_moves_one_nth),
        cmocka_unit_test(test_shares_follow_weights),
        cmocka_unit_test(test_the_order_of_rows_does_not_matter_to_a_ring),
        cmocka_unit_test(test_the_places_behind_reach_every_endpoint),
        cmocka_unit_test(test_none_and_too_many_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
