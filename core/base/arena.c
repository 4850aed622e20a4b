#include "core/base/arena.h"

#include "core/base/check.h"
#include "core/base/poison.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_ALIGN 16u

struct arena_chunk {
    struct arena_chunk *next; /* owned */
    size_t cap;
    size_t used;
    size_t pad;
};

static_assert(sizeof(struct arena_chunk) % ARENA_ALIGN == 0, "data behind the header is aligned");

void arena_init(struct arena *a, size_t chunk_bytes, size_t bytes_max)
{
    CHECK(chunk_bytes > 0);
    *a = (struct arena){.chunk_bytes = chunk_bytes, .bytes_max = bytes_max};
}

static void free_chunks(struct arena_chunk *chunk)
{
    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void arena_fini(struct arena *a)
{
    free_chunks(a->first);
    a->first = a->current = NULL;
    a->bytes_used = 0;
}

void arena_reset(struct arena *a)
{
    struct arena_chunk **link = &a->first;
    while (*link != NULL) {
        struct arena_chunk *chunk = *link;
        if (chunk->cap > a->chunk_bytes) {
            *link = chunk->next;
            free(chunk);
        } else {
            chunk->used = 0;
            poison_bytes(chunk + 1, chunk->cap);
            link = &chunk->next;
        }
    }
    a->current = a->first;
    a->bytes_used = 0;
}

static void *chunk_take(struct arena_chunk *chunk, size_t len)
{
    char *data = (char *)(chunk + 1);
    void *p = data + chunk->used;
    chunk->used += len;
    unpoison_bytes(p, len);
    return memset(p, 0, len);
}

static struct arena_chunk *chunk_new(size_t cap, struct arena_chunk **link)
{
    size_t bytes;
    if (!size_add(cap, sizeof(struct arena_chunk), &bytes)) return NULL;
    struct arena_chunk *chunk = malloc(bytes);
    if (chunk == NULL) return NULL;
    *chunk = (struct arena_chunk){.next = *link, .cap = cap};
    *link = chunk;
    poison_bytes(chunk + 1, cap);
    return chunk;
}

/* Chunks of the ordinary size stand in the order of use, those behind `current` are unused. Larger
 * ones are full at once and go to the front, out of the way. */
static struct arena_chunk *chunk_for(struct arena *a, size_t len)
{
    if (len > a->chunk_bytes) return chunk_new(len, &a->first);
    if (a->current != NULL && a->current->cap - a->current->used >= len) return a->current;
    struct arena_chunk **link = a->current != NULL ? &a->current->next : &a->first;
    while (a->current == NULL && *link != NULL)
        link = &(*link)->next; /* behind the large ones, which are no room to go on in */
    struct arena_chunk *chunk = *link;
    if (chunk == NULL) chunk = chunk_new(a->chunk_bytes, link);
    if (chunk != NULL) a->current = chunk;
    return chunk;
}

void *arena_alloc(struct arena *a, size_t len)
{
    size_t padded, used;
    struct arena_chunk *current = a->current;
    if (len == 0) len = 1;
    /* The usual case: it fits into the chunk in use, whose size bounds every sum. */
    if (current != NULL && len <= current->cap - current->used && len <= a->chunk_bytes) {
        padded = (len + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
        if (padded <= current->cap - current->used && padded <= a->bytes_max - a->bytes_used) {
            a->bytes_used += padded;
            return chunk_take(current, padded);
        }
    }
    if (!size_add(len, ARENA_ALIGN - 1, &padded)) return NULL;
    padded &= ~(size_t)(ARENA_ALIGN - 1);
    if (!size_add(a->bytes_used, padded, &used) || used > a->bytes_max) return NULL;
    struct arena_chunk *chunk = chunk_for(a, padded);
    if (chunk == NULL) return NULL;
    a->bytes_used = used;
    return chunk_take(chunk, padded);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t len;
    return size_mul(count, size, &len) ? arena_alloc(a, len) : NULL;
}

char *arena_dup(struct arena *a, const void *p, size_t len)
{
    size_t bytes;
    if (!size_add(len, 1, &bytes)) return NULL;
    char *copy = arena_alloc(a, bytes);
    if (copy != NULL && len > 0) memcpy(copy, p, len);
    return copy;
}

struct span arena_span(struct arena *a, struct span s)
{
    const char *copy = arena_dup(a, s.p, s.len);
    return copy != NULL ? span_of(copy, s.len) : span_of(NULL, 0);
}

char *arena_fmt(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0) return NULL;
    char *text = arena_alloc(a, (size_t)len + 1);
    if (text == NULL) return NULL;
    va_start(ap, fmt);
    vsnprintf(text, (size_t)len + 1, fmt, ap);
    va_end(ap);
    return text;
}
