/* The messages of grpc.health.v1.Health/Check (the gRPC "Health Checking Protocol" document), each
 * as the one length-prefixed message of its body.
 *
 * Any thread, no allocation.
 *
 *      | 0 | length (4) | 0x0a | length | service |        request; none of it of service ""
 *      | 0 | length (4) | 0x08 | status |                  response; other fields are skipped
 */
#ifndef CORE_WIRE_GRPC_HEALTH_H
#define CORE_WIRE_GRPC_HEALTH_H

#include "core/base/err.h"
#include "core/base/span.h"

#define GRPC_HEALTH_SERVICE_MAX  127u
#define GRPC_HEALTH_REQUEST_MAX  (5u + 2u + GRPC_HEALTH_SERVICE_MAX)
#define GRPC_HEALTH_RESPONSE_MAX 256u /* what is accepted: real ones have 7 bytes */

enum grpc_health_status {
    GRPC_HEALTH_UNKNOWN,
    GRPC_HEALTH_SERVING,
    GRPC_HEALTH_NOT_SERVING,
    GRPC_HEALTH_SERVICE_UNKNOWN
};

/* `service` has at most GRPC_HEALTH_SERVICE_MAX bytes; the length of the body. */
size_t grpc_health_request(struct span service, char out[GRPC_HEALTH_REQUEST_MAX]);
/* A whole body. ERR_PROTOCOL: compressed, not one message, or no message of this kind. */
enum err grpc_health_response(struct span body, enum grpc_health_status *out) MUST_USE;

#endif
