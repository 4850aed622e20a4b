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
        h->node[i]->pos = 0;
    free(h->node);
    h->node = NULL;
    h->count = h->cap = 0;
}

static bool before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->seq < b->seq;
}

static void place(struct heap *h, size_t i, struct heap_node *n)
{
    h->node[i] = n;
    n->pos = i + 1;
}

/* `n` belongs at slot `i` or nearer the root. */
static void sift_up(struct heap *h, size_t i, struct heap_node *n)
{
    while (i > 0) {
        size_t parent = (i - 1) / 4;
        if (!before(n, h->node[parent])) break;
        place(h, i, h->node[parent]);
        i = parent;
    }
    place(h, i, n);
}

static void sift_down(struct heap *h, size_t i, struct heap_node *n)
{
    for (;;) {
        size_t first = i * 4 + 1;
        if (first >= h->count) break;
        size_t last = first + 4 < h->count ? first + 4 : h->count;
        size_t least = first;
        for (size_t child = first + 1; child < last; child++)
            if (before(h->node[child], h->node[least])) least = child;
        if (!before(h->node[least], n)) break;
        place(h, i, h->node[least]);
        i = least;
    }
    place(h, i, n);
}

static void sift(struct heap *h, size_t i, struct heap_node *n)
{
    if (i > 0 && before(n, h->node[(i - 1) / 4]))
        sift_up(h, i, n);
    else
        sift_down(h, i, n);
}

static enum err resize(struct heap *h, size_t cap)
{
    size_t bytes;
    if (!size_mul(cap, sizeof(struct heap_node *), &bytes)) return ERR_NOMEM;
    struct heap_node **node = realloc(h->node, bytes);
    if (node == NULL) return ERR_NOMEM;
    h->node = node;
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
        CHECK(n->pos <= h->count && h->node[n->pos - 1] == n);
        n->key = key;
        n->seq = h->seq_next++;
        sift(h, n->pos - 1, n);
        return ERR_OK;
    }
    if (h->count >= h->count_max) return ERR_FULL;
    if (h->count == h->cap) {
        enum err err = grow(h);
        if (err != ERR_OK) return err;
    }
    n->key = key;
    n->seq = h->seq_next++;
    sift_up(h, h->count++, n);
    return ERR_OK;
}

void heap_remove(struct heap *h, struct heap_node *n)
{
    if (n->pos == 0) return;
    size_t i = n->pos - 1;
    CHECK(i < h->count && h->node[i] == n);
    struct heap_node *last = h->node[--h->count];
    if (last != n) sift(h, i, last);
    n->pos = 0;
}

struct heap_node *heap_min(const struct heap *h)
{
    return h->count > 0 ? h->node[0] : NULL;
}

struct heap_node *heap_pop(struct heap *h)
{
    struct heap_node *n = heap_min(h);
    if (n != NULL) heap_remove(h, n);
    return n;
}
