/* The messages of grpc.health.v1: bytes as protoc's encoder makes them. */
#include "core/wire/grpc_health.h"

#include "core/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_a_request_names_its_service(void **state)
{
    (void)state;
    char out[GRPC_HEALTH_REQUEST_MAX];
    assert_int_equal(grpc_health_request(SPAN_LIT("shop.Orders"), out), 18);
    assert_memory_equal(out, "\0\0\0\0\x0d\x0a\x0bshop.Orders", 18);
}

static void test_a_request_for_the_whole_server_is_an_empty_message(void **state)
{
    (void)state;
    char out[GRPC_HEALTH_REQUEST_MAX];
    assert_int_equal(grpc_health_request(SPAN_LIT(""), out), 5);
    assert_memory_equal(out, "\0\0\0\0\0", 5);
}

static void test_a_request_of_the_longest_name_fits(void **state)
{
    (void)state;
    char out[GRPC_HEALTH_REQUEST_MAX], name[GRPC_HEALTH_SERVICE_MAX];
    memset(name, 'n', sizeof name);
    assert_int_equal(grpc_health_request(span_of(name, sizeof name), out), sizeof out);
    assert_int_equal((uint8_t)out[4], 129);
    assert_int_equal((uint8_t)out[6], 127);
}

/* As SPAN_LIT, in a table. */
#define BYTES(literal)                                                                             \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

static void test_responses(void **state)
{
    (void)state;
    static const struct {
        struct span body;
        enum err err;
        enum grpc_health_status status;
    } cases[] = {
        {BYTES("\0\0\0\0\2\x08\x01"), ERR_OK, GRPC_HEALTH_SERVING},
        {BYTES("\0\0\0\0\2\x08\x02"), ERR_OK, GRPC_HEALTH_NOT_SERVING},
        {BYTES("\0\0\0\0\2\x08\x03"), ERR_OK, GRPC_HEALTH_SERVICE_UNKNOWN},
        {BYTES("\0\0\0\0\2\x08\x09"), ERR_OK, GRPC_HEALTH_UNKNOWN}, /* of a later version */
        {BYTES("\0\0\0\0\0"), ERR_OK, GRPC_HEALTH_UNKNOWN},
        /* Fields that it does not know, of each wire type, before and behind. */
        {BYTES("\0\0\0\0\x18\x12\x02hi\x08\x01\x19"
               "12345678\x25"
               "1234\x18\xff\xff\x7f"),
         ERR_OK, GRPC_HEALTH_SERVING},
        {BYTES("\0\0\0\0\4\x08\x02\x08\x01"), ERR_OK, GRPC_HEALTH_SERVING},
        {BYTES("\1\0\0\0\2\x08\x01"), ERR_PROTOCOL, 0}, /* compressed */
        {BYTES("\0\0\0\0\3\x08\x01"), ERR_PROTOCOL, 0}, /* cut */
        {BYTES("\0\0\0\0\1\x08\x01"), ERR_PROTOCOL, 0}, /* more than a message */
        {BYTES("\0\0\0\0"), ERR_PROTOCOL, 0},
        {BYTES(""), ERR_PROTOCOL, 0},
        {BYTES("\0\0\0\0\1\x08"), ERR_PROTOCOL, 0},
        {BYTES("\0\0\0\0\2\x0a\x01"), ERR_PROTOCOL, 0}, /* a text that is cut */
        {BYTES("\0\0\0\0\2\x0a\x00"), ERR_PROTOCOL, 0}, /* a status that is a text */
        {BYTES("\0\0\0\0\2\x0b\x01"), ERR_PROTOCOL, 0}, /* a group */
        {BYTES("\0\0\0\0\2\x00\x01"), ERR_PROTOCOL, 0}, /* field 0 */
        {BYTES("\0\0\0\0\xc\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), ERR_PROTOCOL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum grpc_health_status status = GRPC_HEALTH_SERVICE_UNKNOWN;
        assert_int_equal(grpc_health_response(cases[i].body, &status), cases[i].err);
        if (cases[i].err == ERR_OK) assert_int_equal(status, cases[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_names_its_service),
        cmocka_unit_test(test_a_request_for_the_whole_server_is_an_empty_message),
        cmocka_unit_test(test_a_request_of_the_longest_name_fits),
        cmocka_unit_test(test_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
