/* Clashes between the addresses of a configuration: the mesh port, the metrics port, upstreams, and
 * the applications behind services.
 *
 * Inside core/wire/config*.c only.
 */
#ifndef CORE_WIRE_CONFIG_LISTENERS_H
#define CORE_WIRE_CONFIG_LISTENERS_H

#include "core/wire/config_merge.h"

/* Reports every address that two would listen on, naming both places. `m` is what `m->read->config`
 * was read from. */
void config_listeners_check(const struct config_merge *m);

#endif
