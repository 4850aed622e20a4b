/* [upstream.X]: what happens when an endpoint fails.
 *
 *   retry = { on = ["connect", "reset", "503"], tries = 3, budget = "20%", idempotent_only = true,
 *             backoff = "10ms..250ms" }
 *   eject = { after = 5, for = "10s", max = "50%", rate = "0%", latency = 0 }
 *
 * Inside core/wire/config*.c only. One load, one thread.
 */
#ifndef CORE_WIRE_CONFIG_RETRY_H
#define CORE_WIRE_CONFIG_RETRY_H

#include "core/wire/config_read.h"

/* out->protocol is known. Errors are collected. */
void config_retry_load(const struct config_read_table *t, struct config_upstream *out);
void config_retry_eject(const struct config_read_table *t, struct config_upstream *out);

#endif
