#include "cmd/daemon/memory_limit.h"

#include "core/io/file.h"
#include "tests/unit/support_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

static void put(const char *root, const char *folder, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s%s", root, folder);
    assert_int_equal(file_make_folders(path, 0700), ERR_OK);
    snprintf(path, sizeof path, "%s%s/%s", root, folder, name);
    assert_int_equal(file_write(path, 0600, span_str(text)), ERR_OK);
}

static void test_the_least_limit_of_the_groups_above_counts(void **state)
{
    const char *root = *state;
    put(root, "/proc/self", "cgroup", "0::/system.slice/parley.service\n");
    assert_int_equal(memory_limit_of_group(root), 0);
    put(root, "/sys/fs/cgroup/system.slice/parley.service", "memory.max", "max\n");
    assert_int_equal(memory_limit_of_group(root), 0);
    put(root, "/sys/fs/cgroup/system.slice", "memory.max", "134217728\n");
    assert_int_equal(memory_limit_of_group(root), 128 * MIB);
    put(root, "/sys/fs/cgroup/system.slice/parley.service", "memory.max", "67108864\n");
    assert_int_equal(memory_limit_of_group(root), 64 * MIB);
    put(root, "/sys/fs/cgroup", "memory.max", "33554432\n");
    assert_int_equal(memory_limit_of_group(root), 32 * MIB);
}

static void test_version_1_has_a_tree_of_its_own(void **state)
{
    const char *root = *state;
    put(root, "/proc/self", "cgroup", "9:name=systemd:/x\n4:memory:/a/b\n0::/\n");
    put(root, "/sys/fs/cgroup/memory/a/b", "memory.limit_in_bytes", "9223372036854771712\n");
    put(root, "/sys/fs/cgroup/memory/a", "memory.limit_in_bytes", "67108864\n");
    put(root, "/sys/fs/cgroup/systemd/x", "memory.max", "1\n");
    assert_int_equal(memory_limit_of_group(root), 64 * MIB);
}

static void test_what_is_no_limit_is_none(void **state)
{
    static const char *const text[] = {"",          "\n",      "0::\n", "0::x\n",
                                       ":::\n\n0:", "0:/:/\n", "4\n",   "0::/../../..\n"};
    const char *root = *state;
    put(root, "/sys/fs/cgroup", "memory.max", "-1\n");
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
        put(root, "/proc/self", "cgroup", text[i]);
        assert_int_equal(memory_limit_of_group(root), 0);
    }
    assert_int_equal(memory_limit_of_group("/nonexistent"), 0);
}

static void test_the_budget_is_a_part(void **state)
{
    (void)state;
    assert_int_equal(memory_limit_budget(64 * MIB, 8192 * MIB), 24 * MIB);
    assert_int_equal(memory_limit_budget(0, 8192 * MIB), 2048 * MIB);
    assert_int_equal(memory_limit_budget(UINT64_MAX, 8192 * MIB), 2048 * MIB);
    assert_int_equal(memory_limit_budget(1 * MIB, 8192 * MIB), 8 * MIB);
    assert_int_equal(memory_limit_budget(0, 0), 0);
    assert_true(memory_limit_auto() >= 8 * MIB);
}

static int setup(void **state)
{
    static char root[SUPPORT_FOLDER_MAX];
    support_folder_make(root);
    *state = root;
    return 0;
}

static int teardown(void **state)
{
    support_folder_remove(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_least_limit_of_the_groups_above_counts, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_version_1_has_a_tree_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_limit_is_none, setup, teardown),
        cmocka_unit_test(test_the_budget_is_a_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
