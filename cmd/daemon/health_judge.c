#include "cmd/daemon/health_judge.h"

static bool flapping(struct health_judge *j, uint64_t now_ms)
{
    if (now_ms < j->hold_until_ms) return true;
    uint64_t oldest = j->flip_ms[0];
    if (oldest == 0 || now_ms - oldest > HEALTH_JUDGE_WINDOW_MS) return false;
    j->hold_until_ms = now_ms + HEALTH_JUDGE_HOLD_MS;
    for (size_t i = 0; i < HEALTH_JUDGE_FLIPS; i++)
        j->flip_ms[i] = 0;
    return true;
}

static bool turns(struct health_judge *j, const struct config_health *how, uint64_t now_ms)
{
    enum service_health next = j->last_ok ? HEALTH_UP : HEALTH_DOWN;
    if (next == j->health) return false;
    if (j->health == HEALTH_UNKNOWN) return true;
    if (j->in_row < (j->last_ok ? how->healthy_after : how->unhealthy_after)) return false;
    return next == HEALTH_DOWN || !flapping(j, now_ms);
}

bool health_judge_result(struct health_judge *j, const struct config_health *how, bool ok,
                         uint64_t now_ms)
{
    j->in_row = j->in_row > 0 && j->last_ok == ok ? j->in_row + 1 : 1;
    j->last_ok = ok;
    if (!turns(j, how, now_ms)) return false;
    bool first = j->health == HEALTH_UNKNOWN;
    j->health = ok ? HEALTH_UP : HEALTH_DOWN;
    if (first) return true;
    for (size_t i = 0; i + 1 < HEALTH_JUDGE_FLIPS; i++)
        j->flip_ms[i] = j->flip_ms[i + 1];
    j->flip_ms[HEALTH_JUDGE_FLIPS - 1] = now_ms;
    return true;
}

uint64_t health_judge_next_ms(const struct config_health *how, uint64_t now_ms, struct rng *rng)
{
    uint32_t jitter = how->interval_ms / 5;
    return now_ms + how->interval_ms - jitter / 2 + (jitter > 0 ? rng_below(rng, jitter) : 0);
}
