/* Health judgements: what the results of checks make of a service.
 *
 * Pure: no clock, no I/O; control thread. The first result counts at once. After it so many
 * failures in a row make the service down, so many successes up. Flapping is damped: each change
 * costs every node of the mesh a record and a snapshot, so after 3 changes within 30 s the service
 * stays down for 10 s (gossip.md 3.6).
 */
#ifndef CMD_DAEMON_HEALTH_JUDGE_H
#define CMD_DAEMON_HEALTH_JUDGE_H

#include "core/base/rng.h"
#include "core/model/config.h"

#define HEALTH_JUDGE_FLIPS     3u
#define HEALTH_JUDGE_WINDOW_MS 30000u
#define HEALTH_JUDGE_HOLD_MS   10000u

struct health_judge { /* zero-initialised: nothing is known */
    enum service_health health;
    bool last_ok;
    uint32_t in_row;                      /* results like the last one; 0: none yet */
    uint64_t flip_ms[HEALTH_JUDGE_FLIPS]; /* the last changes, oldest first; 0: none */
    uint64_t hold_until_ms;
};

/* Takes a result; whether j->health has changed. */
bool health_judge_result(struct health_judge *j, const struct config_health *how, bool ok,
                         uint64_t now_ms);
/* When to check again: the interval, give or take a tenth. */
uint64_t health_judge_next_ms(const struct config_health *how, uint64_t now_ms, struct rng *rng);

#endif
