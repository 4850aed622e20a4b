/* [upstream.X]: a service that applications of this host call.
 *
 * Inside core/wire/config*.c only.
 */
#ifndef CORE_WIRE_CONFIG_UPSTREAM_H
#define CORE_WIRE_CONFIG_UPSTREAM_H

#include "core/wire/config_read.h"

/* Reads the upstream table `t`, which `place` opens, into `*out`, whose name is set. The node and
 * all services of the config are already read: `as` names one of them. */
void config_upstream_load(const struct config_read_table *t, const struct config_read_item *place,
                          struct config_upstream *out);

#endif
