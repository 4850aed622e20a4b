#include "core/base/hist.h"

#include <string.h>

#define SUB_BUCKETS (1u << HIST_SUB_BITS)

void hist_reset(struct hist *h)
{
    memset(h, 0, sizeof(*h));
}

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

static void count_up(uint32_t *bucket, uint64_t by)
{
    *bucket = by > UINT32_MAX - *bucket ? UINT32_MAX : *bucket + (uint32_t)by;
}

void hist_add(struct hist *h, uint64_t value)
{
    if (value > HIST_VALUE_MAX) value = HIST_VALUE_MAX;
    h->count++;
    h->sum += value;
    if (value > h->max) h->max = value;
    count_up(&h->bucket[index_of(value)], 1);
}

void hist_merge(struct hist *into, const struct hist *from)
{
    into->count += from->count;
    into->sum += from->sum;
    if (from->max > into->max) into->max = from->max;
    for (size_t i = 0; i < HIST_BUCKETS; i++)
        count_up(&into->bucket[i], from->bucket[i]);
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

uint64_t hist_count_le(const struct hist *h, uint64_t value)
{
    uint64_t n = 0;
    if (value >= h->max) return h->count;
    for (size_t i = 0; i < HIST_BUCKETS && upper_edge(i) <= value; i++)
        n += h->bucket[i];
    return n;
}
