#include "core/base/byte_ring.h"

#include "core/base/check.h"

#include <stdlib.h>

enum err byte_ring_init(struct byte_ring *r, size_t cap)
{
    CHECK(cap > 0 && (cap & (cap - 1)) == 0);
    uint8_t *data = malloc(cap);
    if (data == NULL) return ERR_NOMEM;
    r->data = data;
    r->cap = cap;
    atomic_init(&r->head, 0);
    atomic_init(&r->dropped, 0);
    atomic_init(&r->tail, 0);
    atomic_init(&r->asleep, false);
    return ERR_OK;
}

void byte_ring_fini(struct byte_ring *r)
{
    free(r->data);
    r->data = NULL;
    r->cap = 0;
}

static void copy_in(struct byte_ring *r, size_t at, const void *p, size_t len)
{
    size_t from = at & (r->cap - 1);
    size_t first = len < r->cap - from ? len : r->cap - from;
    memcpy(r->data + from, p, first);
    if (first < len) memcpy(r->data, (const uint8_t *)p + first, len - first);
}

static void copy_out(const struct byte_ring *r, size_t at, void *p, size_t len)
{
    size_t from = at & (r->cap - 1);
    size_t first = len < r->cap - from ? len : r->cap - from;
    memcpy(p, r->data + from, first);
    if (first < len) memcpy((uint8_t *)p + first, r->data, len - first);
}

static void count_dropped(struct byte_ring *r)
{
    /* Relaxed: a plain count, it orders nothing. */
    atomic_fetch_add_explicit(&r->dropped, 1, memory_order_relaxed);
}

bool byte_ring_put(struct byte_ring *r, struct span record)
{
    uint32_t len = (uint32_t)record.len;
    size_t need;
    if (record.len == 0) return true;
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    /* Acquire pairs with the release in byte_ring_get. */
    size_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    if (record.len > UINT32_MAX || !size_add(record.len, sizeof(len), &need) ||
        need > r->cap - (head - tail)) {
        count_dropped(r);
        return false;
    }
    copy_in(r, head, &len, sizeof(len));
    copy_in(r, head + sizeof(len), record.p, record.len);
    /* Release pairs with the acquire in byte_ring_get. */
    atomic_store_explicit(&r->head, head + need, memory_order_release);
    return true;
}

size_t byte_ring_get(struct byte_ring *r, void *dst, size_t cap)
{
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    size_t head = atomic_load_explicit(&r->head, memory_order_acquire);
    while (head != tail) {
        uint32_t len;
        copy_out(r, tail, &len, sizeof(len));
        bool fits = len <= cap;
        if (fits)
            copy_out(r, tail + sizeof(len), dst, len);
        else
            count_dropped(r);
        tail += sizeof(len) + len;
        atomic_store_explicit(&r->tail, tail, memory_order_release);
        if (fits) return len;
    }
    return 0;
}

bool byte_ring_sleep(struct byte_ring *r)
{
    /* Acquire and release pair with the exchange in byte_ring_wakes. */
    (void)atomic_exchange_explicit(&r->asleep, true, memory_order_acq_rel);
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    if (head == atomic_load_explicit(&r->tail, memory_order_relaxed)) return true;
    (void)atomic_exchange_explicit(&r->asleep, false, memory_order_acq_rel);
    return false;
}

bool byte_ring_wakes(struct byte_ring *r)
{
    return atomic_exchange_explicit(&r->asleep, false, memory_order_acq_rel);
}
