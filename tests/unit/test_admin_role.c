/* Group lookup in /etc/group's text form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cmd/daemon/admin_role.h"

static void test_a_group_is_found_by_its_whole_name(void **state)
{
    (void)state;
    struct span text =
        SPAN_LIT("root:x:0:\nparley-admins:x:7:\nparley-admin:x:991:ann,bob\nend:x:5:");
    uint32_t gid = 0;
    assert_true(admin_role_group(text, "parley-admin", &gid));
    assert_int_equal(gid, 991);
    assert_true(admin_role_group(text, "end", &gid));
    assert_int_equal(gid, 5);
    assert_false(admin_role_group(text, "parley", &gid));
}

static void test_a_damaged_line_gives_no_group(void **state)
{
    (void)state;
    uint32_t gid = 1;
    assert_false(admin_role_group(SPAN_LIT("parley-admin"), "parley-admin", &gid));
    assert_false(admin_role_group(SPAN_LIT("parley-admin:x:"), "parley-admin", &gid));
    assert_false(admin_role_group(SPAN_LIT("parley-admin:x:-1:"), "parley-admin", &gid));
    assert_false(admin_role_group(SPAN_LIT("parley-admin:x:99999999999:"), "parley-admin", &gid));
    assert_false(admin_role_group((struct span){0}, "parley-admin", &gid));
    assert_int_equal(gid, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_group_is_found_by_its_whole_name),
        cmocka_unit_test(test_a_damaged_line_gives_no_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
