/* Health hints: what an operator may do about a service that fails its check: mostly, how to make
 * the same check by hand.
 *
 * Pure functions.
 */
#ifndef CMD_DAEMON_HEALTH_HINT_H
#define CMD_DAEMON_HEALTH_HINT_H

#include "core/model/config.h"

#define HEALTH_HINT_BYTES 512u

/* For a service as it is configured, or learned; what is too long is cut short. Returns `out`. */
const char *health_hint(const struct config_service *s, char out[HEALTH_HINT_BYTES]);

#endif
