/* Rules: the `allow` list and the [[service.X.rule]] tables of a service, and the [[rule]] tables
 * of a mesh policy.
 *
 * Inside core/wire/config*.c only.
 */
#ifndef CORE_WIRE_CONFIG_RULE_H
#define CORE_WIRE_CONFIG_RULE_H

#include "core/wire/config_read.h"

/* Reads `allow` and `rule` of the service table `t` into `*out`. `name` is the service's. */
void config_rule_load(const struct config_read_table *t, struct span name,
                      enum service_protocol protocol, struct policy *out);

/* Whose rules are read. */
struct config_rule_scope {
    struct span service; /* empty for a mesh policy */
    enum service_protocol protocol;
    bool mesh; /* rules may say `to`, and names are unique over all texts */
};
/* Reads the tables of the array `list` into rule[*count..], which has room for all. */
void config_rule_list(const struct config_read_table *t, const struct config_read_item *list,
                      const struct config_rule_scope *scope, struct policy_rule *rule,
                      size_t *count);

#endif
