/* [limits]: what all clients and peers together may take of this host, and one of them alone
 * (security.md 4, resource exhaustion).
 *
 * Inside core/wire/config*.c only. Fills read->config->bounds; errors are collected there.
 */
#ifndef CORE_WIRE_CONFIG_BOUNDS_H
#define CORE_WIRE_CONFIG_BOUNDS_H

#include "core/wire/config_read.h"

void config_bounds_load(const struct config_read_table *t);

#endif
