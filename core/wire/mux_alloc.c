#include "core/wire/mux_alloc.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"

/* Classes are 64 << n bytes of payload; the largest is MUX_ALLOC_BLOCK_MAX. */
#define CLASS_BYTES_MIN 64u
#define CLASS_LARGE     UINT64_C(0xff)
/* Free blocks are kept for this part of what may be held. */
#define KEPT_PART 8u

struct mux_alloc_block {
    uint64_t tag;                 /* class in the low byte, payload bytes above it */
    struct mux_alloc_block *next; /* on the free list; the payload begins here */
};
#define HEADER_BYTES offsetof(struct mux_alloc_block, next)

static_assert(CLASS_BYTES_MIN << (MUX_ALLOC_CLASSES - 1) == MUX_ALLOC_BLOCK_MAX, "classes");

static struct mux_alloc_block *block_of(void *p)
{
    return (struct mux_alloc_block *)(void *)((char *)p - HEADER_BYTES);
}

static void *payload(struct mux_alloc_block *b)
{
    return (char *)b + HEADER_BYTES;
}

static size_t payload_bytes(const struct mux_alloc_block *b)
{
    return (size_t)(b->tag >> 8);
}

void mux_alloc_init(struct mux_alloc *a, size_t bytes_max)
{
    *a = (struct mux_alloc){.bytes_max = bytes_max};
}

static void give_back(struct mux_alloc *a, struct mux_alloc_block *b)
{
    a->bytes_held -= payload_bytes(b);
    free(b);
}

static void trim(struct mux_alloc *a)
{
    for (size_t c = 0; c < MUX_ALLOC_CLASSES; c++) {
        struct mux_alloc_block *next;
        for (struct mux_alloc_block *b = a->free_list[c]; b != NULL; b = next) {
            next = b->next;
            give_back(a, b);
        }
        a->free_list[c] = NULL;
    }
    a->bytes_free = 0;
}

void mux_alloc_fini(struct mux_alloc *a)
{
    trim(a);
    CHECK(a->bytes_held == 0);
}

static size_t class_of(size_t len)
{
    size_t c = 0;
    while (((size_t)CLASS_BYTES_MIN << c) < len)
        c++;
    return c;
}

size_t mux_alloc_bytes(size_t len)
{
    return len > MUX_ALLOC_BLOCK_MAX ? len : (size_t)CLASS_BYTES_MIN << class_of(len);
}

size_t mux_alloc_taken(void *p)
{
    return p != NULL ? payload_bytes(block_of(p)) : 0;
}

/* The bound may have fallen below what is held. */
static bool has_room(const struct mux_alloc *a, size_t bytes)
{
    return a->bytes_held <= a->bytes_max && bytes <= a->bytes_max - a->bytes_held;
}

static struct mux_alloc_block *fresh(struct mux_alloc *a, size_t bytes, uint64_t class_tag)
{
    size_t total;
    /* Else what was freed in one size would be lost to all others. */
    if (!has_room(a, bytes)) trim(a);
    if (!has_room(a, bytes)) return NULL;
    if (!size_add(bytes, HEADER_BYTES, &total)) return NULL;
    struct mux_alloc_block *b = malloc(total);
    if (b == NULL) return NULL;
    b->tag = (uint64_t)bytes << 8 | class_tag;
    a->bytes_held += bytes;
    a->mallocs_total++;
    return b;
}

void *mux_alloc_get(struct mux_alloc *a, size_t len)
{
    if (len > MUX_ALLOC_BLOCK_MAX) {
        struct mux_alloc_block *large = fresh(a, len, CLASS_LARGE);
        return large != NULL ? payload(large) : NULL;
    }
    size_t c = class_of(len);
    struct mux_alloc_block *b = a->free_list[c];
    if (b != NULL) {
        a->free_list[c] = b->next;
        a->bytes_free -= payload_bytes(b);
    } else {
        b = fresh(a, mux_alloc_bytes(len), c);
    }
    return b != NULL ? payload(b) : NULL;
}

void mux_alloc_put(struct mux_alloc *a, void *p)
{
    if (p == NULL) return;
    struct mux_alloc_block *b = block_of(p);
    uint64_t c = b->tag & 0xff;
    CHECK(c == CLASS_LARGE || c < MUX_ALLOC_CLASSES);
    if (c == CLASS_LARGE || a->bytes_free + payload_bytes(b) > a->bytes_max / KEPT_PART) {
        give_back(a, b);
        return;
    }
    b->next = a->free_list[c];
    a->free_list[c] = b;
    a->bytes_free += payload_bytes(b);
}

void *mux_alloc_resize(struct mux_alloc *a, void *p, size_t len)
{
    if (p == NULL) return mux_alloc_get(a, len);
    size_t have = payload_bytes(block_of(p));
    if (len <= have) return p;
    void *grown = mux_alloc_get(a, len);
    if (grown == NULL) return NULL;
    memcpy(grown, p, have);
    mux_alloc_put(a, p);
    return grown;
}
