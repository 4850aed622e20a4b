/* Any bytes from a client, in pieces: the first byte of the input says how long the pieces are and
 * whether the server asks for a certificate. */
#include "core/base/check.h"
#include "tests/fuzz/support_tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct support_tls s;
    static const size_t steps[] = {1, 7, 65536, 0};
    struct tls_engine *e;
    if (s.profile == NULL) support_tls_init(&s);
    if (size < 1) return 0;
    support_tls_restart();
    bool join = (data[0] & 4) != 0;
    struct tls_server_options o = {.profile = s.profile,
                                   .self = s.self,
                                   .trust = s.trust,
                                   .ca_der = span_of(s.ca, join ? s.ca_len : 0),
                                   .anonymous_clients = join,
                                   .alpn = join ? "parley-join/1" : "h2",
                                   .now_s = SUPPORT_TLS_NOW};
    CHECK(tls_engine_server(&o, &e) == ERR_OK);
    support_tls_exercise(e, data + 1, size - 1, steps[data[0] & 3]);
    return 0;
}
