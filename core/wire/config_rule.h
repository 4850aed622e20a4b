/* Rules: the `allow` list and the [[service.X.rule]] tables of a service, as policy.
 *
 * Inside core/wire/config*.c only.
 */
#ifndef CORE_WIRE_CONFIG_RULE_H
#define CORE_WIRE_CONFIG_RULE_H

#include "core/wire/config_read.h"

/* Reads `allow` and `rule` of the service table `t` into `*out`. `name` is the service's. */
void config_rule_load(const struct config_read_table *t, struct span name,
                      enum service_protocol protocol, struct policy *out);

#endif
