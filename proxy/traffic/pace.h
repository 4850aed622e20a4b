/* Pace: is whoever we wait for slower than a rate, over a whole window (security.md O02, O03)?
 *
 *      since_ms |<----------- window_ms ----------->| pace_judge judges, and the next window begins
 *
 * Pure: no clock. What is not waited for does not count: when we are the ones that are slow, the
 * window begins anew.
 */
#ifndef PROXY_TRAFFIC_PACE_H
#define PROXY_TRAFFIC_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
    uint64_t since_ms; /* 0: not waited for */
    uint64_t bytes;    /* at that time */
};

enum pace_verdict {
    PACE_FINE,
    PACE_SPARSE, /* some came */
    PACE_SLOW    /* none did */
};

/* `bytes` so far, `waits`: more is waited for now. Not PACE_FINE: in a whole window that is now
 * over, fewer came than `rate` bytes a second. */
enum pace_verdict pace_judge(struct pace *p, bool waits, uint64_t bytes, uint32_t rate,
                             uint64_t window_ms, uint64_t now_ms);

#endif
