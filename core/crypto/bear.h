/* BearSSL's structures take plain pointers to bytes that it only reads: one cast, in one place.
 *
 * Any thread. core/crypto/ only.
 */
#ifndef CORE_CRYPTO_BEAR_H
#define CORE_CRYPTO_BEAR_H

#include <bearssl.h>
#include <stdint.h>

/* The same bytes without const, for a BearSSL field whose contract is read-only. */
static inline unsigned char *bear_bytes(const void *p)
{
    return (unsigned char *)(uintptr_t)p;
}

#endif
