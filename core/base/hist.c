#include "core/base/hist.h"

#define SUB_BUCKETS (1u << HIST_SUB_BITS)

static size_t index_of(uint64_t value)
{
    if (value < SUB_BUCKETS) return (size_t)value;
    unsigned top = 63u - (unsigned)__builtin_clzll(value);
    unsigned shift = top - HIST_SUB_BITS;
    return ((size_t)(shift + 1) << HIST_SUB_BITS) + (size_t)((value >> shift) & (SUB_BUCKETS - 1));
}

/* The largest value that falls into bucket `i`. */
static uint64_t upper_edge(size_t i)
{
    if (i < SUB_BUCKETS) return i;
    unsigned shift = (unsigned)(i >> HIST_SUB_BITS) - 1;
    uint64_t mantissa = SUB_BUCKETS + (i & (SUB_BUCKETS - 1));
    return ((mantissa + 1) << shift) - 1;
}

void hist_add(struct hist *h, uint64_t value)
{
    if (value > HIST_VALUE_MAX) value = HIST_VALUE_MAX;
    h->count++;
    h->sum += value;
    if (value > h->max) h->max = value;
    uint32_t *bucket = &h->bucket[index_of(value)];
    if (*bucket < UINT32_MAX) ++*bucket;
}

uint64_t hist_quantile(const struct hist *h, double q)
{
    uint64_t rank = 1, seen = 0;
    if (h->count == 0) return 0;
    if (q >= 1.0)
        rank = h->count;
    else if (q > 0.0)
        rank = (uint64_t)(q * (double)h->count);
    /* The smallest rank that covers the share q, as whole values. */
    if (q > 0.0 && q < 1.0 && (double)rank < q * (double)h->count) rank++;
    if (rank == 0) rank = 1;
    for (size_t i = 0; i < HIST_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen >= rank) {
            uint64_t edge = upper_edge(i);
            return edge < h->max ? edge : h->max;
        }
    }
    return h->max;
}
