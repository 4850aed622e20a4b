/* Any bytes as the body of a health answer. What is read is read the same with a field behind it
 * that nobody knows; the bytes as a service's name come back in the request. */
#include "core/base/check.h"
#include "core/wire/grpc_health.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_with_another_field(const uint8_t *data, size_t size, enum grpc_health_status was)
{
    char body[GRPC_HEALTH_RESPONSE_MAX + 2];
    enum grpc_health_status status;
    if (size > GRPC_HEALTH_RESPONSE_MAX || (uint8_t)data[4] > 253) return;
    memcpy(body, data, size);
    memcpy(body + size, "\x78\x01", 2);
    body[4] = (char)(data[4] + 2);
    CHECK(grpc_health_response(span_of(body, size + 2), &status) == ERR_OK && status == was);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char out[GRPC_HEALTH_REQUEST_MAX];
    enum grpc_health_status status;
    enum err err = grpc_health_response(span_of(data, size), &status);
    CHECK(err == ERR_OK || err == ERR_PROTOCOL);
    CHECK(err != ERR_OK || status <= GRPC_HEALTH_SERVICE_UNKNOWN);
    if (err == ERR_OK) check_with_another_field(data, size, status);
    if (size > 0 && size <= GRPC_HEALTH_SERVICE_MAX) {
        CHECK(grpc_health_request(span_of(data, size), out) == size + 7);
        CHECK(memcmp(out + 7, data, size) == 0);
    }
    return 0;
}
