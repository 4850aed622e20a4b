/* Pace: is whoever we wait for slower than a rate, over a whole window (security.md O02, O03)?
 *
 *      since_ms |<----------- window_ms ----------->| pace_slow judges, and the next window begins
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

/* `bytes` so far, `waits`: more is waited for now. True: in a whole window that is now over, fewer
 * came than `rate` bytes a second. */
bool pace_slow(struct pace *p, bool waits, uint64_t bytes, uint32_t rate, uint64_t window_ms,
               uint64_t now_ms);

#endif
