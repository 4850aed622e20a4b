#include "gossip/schedule.h"

#include "tests/unit/support_members.h"

#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define MANY   257u
#define ROUNDS 40u

static const struct mesh_id mesh = {{5, 1, 9}};
static const struct hash_key key = {"schedule"};

/* How often each place of the table is probed in that round. */
static void count_probes(struct schedule *s, const struct member_table *t, uint64_t round,
                         unsigned *probed)
{
    memset(probed, 0, t->count * sizeof(probed[0]));
    for (size_t i = 0; i < t->count; i++) {
        if (!member_is_live(member_at(t, i))) continue;
        const struct member *m = schedule_target(s, t, member_at(t, i), &mesh, round);
        assert_non_null(m);
        assert_ptr_not_equal(m, member_at(t, i));
        probed[member_lower_bound(t, &m->head->owner)]++;
    }
}

static void test_each_is_probed_exactly_once_a_round(void **state)
{
    (void)state;
    struct member_table t;
    struct schedule s = {0};
    unsigned probed[MANY];
    for (uint32_t n = 2; n <= MANY; n += 17) {
        support_members_fill(&t, &key, n);
        for (uint64_t round = 1767225600; round < 1767225600 + ROUNDS; round++) {
            count_probes(&s, &t, round, probed);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(probed[i], 1);
        }
        member_table_fini(&t);
    }
}

static void test_those_that_are_gone_are_left_out_and_the_rest_still_probed_once(void **state)
{
    (void)state;
    struct member_table t;
    struct schedule s = {0};
    unsigned probed[MANY];
    support_members_fill(&t, &key, MANY);
    for (size_t i = 0; i < MANY; i++) {
        if (i % 3 != 0 && i < MANY - 4) continue; /* the last ones too */
        member_at(&t, i)->state = MEMBER_DEAD;
        schedule_leave(&s, member_at(&t, i));
    }
    for (uint64_t round = 0; round < ROUNDS; round++) {
        count_probes(&s, &t, round, probed);
        for (size_t i = 0; i < MANY; i++)
            assert_int_equal(probed[i], member_is_live(member_at(&t, i)) ? 1 : 0);
    }
    for (size_t i = 0; i < MANY; i++) {
        member_at(&t, i)->state = MEMBER_ALIVE;
        schedule_return(&s, member_at(&t, i));
    }
    assert_int_equal(s.count, 0);
    schedule_fini(&s);
    member_table_fini(&t);
}

static void test_all_others_come_up_in_the_end(void **state)
{
    (void)state;
    struct member_table t;
    struct schedule s = {0};
    unsigned probed[20] = {0};
    support_members_fill(&t, &key, 20);
    for (uint64_t round = 0; round < 400; round++)
        probed[member_lower_bound(
            &t, &schedule_target(&s, &t, member_at(&t, 3), &mesh, round)->head->owner)]++;
    for (size_t i = 0; i < 20; i++)
        assert_true(i == 3 ? probed[i] == 0 : probed[i] >= 5);
    member_table_fini(&t);
}

static void test_one_member_more_moves_the_stride_by_one_at_most(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 1000; round++) {
        size_t a = schedule_stride(&mesh, round, 1000), b = schedule_stride(&mesh, round, 1001);
        assert_in_range(a, 1, 999);
        assert_in_range(b, a, a + 1);
    }
}

static void test_phases_spread_over_the_period(void **state)
{
    (void)state;
    struct member_table t;
    unsigned in_tenth[10] = {0};
    support_members_fill(&t, &key, MANY);
    for (size_t i = 0; i < MANY; i++) {
        uint32_t ms = schedule_phase_ms(&mesh, &member_at(&t, i)->head->owner, 1000);
        assert_in_range(ms, 0, 999);
        in_tenth[ms / 100]++;
    }
    for (size_t i = 0; i < 10; i++)
        assert_in_range(in_tenth[i], 10, 45);
    member_table_fini(&t);
}

static void test_alone_there_is_nobody_to_probe(void **state)
{
    (void)state;
    struct member_table t;
    struct schedule s = {0};
    support_members_fill(&t, &key, 2);
    member_at(&t, 1)->state = MEMBER_LEFT;
    schedule_leave(&s, member_at(&t, 1));
    assert_null(schedule_target(&s, &t, member_at(&t, 0), &mesh, 7));
    schedule_fini(&s);
    member_table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_probed_exactly_once_a_round),
        cmocka_unit_test(test_those_that_are_gone_are_left_out_and_the_rest_still_probed_once),
        cmocka_unit_test(test_all_others_come_up_in_the_end),
        cmocka_unit_test(test_one_member_more_moves_the_stride_by_one_at_most),
        cmocka_unit_test(test_phases_spread_over_the_period),
        cmocka_unit_test(test_alone_there_is_nobody_to_probe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
