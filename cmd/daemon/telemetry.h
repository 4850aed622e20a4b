/* Telemetry: all of /metrics: the workers' traffic shards and what the control plane counts
 * (interface.md 6.1).
 *
 * Control thread. Text format 0.0.4. Never holds paths, users or query strings.
 */
#ifndef CMD_DAEMON_TELEMETRY_H
#define CMD_DAEMON_TELEMETRY_H

#include "cmd/daemon/daemon.h"

/* Appends everything. `out` says by strbuf_ok whether it fitted. */
void telemetry_render(const struct daemon *d, struct strbuf *out);

#endif
