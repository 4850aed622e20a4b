#include "proxy/traffic/pace.h"

#define MS_PER_S 1000u

enum pace_verdict pace_judge(struct pace *p, bool waits, uint64_t bytes, uint32_t rate,
                             uint64_t window_ms, uint64_t now_ms)
{
    if (!waits || p->since_ms == 0) {
        *p = (struct pace){.since_ms = waits ? now_ms : 0, .bytes = bytes};
        return PACE_FINE;
    }
    uint64_t passed_ms = now_ms - p->since_ms, came = bytes - p->bytes;
    if (passed_ms < window_ms) return PACE_FINE;
    *p = (struct pace){.since_ms = now_ms, .bytes = bytes};
    if (came >= passed_ms * rate / MS_PER_S) return PACE_FINE;
    return came > 0 ? PACE_SPARSE : PACE_SLOW;
}
