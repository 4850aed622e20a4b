#include "core/crypto/secret.h"

#include "core/base/check.h"

#include <sodium.h>
#include <string.h>

void *secret_new(size_t len)
{
    /* Idempotent and cheap after the first time; it fails only without a random device, and a
     * program that cannot make keys must not go on. */
    CHECK(sodium_init() >= 0);
    void *p = sodium_malloc(len);
    if (p != NULL) memset(p, 0, len);
    return p;
}

void secret_seal(void *p)
{
    /* Advice: a kernel that refuses leaves the page writable, which is no less correct. */
    int refused = sodium_mprotect_readonly(p);
    (void)refused;
}

void secret_free(void *p)
{
    sodium_free(p);
}
