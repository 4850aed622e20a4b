/* CHECK: our own mistakes end the process, compiled in always.
 *
 * Any thread. A CHECK states what the code itself guarantees. Nothing that a peer, a file or an
 * operator sends may reach one: that is an err. CHECK_OBJ opens each function on a long-lived
 * object; x_free poisons the magic.
 */
#ifndef CORE_BASE_CHECK_H
#define CORE_BASE_CHECK_H

#include <stddef.h>
#include <stdint.h>

/* Prints "check failed: COND at FILE:LINE in FUNC" to descriptor 2 with one write and aborts.
 * Async-signal-safe. */
_Noreturn void check_fail(const char *cond, const char *file, int line, const char *func);

#define CHECK(cond)        ((cond) ? (void)0 : check_fail(#cond, __FILE__, __LINE__, __func__))
#define CHECK_OBJ(p, want) CHECK((p) != NULL && (p)->magic == (want))
#define MAGIC_POISON       0xdead0bb1u

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
/* The struct of type `type` whose member `member` is at `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* a + b or a * b into `*out`; false and `*out` untouched when it does not fit. */
static inline _Bool size_add(size_t a, size_t b, size_t *out)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) return 0;
    *out = sum;
    return 1;
}
static inline _Bool size_mul(size_t a, size_t b, size_t *out)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) return 0;
    *out = product;
    return 1;
}

#endif
