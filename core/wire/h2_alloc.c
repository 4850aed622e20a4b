#include "core/wire/h2_alloc.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"

/* Classes are 64 << n bytes of payload; the largest is H2_ALLOC_BLOCK_MAX. */
#define CLASS_BYTES_MIN 64u
#define CLASS_LARGE     UINT64_C(0xff)

struct h2_alloc_block {
    uint64_t tag;                /* class in the low byte, payload bytes above it */
    struct h2_alloc_block *next; /* on the free list; the payload begins here */
};
#define HEADER_BYTES offsetof(struct h2_alloc_block, next)

static_assert(CLASS_BYTES_MIN << (H2_ALLOC_CLASSES - 1) == H2_ALLOC_BLOCK_MAX, "classes");

static struct h2_alloc_block *block_of(void *p)
{
    return (struct h2_alloc_block *)(void *)((char *)p - HEADER_BYTES);
}

static void *payload(struct h2_alloc_block *b)
{
    return (char *)b + HEADER_BYTES;
}

static size_t payload_bytes(const struct h2_alloc_block *b)
{
    return (size_t)(b->tag >> 8);
}

void h2_alloc_init(struct h2_alloc *a, size_t bytes_max)
{
    *a = (struct h2_alloc){.bytes_max = bytes_max};
}

void h2_alloc_fini(struct h2_alloc *a)
{
    for (size_t c = 0; c < H2_ALLOC_CLASSES; c++) {
        struct h2_alloc_block *next;
        for (struct h2_alloc_block *b = a->free_list[c]; b != NULL; b = next) {
            next = b->next;
            a->bytes_held -= payload_bytes(b);
            free(b);
        }
        a->free_list[c] = NULL;
    }
    CHECK(a->bytes_held == 0);
}

static struct h2_alloc_block *fresh(struct h2_alloc *a, size_t bytes, uint64_t class_tag)
{
    size_t total;
    if (bytes > a->bytes_max - a->bytes_held) return NULL;
    if (!size_add(bytes, HEADER_BYTES, &total)) return NULL;
    struct h2_alloc_block *b = malloc(total);
    if (b == NULL) return NULL;
    b->tag = (uint64_t)bytes << 8 | class_tag;
    a->bytes_held += bytes;
    a->mallocs_total++;
    return b;
}

void *h2_alloc_get(struct h2_alloc *a, size_t len)
{
    size_t c = 0;
    if (len > H2_ALLOC_BLOCK_MAX) {
        struct h2_alloc_block *large = fresh(a, len, CLASS_LARGE);
        return large != NULL ? payload(large) : NULL;
    }
    while (((size_t)CLASS_BYTES_MIN << c) < len)
        c++;
    struct h2_alloc_block *b = a->free_list[c];
    if (b != NULL)
        a->free_list[c] = b->next;
    else
        b = fresh(a, (size_t)CLASS_BYTES_MIN << c, c);
    return b != NULL ? payload(b) : NULL;
}

void h2_alloc_put(struct h2_alloc *a, void *p)
{
    if (p == NULL) return;
    struct h2_alloc_block *b = block_of(p);
    uint64_t c = b->tag & 0xff;
    if (c == CLASS_LARGE) {
        a->bytes_held -= payload_bytes(b);
        free(b);
        return;
    }
    CHECK(c < H2_ALLOC_CLASSES);
    b->next = a->free_list[c];
    a->free_list[c] = b;
}

void *h2_alloc_resize(struct h2_alloc *a, void *p, size_t len)
{
    if (p == NULL) return h2_alloc_get(a, len);
    size_t have = payload_bytes(block_of(p));
    if (len <= have) return p;
    void *grown = h2_alloc_get(a, len);
    if (grown == NULL) return NULL;
    memcpy(grown, p, have);
    h2_alloc_put(a, p);
    return grown;
}
