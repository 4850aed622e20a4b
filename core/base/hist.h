/* Log-linear histogram (as in HDR Histogram): 32 linear buckets for each power of two, relative
 * error at most 1/32.
 *
 * One writer thread. Values are unsigned, in the caller's unit (microseconds for latencies); above
 * HIST_VALUE_MAX they are clamped. A bucket that is full stays full. Zero-initialise.
 */
#ifndef CORE_BASE_HIST_H
#define CORE_BASE_HIST_H

#include <stddef.h>
#include <stdint.h>

#define HIST_SUB_BITS   5u
#define HIST_VALUE_BITS 36u /* up to 2^36 - 1: 19 hours in microseconds */
#define HIST_VALUE_MAX  ((UINT64_C(1) << HIST_VALUE_BITS) - 1)
#define HIST_BUCKETS    ((HIST_VALUE_BITS - HIST_SUB_BITS + 1) << HIST_SUB_BITS)

struct hist {
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint32_t bucket[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t value);
/* The upper edge of the bucket that holds quantile q in [0,1]; 0 when empty; never above `max`. */
uint64_t hist_quantile(const struct hist *h, double q);

#endif
