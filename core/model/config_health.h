/* Health checks as the host configuration says them.
 *
 * Part of struct config: immutable, its texts live in the config's arena. Times are milliseconds.
 */
#ifndef CORE_MODEL_CONFIG_HEALTH_H
#define CORE_MODEL_CONFIG_HEALTH_H

#include <stdint.h>

#define CONFIG_HEALTH_INTERVAL_MS    2000u
#define CONFIG_HEALTH_TIMEOUT_MS     1000u
#define CONFIG_HEALTH_FALL           3u
#define CONFIG_HEALTH_RISE           1u
#define CONFIG_HEALTH_GRPC_BYTES_MAX 127u /* its length is one byte of the request */
enum config_health_kind {
    CONFIG_HEALTH_TCP,
    CONFIG_HEALTH_HTTP,
    CONFIG_HEALTH_GRPC,
    CONFIG_HEALTH_EXEC,
    CONFIG_HEALTH_NONE
};
struct config_health {
    enum config_health_kind kind; /* default: TCP connect */
    const char *text;             /* the path of HTTP, the service of gRPC; else "" */
    const char *const *argv;      /* EXEC: a program and its words, NULL behind the last */
    uint32_t argc;
    uint32_t interval_ms, timeout_ms;
    uint32_t unhealthy_after, healthy_after; /* consecutive results */
};

#endif
