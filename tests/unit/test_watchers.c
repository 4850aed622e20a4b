#include "gossip/watchers.h"

#include "tests/unit/support_members.h"

#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define MANY 200u

static const struct hash_key key = {"watchers"};

static bool among(struct member *const *who, size_t count, const struct member *m)
{
    for (size_t i = 0; i < count; i++)
        if (name_node_id_cmp(&who[i]->head->owner, &m->head->owner) == 0) return true;
    return false;
}

static void test_two_nodes_with_one_view_choose_the_same_eight(void **state)
{
    (void)state;
    struct member_table a, b;
    struct member *first[WATCHERS], *second[WATCHERS];
    support_members_fill(&a, &key, MANY);
    support_members_fill(&b, &key, MANY);
    for (size_t i = 0; i < MANY; i += 19) {
        assert_int_equal(watchers_of(&a, member_at(&a, i), first), WATCHERS);
        assert_int_equal(watchers_of(&b, member_at(&b, i), second), WATCHERS);
        for (size_t k = 0; k < WATCHERS; k++)
            assert_int_equal(name_node_id_cmp(&first[k]->head->owner, &second[k]->head->owner), 0);
    }
    member_table_fini(&a);
    member_table_fini(&b);
}

static void test_neither_the_target_nor_we_nor_a_suspect_watches(void **state)
{
    (void)state;
    struct member_table t;
    struct member *before[WATCHERS], *after[WATCHERS];
    support_members_fill(&t, &key, MANY);
    struct member *target = member_at(&t, 7);
    assert_int_equal(watchers_of(&t, target, before), WATCHERS);
    assert_false(among(before, WATCHERS, target));
    before[0]->self = true;
    before[2]->state = MEMBER_SUSPECT;
    before[5]->state = MEMBER_DEAD;
    assert_int_equal(watchers_of(&t, target, after), WATCHERS);
    for (size_t k = 0; k < WATCHERS; k++)
        assert_int_equal(among(after, WATCHERS, before[k]), k != 0 && k != 2 && k != 5);
    member_table_fini(&t);
}

static void test_the_work_is_shared(void **state)
{
    (void)state;
    struct member_table t;
    struct member *who[WATCHERS];
    unsigned load[MANY] = {0};
    support_members_fill(&t, &key, MANY);
    for (size_t i = 0; i < MANY; i++) {
        size_t count = watchers_of(&t, member_at(&t, i), who);
        for (size_t k = 0; k < count; k++)
            load[member_lower_bound(&t, &who[k]->head->owner)]++;
    }
    for (size_t i = 0; i < MANY; i++)
        assert_in_range(load[i], 1, 24);
    member_table_fini(&t);
}

static void test_of_a_few_all_watch(void **state)
{
    (void)state;
    struct member_table t;
    struct member *who[WATCHERS];
    support_members_fill(&t, &key, 4);
    member_at(&t, 0)->self = true;
    assert_int_equal(watchers_of(&t, member_at(&t, 1), who), 2);
    member_table_fini(&t);
}

static void test_those_picked_are_watchers_each_once_and_not_always_the_same(void **state)
{
    (void)state;
    struct member_table t;
    struct rng rng;
    struct member *all[WATCHERS], *who[WATCHERS];
    unsigned picked[WATCHERS] = {0};
    rng_seed(&rng, 3);
    support_members_fill(&t, &key, MANY);
    (void)watchers_of(&t, member_at(&t, 5), all);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(watchers_pick(&t, member_at(&t, 5), &rng, 5, who), 5);
        for (size_t k = 0; k < 5; k++) {
            assert_true(among(all, WATCHERS, who[k]));
            assert_false(among(who, k, who[k]));
        }
        for (size_t k = 0; k < WATCHERS; k++)
            picked[k] += among(who, 5, all[k]);
    }
    for (size_t k = 0; k < WATCHERS; k++)
        assert_in_range(picked[k], 20, 60);
    member_table_fini(&t);
}

static void test_the_true_watchers_are_plausible_and_few_others(void **state)
{
    (void)state;
    struct member_table t;
    struct member *who[WATCHERS];
    unsigned plausible = 0;
    support_members_fill(&t, &key, MANY);
    for (size_t i = 0; i < MANY; i++) {
        const struct node_id *target = &member_at(&t, i)->head->owner;
        size_t count = watchers_of(&t, member_at(&t, i), who);
        for (size_t k = 0; k < count; k++)
            assert_true(watchers_plausible(target, &who[k]->head->owner, MANY));
        for (size_t k = 0; k < MANY; k++)
            plausible += watchers_plausible(target, &member_at(&t, k)->head->owner, MANY);
        assert_true(watchers_plausible(target, &member_at(&t, 0)->head->owner, WATCHERS));
    }
    assert_in_range(plausible / MANY, WATCHERS, 2 * WATCHERS * WATCHERS_LEEWAY);
    member_table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_nodes_with_one_view_choose_the_same_eight),
        cmocka_unit_test(test_neither_the_target_nor_we_nor_a_suspect_watches),
        cmocka_unit_test(test_the_work_is_shared),
        cmocka_unit_test(test_of_a_few_all_watch),
        cmocka_unit_test(test_the_true_watchers_are_plausible_and_few_others),
        cmocka_unit_test(test_those_picked_are_watchers_each_once_and_not_always_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
