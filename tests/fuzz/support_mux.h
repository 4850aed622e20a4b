/* Fuzzing a codec of mux.h: any bytes as what a client sends to a server, or a server to a client
 * that has two requests open. The server answers and resets as the bytes say. Nothing leaks: every
 * stream that began is closed or lost once.
 */
#ifndef TESTS_FUZZ_SUPPORT_MUX_H
#define TESTS_FUZZ_SUPPORT_MUX_H

#include "core/wire/mux.h"

struct support_mux {
    enum err (*open)(const struct mux_options *o, struct mux **out);
    struct span to_server, to_client; /* what comes before the bytes */
};

void support_mux_run(const struct support_mux *codec, const uint8_t *data, size_t size);

#endif
