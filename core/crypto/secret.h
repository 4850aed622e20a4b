/* Memory for keys: locked, guarded by unmapped pages, wiped when given back (libsodium).
 *
 * Any thread. The first call makes libsodium choose its implementations and seed its generator.
 */
#ifndef CORE_CRYPTO_SECRET_H
#define CORE_CRYPTO_SECRET_H

#include <stddef.h>

/* `len` bytes, zeroed; NULL when memory is exhausted. Owned by the caller until secret_free. */
void *secret_new(size_t len);
/* Makes the bytes read-only: for keys that never change again. */
void secret_seal(void *p);
/* Wipes and frees; NULL is fine. */
void secret_free(void *p);

#endif
