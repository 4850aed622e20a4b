#include "core/base/iobuf.h"

#include "core/base/check.h"
#include "core/base/poison.h"

#include <stdlib.h>

struct iobuf_block {
    struct iobuf_block *next; /* owned */
    size_t start;             /* first unread byte */
    size_t end;               /* behind the last byte written */
    char data[];
};

void iobuf_pool_init(struct iobuf_pool *pool, size_t block_bytes, size_t blocks_max)
{
    size_t bytes;
    CHECK(block_bytes > 0 && size_add(block_bytes, sizeof(struct iobuf_block), &bytes));
    *pool = (struct iobuf_pool){
        .block_bytes = block_bytes, .blocks_max = blocks_max, .blocks_kept = blocks_max};
}

static void free_blocks(struct iobuf_pool *pool, size_t count)
{
    for (; count > 0; count--) {
        struct iobuf_block *block = pool->free_list;
        pool->free_list = block->next;
        pool->blocks_free--;
        free(block);
    }
}

void iobuf_pool_fini(struct iobuf_pool *pool)
{
    CHECK(pool->blocks_live == 0);
    free_blocks(pool, pool->blocks_free);
}

size_t iobuf_pool_trim(struct iobuf_pool *pool, size_t kept)
{
    size_t count = pool->blocks_unused > kept ? pool->blocks_unused - kept : 0;
    free_blocks(pool, count);
    pool->blocks_unused = pool->blocks_free;
    return count * pool->block_bytes;
}

static struct iobuf_block *block_take(struct iobuf_pool *pool)
{
    struct iobuf_block *block = pool->free_list;
    if (block != NULL) {
        pool->free_list = block->next;
        pool->blocks_free--;
        if (pool->blocks_free < pool->blocks_unused) pool->blocks_unused = pool->blocks_free;
        unpoison_bytes(block->data, pool->block_bytes);
    } else {
        block = malloc(sizeof(*block) + pool->block_bytes);
        if (block == NULL) return NULL;
    }
    pool->blocks_live++;
    block->next = NULL;
    block->start = block->end = 0;
    return block;
}

static void block_give(struct iobuf_pool *pool, struct iobuf_block *block)
{
    pool->blocks_live--;
    if (pool->blocks_free >= pool->blocks_kept) {
        free(block);
        return;
    }
    poison_bytes(block->data, pool->block_bytes);
    block->next = pool->free_list;
    pool->free_list = block;
    pool->blocks_free++;
}

static void chain_give(struct iobuf_pool *pool, struct iobuf_block *block)
{
    while (block != NULL) {
        struct iobuf_block *next = block->next;
        block_give(pool, block);
        block = next;
    }
}

void iobuf_init(struct iobuf *b, struct iobuf_pool *pool)
{
    *b = (struct iobuf){.pool = pool};
}

void iobuf_clear(struct iobuf *b)
{
    chain_give(b->pool, b->head);
    b->head = b->tail = NULL;
    b->len = 0;
}

/* `count` linked blocks: `*first` to `*last`. On failure the pool is as before. */
static enum err take_chain(struct iobuf_pool *pool, size_t count, struct iobuf_block **first,
                           struct iobuf_block **last)
{
    struct iobuf_block *head = NULL, *tail = NULL;
    /* The bound may have been lowered below what there is. */
    if (pool->blocks_live > pool->blocks_max) return ERR_FULL;
    if (count > pool->blocks_max - pool->blocks_live) return ERR_FULL;
    for (size_t i = 0; i < count; i++) {
        struct iobuf_block *block = block_take(pool);
        if (block == NULL) {
            chain_give(pool, head);
            return ERR_NOMEM;
        }
        if (tail != NULL)
            tail->next = block;
        else
            head = block;
        tail = block;
    }
    *first = head;
    *last = tail;
    return ERR_OK;
}

/* Fills `block` and those behind it. */
static void fill(struct iobuf_block *block, size_t block_bytes, struct span s)
{
    for (; s.len > 0; block = block->next) {
        size_t room = block_bytes - block->end;
        size_t n = s.len < room ? s.len : room;
        memcpy(block->data + block->end, s.p, n);
        block->end += n;
        s = span_skip(s, n);
    }
}

enum err iobuf_append(struct iobuf *b, const void *p, size_t len)
{
    struct iobuf_pool *pool = b->pool;
    size_t room = b->tail != NULL ? pool->block_bytes - b->tail->end : 0;
    size_t total;
    if (len == 0) return ERR_OK;
    if (!size_add(b->len, len, &total)) return ERR_FULL;
    struct iobuf_block *into = b->tail;
    if (len > room) {
        struct iobuf_block *first, *last;
        enum err err = take_chain(pool, (len - room - 1) / pool->block_bytes + 1, &first, &last);
        if (err != ERR_OK) return err;
        if (b->tail != NULL)
            b->tail->next = first;
        else
            b->head = into = first;
        b->tail = last;
    }
    fill(into, pool->block_bytes, span_of(p, len));
    b->len = total;
    return ERR_OK;
}

enum err iobuf_room(struct iobuf *b, size_t count, struct span *out)
{
    CHECK(b->head == NULL && count > 0);
    enum err err = take_chain(b->pool, count, &b->head, &b->tail);
    if (err != ERR_OK) return err;
    for (struct iobuf_block *block = b->head; block != NULL; block = block->next)
        *out++ = span_of(block->data, b->pool->block_bytes);
    return ERR_OK;
}

void iobuf_filled(struct iobuf *b, size_t len)
{
    struct iobuf_block **link = &b->head;
    b->len = len;
    b->tail = NULL;
    for (; len > 0; link = &b->tail->next) {
        CHECK(*link != NULL);
        b->tail = *link;
        b->tail->end = len < b->pool->block_bytes ? len : b->pool->block_bytes;
        len -= b->tail->end;
    }
    chain_give(b->pool, *link);
    *link = NULL;
}

struct span iobuf_front(const struct iobuf *b)
{
    const struct iobuf_block *head = b->head;
    if (head == NULL) return span_of(NULL, 0);
    return span_of(head->data + head->start, head->end - head->start);
}

void iobuf_consume(struct iobuf *b, size_t len)
{
    CHECK(len <= b->len);
    b->len -= len;
    while (len > 0) {
        struct iobuf_block *head = b->head;
        size_t unread = head->end - head->start;
        if (len < unread) {
            head->start += len;
            return;
        }
        len -= unread;
        b->head = head->next;
        if (b->head == NULL) b->tail = NULL;
        block_give(b->pool, head);
    }
}

void iobuf_move(struct iobuf *dst, struct iobuf *src)
{
    CHECK(dst->pool == src->pool && dst != src);
    if (src->head == NULL) return;
    if (dst->tail != NULL)
        dst->tail->next = src->head;
    else
        dst->head = src->head;
    dst->tail = src->tail;
    dst->len += src->len;
    src->head = src->tail = NULL;
    src->len = 0;
}

void iobuf_move_front(struct iobuf *dst, struct iobuf *src)
{
    struct iobuf_block *block = src->head;
    CHECK(dst->pool == src->pool && dst != src && block != NULL);
    size_t len = block->end - block->start;
    src->head = block->next;
    if (src->head == NULL) src->tail = NULL;
    src->len -= len;
    block->next = NULL;
    if (dst->tail != NULL)
        dst->tail->next = block;
    else
        dst->head = block;
    dst->tail = block;
    dst->len += len;
}

size_t iobuf_runs(const struct iobuf *b, struct span *out, size_t cap)
{
    size_t count = 0;
    for (const struct iobuf_block *block = b->head; block != NULL && count < cap;
         block = block->next)
        out[count++] = span_of(block->data + block->start, block->end - block->start);
    return count;
}

size_t iobuf_peek(const struct iobuf *b, void *dst, size_t cap)
{
    char *out = dst;
    size_t copied = 0;
    for (const struct iobuf_block *block = b->head; block != NULL && copied < cap;
         block = block->next) {
        size_t unread = block->end - block->start;
        size_t n = unread < cap - copied ? unread : cap - copied;
        memcpy(out + copied, block->data + block->start, n);
        copied += n;
    }
    return copied;
}
