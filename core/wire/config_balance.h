/* [upstream.X]: which endpoints its requests are spread over, and how.
 *
 *   balance = "least-loaded" | "peak-ewma" | "round-robin"
 *           | "hash:header:NAME" | "hash:cookie:NAME" | "hash:source"   Maglev
 *           | "ring:..."                                                consistent hash ring
 *   tags = { version = "2.0" }                                     only endpoints with these tags
 *   split = [{ to = { version = "2.0" }, weight = 5 }]             percent; the rest goes elsewhere
 *   aperture, slow_start, panic
 *
 * Inside core/wire/config*.c only. One load, one thread.
 */
#ifndef CORE_WIRE_CONFIG_BALANCE_H
#define CORE_WIRE_CONFIG_BALANCE_H

#include "core/wire/config_read.h"

/* out->name and out->protocol are known. Errors are collected. */
void config_balance_load(const struct config_read_table *t, struct config_upstream *out);

#endif
