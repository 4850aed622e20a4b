#include "core/base/slab.h"

#include "core/base/check.h"
#include "core/base/poison.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_PAGE_BYTES 1024u /* each next one is twice as large */
#define PAGE_BYTES_MAX   16384u
#define SLAB_ALIGN       16u

struct slab_page {
    struct slab_page *next; /* owned */
    uint32_t made;          /* objects handed out of it at least once */
    uint32_t room;          /* for so many */
};

struct free_object {
    struct free_object *next;
};

static_assert(sizeof(struct slab_page) % SLAB_ALIGN == 0, "objects behind the header are aligned");

void slab_init(struct slab *s, size_t object_bytes, size_t objects_max)
{
    size_t bytes =
        object_bytes > sizeof(struct free_object) ? object_bytes : sizeof(struct free_object);
    CHECK(size_add(bytes, SLAB_ALIGN - 1, &bytes));
    *s = (struct slab){.object_bytes = bytes & ~(size_t)(SLAB_ALIGN - 1),
                       .objects_max = objects_max,
                       .page_bytes = FIRST_PAGE_BYTES};
}

void slab_fini(struct slab *s)
{
    for (struct slab_page *page = s->pages; page != NULL;) {
        struct slab_page *next = page->next;
        free(page);
        page = next;
    }
    s->pages = NULL;
    s->free_list = NULL;
    s->objects_live = s->objects_made = 0;
    s->page_bytes = FIRST_PAGE_BYTES;
}

static size_t objects_per_page(const struct slab *s)
{
    size_t n = (s->page_bytes - sizeof(struct slab_page)) / s->object_bytes;
    return n > 0 ? n : 1;
}

/* The next object of the newest page, or of a page more. */
static void *make(struct slab *s)
{
    struct slab_page *page = s->pages;
    if (page == NULL || page->made == page->room) {
        size_t room = objects_per_page(s), bytes;
        if (!size_mul(room, s->object_bytes, &bytes)) return NULL;
        if (!size_add(bytes, sizeof(*page), &bytes)) return NULL;
        page = malloc(bytes);
        if (page == NULL) return NULL;
        poison_bytes(page + 1, bytes - sizeof(*page));
        *page = (struct slab_page){.next = s->pages, .room = (uint32_t)room};
        if (s->page_bytes < PAGE_BYTES_MAX) s->page_bytes *= 2;
        s->pages = page;
    }
    s->objects_made++;
    return (char *)(page + 1) + page->made++ * s->object_bytes;
}

void *slab_get(struct slab *s)
{
    struct free_object *object = s->free_list;
    if (s->objects_live >= s->objects_max) return NULL;
    if (object != NULL) {
        unpoison_bytes(object, s->object_bytes);
        s->free_list = object->next;
    } else {
        object = make(s);
        if (object == NULL) return NULL;
        unpoison_bytes(object, s->object_bytes);
    }
    s->objects_live++;
    return memset(object, 0, s->object_bytes);
}

void slab_put(struct slab *s, void *object)
{
    struct free_object *freed = object;
    CHECK(object != NULL && s->objects_live > 0);
    freed->next = s->free_list;
    s->free_list = freed;
    s->objects_live--;
    poison_bytes(object, s->object_bytes);
}
