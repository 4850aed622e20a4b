/* Health probes: one check of a local application, of any kind, from start to result.
 *
 * Control thread. Embedded by its owner and zero-initialised, with `loop` and `on_end` set. The
 * owner keeps the time: a probe that takes too long it stops. on_end comes once a start, last in
 * what caused it, also from inside health_probe_start, never after health_probe_stop.
 *
 *   tcp    it accepts a connection
 *   http   its answer's status is 200 to 399: HTTP/1.1, or HTTP/2 where that is what it speaks
 *   grpc   HTTP/2: grpc.health.v1.Health/Check says SERVING (health_h2.h)
 *   exec   a program ends with exit code 0 (health_exec.h)
 */
#ifndef CMD_DAEMON_HEALTH_PROBE_H
#define CMD_DAEMON_HEALTH_PROBE_H

#include "cmd/daemon/health_plan.h"
#include "core/io/loop.h"

#define HEALTH_STATUS_LINE_BYTES 13u /* "HTTP/1.1 200 " */

struct health_probe {
    struct loop *loop; /* borrowed */
    void (*on_end)(struct health_probe *p, bool ok, const char *why);
    const struct health_plan *plan; /* borrowed while it runs; else NULL */
    struct conn *conn;              /* owned while it runs */
    struct health_h2 *h2;           /* owned while it runs */
    struct health_exec *exec;       /* owned; may outlive the probe, killed */
    char head[HEALTH_STATUS_LINE_BYTES];
    size_t head_len;
};

/* `plan` stays until the end. Not while one runs. */
void health_probe_start(struct health_probe *p, const struct health_plan *plan);
/* Ends it without a result; nothing where none runs. */
void health_probe_stop(struct health_probe *p);
/* Stops it, and lets go of what is left. */
void health_probe_fini(struct health_probe *p);

#endif
