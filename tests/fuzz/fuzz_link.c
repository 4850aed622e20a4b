/* Any bytes at either end of a link (support_mux.h), behind a HELLO. */
#include "core/wire/link.h"
#include "tests/fuzz/support_mux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HELLO "\0\0\x0a\0\0\0\0\0\0\x10\0\1\0\0\0\x10\0\0"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct span hello = {HELLO, sizeof HELLO - 1};
    const struct support_mux link = {.open = link_new, .to_server = hello, .to_client = hello};
    support_mux_run(&link, data, size);
    return 0;
}
