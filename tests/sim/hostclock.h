/* Host clocks: what a simulated machine believes the time to be.
 *
 * Monotonic milliseconds that may run fast or slow, and wall milliseconds that may besides be off
 * and be set. Plain data; pure.
 */
#ifndef TESTS_SIM_HOSTCLOCK_H
#define TESTS_SIM_HOSTCLOCK_H

#include <stdint.h>

#define HOSTCLOCK_MONO_START_MS UINT64_C(1000)
#define HOSTCLOCK_WALL_START_MS INT64_C(1767225600000) /* 2026-01-01 */
#define HOSTCLOCK_DRIFT_MAX     100000                 /* parts in a million: a tenth */

struct hostclock {
    uint64_t base_us, base_ms; /* at that virtual time it showed so much */
    int32_t drift_ppm;         /* positive: fast */
    int64_t wall_ahead_ms;     /* of what the monotonic one says */
};

/* A clock that is right at virtual time 0 and after. */
void hostclock_init(struct hostclock *c);
uint64_t hostclock_mono_ms(const struct hostclock *c, uint64_t now_us);
int64_t hostclock_wall_ms(const struct hostclock *c, uint64_t now_us);
/* The first virtual time at which the monotonic clock shows at least that. */
uint64_t hostclock_due_us(const struct hostclock *c, uint64_t mono_ms);
/* From now on it gains so much, |ppm| <= HOSTCLOCK_DRIFT_MAX; it does not jump. */
void hostclock_drift(struct hostclock *c, uint64_t now_us, int32_t ppm);
/* The wall clock is set so much forward, or back. */
void hostclock_step(struct hostclock *c, int64_t ms);

#endif
