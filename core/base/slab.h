/* Slab: fixed-size objects from pages of their own, free list, never shrinks. The first page is
 * small: most slabs never hold much.
 *
 * One thread. slab_get gives zeroed storage; slab_put takes it back. `objects_max` bounds it: NULL
 * past it.
 */
#ifndef CORE_BASE_SLAB_H
#define CORE_BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

struct slab_page;

struct slab {
    struct slab_page *pages; /* owned */
    void *free_list;
    size_t object_bytes;
    size_t objects_max;
    size_t objects_live;
    size_t objects_made;
    size_t page_bytes; /* of the next one */
};

void slab_init(struct slab *s, size_t object_bytes, size_t objects_max);
/* All objects are gone with it; live ones too. */
void slab_fini(struct slab *s);
void *slab_get(struct slab *s);
void slab_put(struct slab *s, void *object);

#endif
