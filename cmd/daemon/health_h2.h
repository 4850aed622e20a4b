/* Health checks over HTTP/2 by prior knowledge: a GET, or grpc.health.v1.Health/Check, without I/O.
 *
 * Control thread. One request on a connection of its own. Passes: of a GET a status of 200 to 399;
 * of gRPC status 200, grpc-status 0 and SERVING. Everything the application may send is bounded, in
 * bytes by HEALTH_H2_BYTES_MAX.
 */
#ifndef CMD_DAEMON_HEALTH_H2_H
#define CMD_DAEMON_HEALTH_H2_H

#include "cmd/daemon/health_plan.h"
#include "core/base/iobuf.h"

#define HEALTH_H2_BYTES_MAX 65536u

enum health_verdict { HEALTH_PENDING, HEALTH_PASSED, HEALTH_FAILED };

struct health_h2;

struct health_h2_options {
    const struct health_plan *plan; /* borrowed: of kind HTTP or GRPC */
    const char *host;               /* copied */
    struct iobuf_pool *pool;
    void (*on_write)(void *owner, struct span bytes); /* from inside new and feed */
    void *owner;
    uint64_t now_ms;
};

/* The request is written. ERR_NOMEM, ERR_PROTOCOL. */
enum err health_h2_new(const struct health_h2_options *o, struct health_h2 **out) MUST_USE;
void health_h2_free(struct health_h2 *h);
/* What the application sent; `why` says it of a failure. */
enum health_verdict health_h2_feed(struct health_h2 *h, struct span in, uint64_t now_ms,
                                   char why[HEALTH_WHY_BYTES]);

#endif
