#include "proxy/http/request_id.h"

#include "core/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_ids_are_valid_sort_by_time_and_differ(void **state)
{
    (void)state;
    struct rng rng;
    char before[REQUEST_ID_BYTES + 1] = "", id[REQUEST_ID_BYTES + 1];
    rng_seed(&rng, 7);
    for (uint64_t ms = 1; ms < UINT64_C(1) << 47; ms = ms * 3 + 1) {
        request_id_make(ms * 1000, &rng, id);
        assert_int_equal(strlen(id), REQUEST_ID_BYTES);
        assert_true(request_id_valid(span_str(id)));
        assert_true(strcmp(before, id) < 0);
        memcpy(before, id, sizeof id);
        request_id_make(ms * 1000, &rng, id);
        assert_memory_equal(before, id, 10);
        assert_memory_not_equal(before, id, REQUEST_ID_BYTES);
    }
}

static void test_each_byte_is_valid_only_if_it_is_of_the_alphabet(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    char id[REQUEST_ID_BYTES];
    for (unsigned c = 0; c < 256; c++) {
        memset(id, '0', sizeof id);
        id[c % sizeof id] = (char)c;
        bool wanted = memchr(alphabet, (int)c, sizeof alphabet - 1) != NULL;
        assert_int_equal(request_id_valid(span_of(id, sizeof id)), wanted);
    }
    assert_false(request_id_valid(span_of(id, sizeof id - 1)));
    assert_false(request_id_valid(span_of(NULL, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_are_valid_sort_by_time_and_differ),
        cmocka_unit_test(test_each_byte_is_valid_only_if_it_is_of_the_alphabet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
