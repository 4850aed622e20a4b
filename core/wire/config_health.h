/* The health key of a [service.*] table: how the application is checked.
 *
 * Inside core/wire/config*.c only; as config_read.h.
 *
 *   health = "tcp" | "none" | "grpc"
 *   health = { http = "/path" | tcp = true | grpc = "pkg.Service" | exec = ["/program", "word"],
 *              interval, timeout, unhealthy_after, healthy_after }
 */
#ifndef CORE_WIRE_CONFIG_HEALTH_H
#define CORE_WIRE_CONFIG_HEALTH_H

#include "core/wire/config_read.h"

/* Reads `health` of the service's table `t`; defaults where it is absent. */
void config_health_load(const struct config_read_table *t, struct config_health *out);

#endif
