/* Poison: tells AddressSanitizer which bytes of our own pools are out of use; nothing in other
 * builds.
 *
 * Any thread. Slab, arena and iobuf keep freed memory, which would hide a use after free from the
 * sanitizer.
 */
#ifndef CORE_BASE_POISON_H
#define CORE_BASE_POISON_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISON_ACTIVE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_ACTIVE 1
#endif
#endif

#ifdef POISON_ACTIVE
/* As in sanitizer/asan_interface.h, but without its const: a pool passes memory not yet written. */
void __asan_poison_memory_region(void volatile *p, size_t len);
void __asan_unpoison_memory_region(void volatile *p, size_t len);
#endif

/* From here on a read or write of these bytes is reported. */
static inline void poison_bytes(void *p, size_t len)
{
#ifdef POISON_ACTIVE
    __asan_poison_memory_region(p, len);
#else
    (void)p;
    (void)len;
#endif
}

/* These bytes are in use again. */
static inline void unpoison_bytes(void *p, size_t len)
{
#ifdef POISON_ACTIVE
    __asan_unpoison_memory_region(p, len);
#else
    (void)p;
    (void)len;
#endif
}

#endif
