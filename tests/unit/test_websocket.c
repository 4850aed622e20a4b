#include "core/crypto/websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* RFC 6455 1.3. */
static void test_accept_is_that_of_the_rfc(void **state)
{
    char out[WEBSOCKET_ACCEPT_BYTES + 1];
    (void)state;
    websocket_accept(SPAN_LIT("dGhlIHNhbXBsZSBub25jZQ=="), out);
    assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void test_keys_are_16_bytes_in_base64_and_differ(void **state)
{
    struct rng rng;
    char one[WEBSOCKET_KEY_BYTES + 1], two[WEBSOCKET_KEY_BYTES + 1];
    (void)state;
    rng_seed(&rng, 7);
    websocket_key(&rng, one);
    websocket_key(&rng, two);
    assert_int_equal(strlen(one), WEBSOCKET_KEY_BYTES);
    assert_string_equal(one + 22, "==");
    assert_string_not_equal(one, two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept_is_that_of_the_rfc),
        cmocka_unit_test(test_keys_are_16_bytes_in_base64_and_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
