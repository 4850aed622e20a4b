/* [service.X]: a workload of this host.
 *
 * Inside core/wire/config*.c only.
 */
#ifndef CORE_WIRE_CONFIG_SERVICE_H
#define CORE_WIRE_CONFIG_SERVICE_H

#include "core/wire/config_read.h"

/* Reads the service table `t`, which `place` opens, into `*out`, whose name is set. */
void config_service_load(const struct config_read_table *t, const struct config_read_item *place,
                         struct config_service *out);

#endif
