/* Any bytes at either end of an HTTP/2 connection (support_mux.h), behind a client's preface. */
#include "core/wire/h2.h"
#include "tests/fuzz/support_mux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct support_mux h2 = {.open = h2_new,
                                          .to_server = {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24}};
    support_mux_run(&h2, data, size);
    return 0;
}
