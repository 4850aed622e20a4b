#define _DEFAULT_SOURCE /* madvise */

#include "tests/sim/bigpages.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>

#define NODES_MIN      500u
#define BYTES_A_NODE   (UINT64_C(48) * 1024) /* what a machine takes as it starts: most used */
#define BYTES_MIN      (UINT64_C(256) << 20)
#define BIG_PAGE_BYTES ((uintptr_t)2 << 20)

/* The heap is made that large once, marked, and freed: malloc keeps it as its own. */
void bigpages_prepare(uint32_t nodes)
{
    uint64_t bytes = nodes * BYTES_A_NODE;
    if (nodes < NODES_MIN) return;
    if (bytes < BYTES_MIN) bytes = BYTES_MIN;
    if (mallopt(M_MMAP_MAX, 0) == 0 || mallopt(M_TRIM_THRESHOLD, -1) == 0) return;
    void *all = malloc(bytes);
    if (all == NULL) return;
    bytes = malloc_usable_size(all);
    uintptr_t start = ((uintptr_t)all + BIG_PAGE_BYTES - 1) & ~(BIG_PAGE_BYTES - 1);
    uintptr_t end = ((uintptr_t)all + bytes) & ~(BIG_PAGE_BYTES - 1);
    (void)madvise((void *)start, end - start, MADV_HUGEPAGE);
    free(all);
}
