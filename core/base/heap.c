#include "core/base/heap.h"

#include "core/base/check.h"

#include <stdlib.h>

#define HEAP_FIRST_SLOTS 64u

void heap_init(struct heap *h, size_t count_max)
{
    *h = (struct heap){.count_max = count_max};
}

void heap_fini(struct heap *h)
{
    for (size_t i = 0; i < h->count; i++)
        h->slot[i].node->pos = 0;
    free(h->slot);
    h->slot = NULL;
    h->count = h->cap = 0;
}

static bool before(const struct heap_slot *a, const struct heap_slot *b)
{
    return a->key != b->key ? a->key < b->key : a->seq < b->seq;
}

static void place(struct heap *h, size_t i, const struct heap_slot *s)
{
    h->slot[i] = *s;
    s->node->pos = i + 1;
}

/* `s` belongs at place `i` or nearer the root. */
static void sift_up(struct heap *h, size_t i, const struct heap_slot *s)
{
    while (i > 0) {
        size_t parent = (i - 1) / 4;
        if (!before(s, &h->slot[parent])) break;
        place(h, i, &h->slot[parent]);
        i = parent;
    }
    place(h, i, s);
}

static void sift_down(struct heap *h, size_t i, const struct heap_slot *s)
{
    for (;;) {
        size_t first = i * 4 + 1;
        if (first >= h->count) break;
        size_t last = first + 4 < h->count ? first + 4 : h->count;
        size_t least = first;
        for (size_t child = first + 1; child < last; child++)
            if (before(&h->slot[child], &h->slot[least])) least = child;
        if (!before(&h->slot[least], s)) break;
        place(h, i, &h->slot[least]);
        i = least;
    }
    place(h, i, s);
}

static void sift(struct heap *h, size_t i, const struct heap_slot *s)
{
    if (i > 0 && before(s, &h->slot[(i - 1) / 4]))
        sift_up(h, i, s);
    else
        sift_down(h, i, s);
}

static enum err resize(struct heap *h, size_t cap)
{
    size_t bytes;
    if (!size_mul(cap, sizeof(struct heap_slot), &bytes)) return ERR_NOMEM;
    struct heap_slot *slot = realloc(h->slot, bytes);
    if (slot == NULL) return ERR_NOMEM;
    h->slot = slot;
    h->cap = cap;
    return ERR_OK;
}

static enum err grow(struct heap *h)
{
    size_t cap;
    if (!size_mul(h->cap, 2, &cap)) return ERR_NOMEM;
    return resize(h, cap < HEAP_FIRST_SLOTS ? HEAP_FIRST_SLOTS : cap);
}

enum err heap_reserve(struct heap *h, size_t count)
{
    if (count > h->count_max) return ERR_FULL;
    return count <= h->cap ? ERR_OK : resize(h, count);
}

enum err heap_set(struct heap *h, struct heap_node *n, uint64_t key)
{
    if (n->pos != 0) {
        CHECK(n->pos <= h->count && h->slot[n->pos - 1].node == n);
        n->key = key;
        sift(h, n->pos - 1, &(struct heap_slot){.key = key, .seq = h->seq_next++, .node = n});
        return ERR_OK;
    }
    if (h->count >= h->count_max) return ERR_FULL;
    if (h->count == h->cap) {
        enum err err = grow(h);
        if (err != ERR_OK) return err;
    }
    n->key = key;
    sift_up(h, h->count++, &(struct heap_slot){.key = key, .seq = h->seq_next++, .node = n});
    return ERR_OK;
}

void heap_remove(struct heap *h, struct heap_node *n)
{
    if (n->pos == 0) return;
    size_t i = n->pos - 1;
    CHECK(i < h->count && h->slot[i].node == n);
    struct heap_slot last = h->slot[--h->count];
    if (last.node != n) sift(h, i, &last);
    n->pos = 0;
}

struct heap_node *heap_min(const struct heap *h)
{
    return h->count > 0 ? h->slot[0].node : NULL;
}

struct heap_node *heap_pop(struct heap *h)
{
    struct heap_node *n = heap_min(h);
    if (n != NULL) heap_remove(h, n);
    return n;
}
