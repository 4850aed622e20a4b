/* The tables that say what this host is: [node], [defaults], [metrics], [log], [gossip].
 *
 * Inside core/wire/config*.c only. Each fills its part of read->config; errors are collected there.
 */
#ifndef CORE_WIRE_CONFIG_HOST_H
#define CORE_WIRE_CONFIG_HOST_H

#include "core/wire/config_read.h"

/* `place` is where a missing key is said to be missing. */
void config_host_node(const struct config_read_table *t, const struct config_read_item *place);
void config_host_defaults(const struct config_read_table *t);
void config_host_metrics(const struct config_read_table *t);
void config_host_log(const struct config_read_table *t);
void config_host_gossip(const struct config_read_table *t);

#endif
