/* Health runs: probes each local service as its configuration says and judges it up or down.
 *
 * Control thread. One probe (health_probe.h) per interval and service, judged by health_judge.h.
 * `on_change` comes last in what caused it.
 */
#ifndef CMD_DAEMON_HEALTH_RUN_H
#define CMD_DAEMON_HEALTH_RUN_H

#include "cmd/daemon/health_plan.h"
#include "core/base/rng.h"
#include "core/io/log.h"
#include "core/io/loop.h"
#include "core/model/config.h"

#define HEALTH_RUN_TEXT_BYTES 192u

struct health_run;

struct health_run_options {
    struct loop *loop;
    struct log *log;
    struct rng *rng; /* jitter */
    void (*on_change)(void *owner, const struct name *service, enum service_health health);
    void *owner;
};

struct health_run_status {
    enum service_health health;
    uint64_t checks_total, failures_total;
    uint32_t in_row;                   /* equal results so far */
    uint32_t needed;                   /* equal results that would change the state */
    char last_error[HEALTH_WHY_BYTES]; /* "" after a success: "connection refused", "status 503" */
    char last_failure[HEALTH_WHY_BYTES]; /* of the last that failed, though others have passed */
};

enum err health_run_new(const struct health_run_options *o, struct health_run **out) MUST_USE;
void health_run_free(struct health_run *h);
/* Follows the configuration: new services are checked, gone ones forgotten, equal ones keep their
 * state. ERR_NOMEM: nothing changed. */
enum err health_run_sync(struct health_run *h, const struct config *c) MUST_USE;
/* HEALTH_UNKNOWN for a service without a result or without checks. */
enum service_health health_run_of(const struct health_run *h, const struct name *service);
/* ERR_NOT_FOUND: no such service. */
enum err health_run_status(const struct health_run *h, const struct name *service,
                           struct health_run_status *out) MUST_USE;
/* What an operator should know of it: "" when the last check passed and it is up, else why it is
 * down, or on its way there or back; `out`. */
const char *health_run_text(const struct health_run_status *st, char out[HEALTH_RUN_TEXT_BYTES]);

#endif
