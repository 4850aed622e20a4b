#include "tests/unit/support_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_a_generation_applied_at_one_node_is_in_force_at_all(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, false);
    crowd_apply_next(&c, 3);
    crowd_run(&c, 1000);
    assert_int_equal(drivers_heads(&c.drivers, &c.policy.ref), 5);
    assert_true(crowd_all_have(&c, &c.policy.ref));
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(crowd_status(&c, i).state, STATUS_APPLIED);
    crowd_fini(&c);
}

static void test_the_same_with_the_real_keys(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c, 5, true);
    crowd_apply_next(&c, 2);
    crowd_run(&c, 1000);
    assert_true(crowd_all_have(&c, &c.policy.ref));
    crowd_fini(&c);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_generation_applied_at_one_node_is_in_force_at_all),
        cmocka_unit_test(test_the_same_with_the_real_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
