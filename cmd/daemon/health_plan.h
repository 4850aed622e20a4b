/* Health plans: what a check of a service does, kept apart from the configuration that says so,
 * since it outlives a reload.
 *
 * Control thread. Immutable but for the numbers of `how`.
 */
#ifndef CMD_DAEMON_HEALTH_PLAN_H
#define CMD_DAEMON_HEALTH_PLAN_H

#include "core/model/config.h"

/* What is said of a check that failed. */
#define HEALTH_WHY_BYTES 96u

struct health_plan {
    struct arena arena; /* owned: the texts */
    struct target local;
    enum proxy_proto_version proxy_protocol;
    bool h2; /* its application speaks HTTP/2 by prior knowledge, also to an http check */
    struct config_health how;
};

/* ERR_NOMEM. */
enum err health_plan_new(const struct config_service *s, struct health_plan **out) MUST_USE;
void health_plan_free(struct health_plan *p);
/* Whether both do the same; how often, and how many results count, aside. */
bool health_plan_same(const struct health_plan *a, const struct health_plan *b);

#endif
