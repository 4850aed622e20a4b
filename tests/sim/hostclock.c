#include "tests/sim/hostclock.h"

#include "core/base/check.h"

#define MILLION    UINT64_C(1000000)
#define US_IN_A_MS UINT64_C(1000)

static uint64_t speed(const struct hostclock *c)
{
    return (uint64_t)((int64_t)MILLION + c->drift_ppm);
}

void hostclock_init(struct hostclock *c)
{
    *c = (struct hostclock){.base_ms = HOSTCLOCK_MONO_START_MS};
}

uint64_t hostclock_mono_ms(const struct hostclock *c, uint64_t now_us)
{
    uint64_t past_us = now_us - c->base_us;
    if (c->drift_ppm == 0) return c->base_ms + past_us / US_IN_A_MS;
    return c->base_ms + (past_us / US_IN_A_MS) * speed(c) / MILLION;
}

int64_t hostclock_wall_ms(const struct hostclock *c, uint64_t now_us)
{
    uint64_t past_ms = hostclock_mono_ms(c, now_us) - HOSTCLOCK_MONO_START_MS;
    return HOSTCLOCK_WALL_START_MS + (int64_t)past_ms + c->wall_ahead_ms;
}

uint64_t hostclock_due_us(const struct hostclock *c, uint64_t mono_ms)
{
    if (mono_ms <= c->base_ms) return c->base_us;
    uint64_t ms = mono_ms - c->base_ms;
    if (c->drift_ppm != 0) ms = (ms * MILLION + speed(c) - 1) / speed(c);
    return c->base_us + ms * US_IN_A_MS;
}

void hostclock_drift(struct hostclock *c, uint64_t now_us, int32_t ppm)
{
    CHECK(ppm >= -HOSTCLOCK_DRIFT_MAX && ppm <= HOSTCLOCK_DRIFT_MAX);
    uint64_t shows_ms = hostclock_mono_ms(c, now_us);
    c->base_us = now_us - now_us % US_IN_A_MS;
    c->base_ms = shows_ms;
    c->drift_ppm = ppm;
}

void hostclock_step(struct hostclock *c, int64_t ms)
{
    c->wall_ahead_ms += ms;
}
