/* Engines whose every byte is the same in every run: a fixed generator, fixed keys, a fixed time.
 *
 * One thread; everything lives until the process ends.
 */
#ifndef TESTS_FUZZ_SUPPORT_TLS_H
#define TESTS_FUZZ_SUPPORT_TLS_H

#include "core/crypto/tls_engine.h"

struct support_tls {
    struct tls_profile *profile;
    struct trust *trust;
    struct identity *self;
    uint8_t ca[1024];
    size_t ca_len;
};

#define SUPPORT_TLS_NOW INT64_C(1767225600)

/* Makes keys and certificates. */
void support_tls_init(struct support_tls *s);
/* Starts the fixed generator again, so that the next engine is the same as the last. */
void support_tls_restart(void);
/* Feeds `data` in pieces of `step` bytes (0: record by record), reads what comes out of the engine,
 * checks what always holds, and frees the engine. */
void support_tls_exercise(struct tls_engine *e, const uint8_t *data, size_t size, size_t step);

#endif
